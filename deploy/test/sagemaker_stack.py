"""The CloudFormation template: cfn-lint knows names, types and values; moto, which stands in for AWS, makes model, configuration
and endpoint of it in their order, and takes the calls of autoscaling. AWS itself is not asked."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
from botocore.exceptions import EndpointConnectionError

TEMPLATE = Path(__file__).parents[1] / "sagemaker" / "endpoint.yaml"
BIN = Path(sys.executable).parent
VARIANT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/gpt-2/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


def lint(path: Path) -> subprocess.CompletedProcess:
    return subprocess.run([BIN / "cfn-lint", path], capture_output=True, text=True, check=False)


def free_port() -> int:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return own.getsockname()[1]


def stack(client) -> None:
    parameters = {
        "ImageUri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/gpt2-api:1",
        "RoleArn": "arn:aws:iam::123456789012:role/sagemaker",
        "ModelDataUrl": "s3://bucket/model.tar.gz",
    }
    given = [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()]
    cloud = client("cloudformation")
    cloud.create_stack(StackName="gpt2", TemplateBody=TEMPLATE.read_text(), Parameters=given)
    resources = {r.get("LogicalResourceId"): r for r in cloud.describe_stack_resources(StackName="gpt2")["StackResources"]}
    for name in ("Model", "EndpointConfig", "Endpoint"):
        assert resources[name]["ResourceStatus"] == "CREATE_COMPLETE", resources[name]
    sagemaker = client("sagemaker")
    # moto calls it after its stack.
    endpoint = sagemaker.describe_endpoint(EndpointName=resources["Endpoint"]["PhysicalResourceId"].split("/")[-1])
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    (variant,) = config["ProductionVariants"]
    assert variant["RoutingConfig"]["RoutingStrategy"] == "LEAST_OUTSTANDING_REQUESTS", variant
    model = sagemaker.describe_model(ModelName=variant["ModelName"])
    assert model["PrimaryContainer"]["ModelDataUrl"] == parameters["ModelDataUrl"], model


def scaling(client) -> None:
    """moto gives the template's two resources of autoscaling no id, so their calls are made here."""
    auto = client("application-autoscaling")
    auto.register_scalable_target(**VARIANT, MinCapacity=1, MaxCapacity=4)
    auto.put_scaling_policy(
        **VARIANT,
        PolicyName="open-requests",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 4.0,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"
            },
            "ScaleOutCooldown": 60,
            "ScaleInCooldown": 300,
        },
    )
    (target,) = auto.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4), target


def main() -> None:
    found = lint(TEMPLATE)
    assert found.returncode == 0, found.stdout
    port = free_port()
    server = subprocess.Popen([BIN / "moto_server", "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret", "region_name": "us-east-1"}

    def client(name: str):
        return boto3.client(name, endpoint_url=url, **keys)

    try:
        for _ in range(100):
            try:
                client("sagemaker").list_endpoints()
                break
            except EndpointConnectionError:
                time.sleep(0.1)
        stack(client)
        scaling(client)
    finally:
        server.terminate()
        server.wait()
    print("sagemaker: the template lints; model, configuration, endpoint and autoscaling are made by moto")


main()
