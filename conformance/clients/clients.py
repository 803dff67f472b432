"""The clients, each as one function from a call to its outcome, as a user of that client would see it."""

import base64
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Optional
from unittest import mock

import boto3
import requests
from aws_requests_auth import aws_auth
from aws_requests_auth.boto_utils import BotoAWSRequestsAuth
from botocore.config import Config
from botocore.exceptions import ClientError

from botocore_faults import faults

HERE = Path(__file__).parent
CLI_ERROR = re.compile(
    r"(?:aws: \[ERROR\]: )?An error occurred \((\w+)\) when calling the InvokeEndpoint operation"
    r"(?: \(reached max retries: \d+\))?: ?(.*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Call:
    """One InvokeEndpoint; `clock_offset` is in seconds, by how much the client's clock is ahead."""

    url: str
    body: bytes
    key_id: str
    secret: str
    endpoint_name: str = "gpt-2"
    region: str = "us-east-1"
    service: str = "sagemaker"
    clock_offset: int = 0
    max_attempts: int = 1
    accept: Optional[str] = None

    @property
    def path(self):
        return f"/endpoints/{self.endpoint_name}/invocations"

    @property
    def environment(self):
        """The variables a client takes its keys from, shielded from the configuration of the machine."""
        return {
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_MAX_ATTEMPTS": str(self.max_attempts),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@dataclass(frozen=True)
class Outcome:
    """Either the `body` of an answer, or an error as the client shows it. None: the client does not show this."""

    body: Optional[str] = None
    shown: str = "answer"
    status: Optional[int] = None
    code: Optional[str] = None
    message: str = ""
    original: Optional[int] = None
    parts: Optional[int] = None


def boto3_client(call):
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=call.url,
        region_name=call.region,
        aws_access_key_id=call.key_id,
        aws_secret_access_key=call.secret,
        config=Config(retries={"total_max_attempts": call.max_attempts}),
    )


def boto3_error(error):
    return Outcome(
        shown=type(error).__name__,
        status=error.response["ResponseMetadata"]["HTTPStatusCode"] if "ResponseMetadata" in error.response else None,
        code=error.response["Error"]["Code"],
        message=error.response["Error"]["Message"],
        original=error.response.get("OriginalStatusCode"),
    )


def boto3_stream(call):
    """The events of a response stream, as an iterator that must be closed."""
    accept = {"Accept": call.accept} if call.accept else {}
    return boto3_client(call).invoke_endpoint_with_response_stream(
        EndpointName=call.endpoint_name, ContentType="application/json", Body=call.body, **accept
    )["Body"]


def with_boto3_stream(call, parts_max=None):
    parts = []
    try:
        with closing(boto3_stream(call)) as events:
            for event in events:
                parts.append(event["PayloadPart"]["Bytes"])
                if len(parts) == parts_max:
                    break
        return Outcome(b"".join(parts).decode(), parts=len(parts))
    except ClientError as error:  # EventStreamError is one.
        return replace(boto3_error(error), parts=len(parts))


def with_boto3(call):
    with faults(call.clock_offset, call.service):
        try:
            response = boto3_client(call).invoke_endpoint(
                EndpointName=call.endpoint_name, ContentType="application/json", Body=call.body
            )
            return Outcome(response["Body"].read().decode())
        except ClientError as error:
            return boto3_error(error)


def http_outcome(status, error_type, body):
    if status == 200:
        return Outcome(body)
    answer = json.loads(body)
    return Outcome(
        shown=f"HTTP {status}",
        status=status,
        code=error_type,
        message=answer.get("message", answer.get("Message")),
        original=answer.get("OriginalStatusCode"),
    )


def with_requests(call):
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=call.clock_offset)
    clock = SimpleNamespace(datetime=SimpleNamespace(utcnow=lambda: now))
    with mock.patch.dict(os.environ, call.environment), mock.patch.object(aws_auth, "datetime", clock):
        auth = BotoAWSRequestsAuth(
            aws_host=call.url.removeprefix("http://"), aws_region=call.region, aws_service=call.service
        )
        headers = {"Content-Type": "application/json"}
        response = requests.post(call.url + call.path, data=call.body, headers=headers, auth=auth, timeout=60)
    return http_outcome(response.status_code, response.headers.get("x-amzn-errortype"), response.text)


