"""Tests every client with every case, for the exact error name, status and text that the client must show."""

import json
import re
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Callable, Optional

import clients
from service import running_server, spoiling_proxy
from strained import run_strained
from streams import run_streams
from tables import KEY_ID, SECRET, print_table

INPUT = "This is an input text"
EXAMPLE = {
    "input": INPUT,
    "max_length": 50,
    "mode": "sample-top-p",
    "top_p": 0.92,
    "top_k": 50,
    "temperature": 0.7,
    "num_beams": 5,
    "no_repeat_ngram_size": 2,
    "num_return_sequences": 3,
    "seed": -1,
}
MISMATCH = "The request signature we calculated does not match the signature you provided."
PAYLOAD_REFUSED = 'Received client error (400) from primary with message "'

CLIENTS = {
    "boto3": clients.with_boto3,
    "requests": clients.with_requests,
    "curl": clients.with_curl,
    "AWS CLI v1": clients.with_aws_cli,
    "aws4": clients.with_node("aws4"),
    "JS SDK v3": clients.with_node("sdk"),
}
# Error classes of their own: for the errors that the API's model names; all others are these clients' general ones.
GENERAL_ERROR = {"boto3": "ClientError", "JS SDK v3": "SageMakerRuntimeServiceException"}
MODELLED = {"ModelError", "ValidationError"}


@dataclass(frozen=True)
class Case:
    """How the call differs from a correct one, and the expected outcome. Without a `code` it is an answer."""

    name: str
    code: Optional[str] = None
    status: Optional[int] = None
    message: str = ""
    changes: dict = field(default_factory=dict)
    spoil: Optional[Callable] = None
    original: Optional[int] = None
    only: Optional[str] = None
    never: tuple = ()


def refused(name, message, changes=None, spoil=None, code="InvalidSignatureException", **others):
    return Case(name, code, 403, message, changes or {}, spoil, **others)


def drop_authorization(head, body):
    return re.sub(rb"(?im)^authorization:.*\r\n", b"", head), body


def change_host(head, body):
    return re.sub(rb"(?im)^host:.*\r\n", b"Host: other\r\n", head), body


def change_body(head, body):
    return head, body.replace(b"an input", b"my input")


def keep_one_date(head, body):
    """Some versions of curl send an X-Amz-Date that is given to them twice."""
    return re.sub(rb"(?im)^(x-amz-date:.*\r\n)(?=(?:.*\r\n)*\1)", b"", head), body


CASES = [
    Case("ok"),
    refused("wrong secret", MISMATCH, {"secret": SECRET[::-1]}),
    refused(
        "unknown key",
        "The security token included in the request is invalid.",
        {"key_id": "AKIDNOBODY"},
        code="UnrecognizedClientException",
    ),
    refused(
        "wrong region",
        "Credential should be scoped to a valid region, not 'eu-west-1'.",
        {"region": "eu-west-1"},
    ),
    refused(
        "wrong service",
        "Credential should be scoped to correct service: 'sagemaker'.",
        {"service": "s3"},
        never=("AWS CLI v2",),
    ),
    refused("slow clock", "Signature expired: ", {"clock_offset": -600}, keep_one_date, never=("AWS CLI v2",)),
    refused("fast clock", "Signature not yet current: ", {"clock_offset": 600}, keep_one_date, never=("AWS CLI v2",)),
    Case("clock corrected", changes={"clock_offset": -600, "max_attempts": 3}, only="JS SDK v3"),
    refused("tampered body", MISMATCH, spoil=change_body),
    refused(
        "unsigned",
        "Missing Authentication Token",
        spoil=drop_authorization,
        code="MissingAuthenticationTokenException",
    ),
    refused("wrong host", MISMATCH, spoil=change_host),
    Case(
        "unknown endpoint",
        "ValidationError",
        400,
        "Endpoint no-such-endpoint of account ",
        {"endpoint_name": "no-such-endpoint"},
    ),
    Case("bad payload", "ModelError", 424, PAYLOAD_REFUSED, {"body": b'{"input": 5}'}, original=400),
    Case("not JSON", "ModelError", 424, PAYLOAD_REFUSED, {"body": b"input=text"}, original=400),
    Case(
        "oversize (7 MB)",
        "RequestEntityTooLargeException",
        413,
        "HTTP content length exceeded ",
        {"body": json.dumps({"input": "x" * 7_000_000}).encode()},
    ),
]


def faults_of(client, case, outcome):
    """The faults of an outcome, in words; empty if there are none."""
    if case.code is None:
        return [] if outcome.body and is_answer(outcome.body) else [f"no answer: {outcome}"]
    expected = replace(
        clients.Outcome(shown=shown_by(client, case), status=case.status, code=case.code, original=case.original),
        message=outcome.message,
    )
    told = replace(
        expected,
        body=outcome.body,
        shown=outcome.shown,
        status=outcome.status or expected.status,
        code=outcome.code,
        original=outcome.original or expected.original,
    )
    faults = [] if told == expected else [f"expected {expected}, got {outcome}"]
    if not outcome.message or not outcome.message.startswith(case.message):
        faults.append(f'expected a message that starts with "{case.message}", got "{outcome.message}"')
    return faults


def shown_by(client, case):
    """How a client names an error: by exception class, exit code or HTTP status."""
    if client in GENERAL_ERROR:
        return case.code if case.code in MODELLED else GENERAL_ERROR[client]
    exit_codes = {"AWS CLI v1": "exit 255", "AWS CLI v2": "exit 254"}
    return exit_codes.get(client, f"HTTP {case.status}")


def is_answer(body):
    texts = json.loads(body)
    return (
        isinstance(texts, list)
        and len(texts) == 3
        and all(isinstance(text, str) and text.startswith(INPUT) for text in texts)
    )


@contextmanager
def way_to_server(url, case):
    with spoiling_proxy(url, case.spoil) if case.spoil else nullcontext(url) as way:
        yield way


def run_matrix(url):
    """Prints the table and what failed; returns how many calls passed and failed."""
    columns, rows, failures = list(CLIENTS), [], []
    for case in CASES:
        row = []
        for client in columns:
            if case.only not in (None, client) or client in case.never:
                row.append("-")
                continue
            with way_to_server(url, case) as way:
                call = clients.Call(way, json.dumps(EXAMPLE).encode(), KEY_ID, SECRET)
                outcome = CLIENTS[client](replace(call, **case.changes))
            faults = faults_of(client, case, outcome)
            failures += [f"{case.name}, {client}: {fault}" for fault in faults]
            row.append("FAILED" if faults else outcome.shown)
        rows.append([case.name, *row, case.code or "3 texts"])
    print_table([["case", *columns, "error code"], *rows])
    print(*failures, sep="\n")
    cells = [cell for row in rows for cell in row[1:-1] if cell != "-"]
    return len(cells) - cells.count("FAILED"), cells.count("FAILED")


def main(command):
    version = clients.aws_cli_v2_version()
    if version:
        CLIENTS["AWS CLI v2"] = clients.with_aws_cli_v2
    else:
        print("AWS CLI v2 is not on this machine and PyPI does not carry it; its column is left out.")
    keys = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    with running_server(command, keys) as url:
        passed, failed = run_matrix(url)
    for more_passed, more_failed in (run_strained(command, keys, CLIENTS), run_streams(command, keys)):
        passed, failed = passed + more_passed, failed + more_failed
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["node", "dist/src/cli/main.js", "serve", "--port", "0"]))
