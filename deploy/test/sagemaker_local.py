"""SageMaker's local mode on the image that `image.sh` built: AWS's own SDK unpacks a model.tar.gz, starts the container as the platform does,
waits for /ping, asks, and stops it. It runs `docker compose`; in its place a script of this test calls podman."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMAGE = "localhost/gpt2-api:test"

DOCKER = f"""#!{sys.executable}
import os, sys, yaml
words = sys.argv[1:]
if words == ["compose", "version"]:
    print("Docker Compose version v2.0.0")
elif words[:2] == ["context", "inspect"]:
    print('[{{"Endpoints": {{"docker": {{"Host": "unix:///var/run/docker.sock"}}}}}}]')
elif words[0] == "compose" and "up" in words:
    (service,) = yaml.safe_load(open(words[words.index("-f") + 1]))["services"].values()
    # The port is that of SAGEMAKER_BIND_TO_PORT, on the network of the machine.
    flags = ["--rm", "--name", service["container_name"], "--network", "host", "--no-healthcheck"]
    flags += ["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"]
    for volume in service["volumes"]:
        flags += ["--volume", volume]
    for variable in service["environment"]:
        flags += ["--env", variable]
    command = ["podman", "--runtime", "runc", "run", *flags, service["image"], service["command"]]
    os.execvp(command[0], command)
else:
    sys.exit(f"not expected here: {{words}}")
"""


def free_port() -> int:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return own.getsockname()[1]


def readable(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.mode = 0o644
    return info


def answered(folder: Path) -> None:
    # Both read the environment when they are imported.
    import boto3
    from sagemaker.local import LocalSession
    from sagemaker.model import Model

    port = free_port()
    archive = folder / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for file in sorted((ROOT / "models/tiny").iterdir()):
            tar.add(file, file.name, filter=readable)
    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    # Nothing is told to anybody else.
    silent = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}
    session = LocalSession(boto_session=boto3.Session(**keys), sagemaker_config=silent)
    session.config = {"local": {"local_code": True, "serving_port": port, "container_root": str(folder)}}
    environment = {"SAGEMAKER_BIND_TO_PORT": str(port), "GPT2_API_HOST": "127.0.0.1", "GPT2_API_THREADS": "1"}
    role = "arn:aws:iam::123456789012:role/sagemaker"
    model = Model(IMAGE, f"file://{archive}", role=role, env=environment, sagemaker_session=session)
    model.deploy(1, "local", endpoint_name="gpt-2")
    client = session.sagemaker_runtime_client
    try:
        body = json.dumps({"input": "Once upon a time", "max_length": 20, "num_return_sequences": 2, "seed": 1})
        response = client.invoke_endpoint(Body=body, EndpointName="gpt-2", ContentType="application/json")
        texts = json.loads(response["Body"].read())
    finally:
        session.sagemaker_client.delete_endpoint("gpt-2")
    assert len(texts) == 2 and all(text.startswith("Once upon a time") for text in texts), texts
    print(f"sagemaker-local: the SDK started the image on a model.tar.gz, asked and stopped it: {texts[0]!r}")


def main() -> None:
    if subprocess.run(["podman", "image", "exists", IMAGE], check=False).returncode != 0:
        sys.exit("npm run test:deploy image comes first")
    folder = Path(tempfile.mkdtemp())
    try:
        docker = folder / "bin/docker"
        docker.parent.mkdir()
        docker.write_text(DOCKER)
        docker.chmod(0o755)
        os.environ["SAGEMAKER_SUPPRESS_V2_WARNING"] = "1"
        os.environ["PATH"] = f"{docker.parent}:{os.environ['PATH']}"
        folder.chmod(0o755)
        answered(folder)
    finally:
        shutil.rmtree(folder)


main()