def with_curl(call):
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=call.clock_offset)
    date = ["-H", f"X-Amz-Date: {now:%Y%m%dT%H%M%SZ}"] if call.clock_offset else []
    with tempfile.TemporaryDirectory() as folder:
        headers, answer = Path(folder, "headers"), Path(folder, "answer")
        done = run(
            [
                *("curl", "--silent", "--show-error", "--max-time", "60", "--dump-header", headers, "--output", answer),
                *("--aws-sigv4", f"aws:amz:{call.region}:{call.service}", "--user", f"{call.key_id}:{call.secret}"),
                *("-H", "Content-Type: application/json", *date, "--data-binary", "@-", call.url + call.path),
            ],
            input=call.body,
        )
        if done.returncode != 0:
            return Outcome(shown=f"exit {done.returncode}", message=done.stderr.decode().strip())
        last = headers.read_text().strip().split("\n\n")[-1]
        status = int(re.match(r"HTTP/\S+ (\d+)", last)[1])
        error_type = re.search(r"(?im)^x-amzn-errortype: *(\S+)", last)
        return http_outcome(status, error_type and error_type[1], answer.read_text())


def with_aws_cli(call, program=None, options=()):
    """The AWS CLI; `program` None: version 1 from this environment, with the mistakes that the call asks for."""
    if program is None and call.clock_offset == 0 and call.service == "sagemaker":
        program = [Path(sys.executable).with_name("aws")]
    elif program is None:
        program = [sys.executable, HERE / "botocore_faults.py", str(call.clock_offset), call.service]
    with tempfile.TemporaryDirectory() as folder:
        body, answer = Path(folder, "body"), Path(folder, "answer")
        body.write_bytes(call.body)
        # A long body does not fit on the command line.
        given = call.body.decode() if len(call.body) < 100_000 else f"fileb://{body}"
        done = run(
            [
                *(*program, "--endpoint-url", call.url, "--region", call.region, *options),
                *("sagemaker-runtime", "invoke-endpoint", "--endpoint-name", call.endpoint_name),
                *("--content-type", "application/json", "--body", given, answer),
            ],
            env={**os.environ, **call.environment},
        )
        if done.returncode == 0:
            return Outcome(answer.read_text())
    error = done.stderr.decode().strip()
    parts = CLI_ERROR.fullmatch(error)
    code, message = parts.groups() if parts else (None, error)
    return Outcome(shown=f"exit {done.returncode}", code=code, message=message)


def with_aws_cli_v2(call):
    return with_aws_cli(call, ["aws"], ["--cli-binary-format", "raw-in-base64-out"])


def with_node(client):
    def invoke(call):
        fields = {
            "url": call.url,
            "body": base64.b64encode(call.body).decode(),
            "keyId": call.key_id,
            "secret": call.secret,
            "endpointName": call.endpoint_name,
            "region": call.region,
            "service": call.service,
            "clockOffset": call.clock_offset,
            "maxAttempts": call.max_attempts,
            "accept": call.accept,
        }
        done = run(["node", HERE / "invoke.js", client], input=json.dumps(fields).encode())
        if done.returncode != 0:
            return Outcome(shown=f"exit {done.returncode}", message=done.stderr.decode().strip()[-2000:])
        return Outcome(**json.loads(done.stdout))

    return invoke


def run(command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, check=False, **options)


def aws_cli_v2_version():
    """The version line of an AWS CLI v2 on this machine, or None; PyPI carries version 1 only."""
    if shutil.which("aws") is None:
        return None
    version = run(["aws", "--version"]).stdout.decode()
    return version.strip() if version.startswith("aws-cli/2.") else None
