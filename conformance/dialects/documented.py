"""The Python of README, the guides and examples/, run as it stands there, against the server of the suite. A block may use what a reader has by
then: the imports of the blocks before it, a client, a key. One that is not run has the reason in a comment above it, as blocks of the
shell have (test/docs/executed.test.ts)."""

import contextlib
import io
import json
import re
import runpy
from pathlib import Path

import boto3
import requests
from aws_requests_auth.boto_utils import BotoAWSRequestsAuth
from checks import BASE, TOKEN, check, run

ROOT = Path(__file__).resolve().parents[2]
PRINTED_ADDRESS = "127.0.0.1:8080"
PRINTED_KEY = '"anything with --auth none, else a key or token"'
BLOCK = re.compile(r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)

HOST = BASE.removeprefix("http://")


def reader():
    """The names that a reader has."""
    client = boto3.client("sagemaker-runtime", endpoint_url=BASE, region_name="us-east-1")
    return {
        "BotoAWSRequestsAuth": BotoAWSRequestsAuth,
        "boto3": boto3,
        "client": client,
        "json": json,
        "key": TOKEN,
        "requests": requests,
    }


def adapted(code):
    return code.replace(PRINTED_ADDRESS, HOST).replace(PRINTED_KEY, repr(TOKEN))


def add_block(name, code, names):
    @check(name)
    def runs_as_it_stands():
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(adapted(code), name, "exec"), names)
        assert "print(" not in code or output.getvalue().strip(), "it printed nothing"


def add_example(path):
    @check(f"examples/python/{path.name}")
    def runs_and_prints():
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            runpy.run_path(str(path), run_name="__main__")
        assert len(output.getvalue()) > 20, output.getvalue()


for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
    names = reader()
    for number, block in enumerate(BLOCK.finditer(path.read_text()), 1):
        if block["reason"] is None:
            add_block(f"{path.relative_to(ROOT)}, block {number}", block["code"], names)
for path in sorted((ROOT / "examples/python").glob("*.py")):
    add_example(path)

run()
