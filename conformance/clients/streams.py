"""Tests response streams with the two clients that can read them, for every way in which a stream can end."""

import json
import time
from dataclasses import replace

import clients
from service import free_port, metric, running_server
from tables import LONG, a_call, print_table

EXAMPLE = {"input": "This is an input text \U0001f388", "max_length": 30, "num_return_sequences": 3, "seed": 7}
LEAVING_SECONDS = 20

WHOLE = {"boto3": clients.with_boto3_stream, "JS SDK v3": clients.with_node("stream")}
FIRST_PART = {"boto3": lambda call: clients.with_boto3_stream(call, 1), "JS SDK v3": clients.with_node("leave")}


def ok(url, _admin, client):
    """The parts joined are the bytes of the ordinary answer and a line feed."""
    call = a_call(url, EXAMPLE)
    outcome = WHOLE[client](call)
    return outcome.parts > 1 and outcome.body == clients.with_boto3(call).body + "\n", outcome


def ok_lines(url, _admin, client):
    """Every line is an object; the texts of an index joined are a text of the ordinary answer."""
    call = a_call(url, EXAMPLE)
    outcome = WHOLE[client](replace(call, accept="application/jsonlines"))
    texts = ["", "", ""]
    for line in (outcome.body or "").splitlines():
        piece = json.loads(line)
        texts[piece["index"]] += piece["text"]
    return texts == json.loads(clients.with_boto3(call).body), outcome


def error_first(url, _admin, client):
    """An error before the first part is that of the operation."""
    outcome = WHOLE[client](a_call(url, {"input": 5}))
    right = (outcome.shown, outcome.code, outcome.status, outcome.original, outcome.parts)
    return right == ("ModelError", "ModelError", 424, 400, 0), outcome


def error_midway(url, _admin, client):
    """An error after the first part is raised while the stream is read."""
    outcome = WHOLE[client](a_call(url, LONG))
    shown = {"boto3": "EventStreamError", "JS SDK v3": "ModelStreamError"}[client]
    return (outcome.shown, outcome.code) == (shown, "ModelStreamError") and outcome.parts > 0, outcome


def client_gone(url, admin, client):
    """When a client leaves, the pages of its request are free long before the request would have ended."""
    outcome = FIRST_PART[client](a_call(url, LONG))
    deadline = time.monotonic() + LEAVING_SECONDS
    while time.monotonic() < deadline and metric(admin, "gpt2_kv_pages_in_use"):
        time.sleep(0.05)
    finished = metric(admin, "gpt2_generated_tokens_total")
    return outcome.parts == 1 and not metric(admin, "gpt2_kv_pages_in_use") and finished < 10_000, outcome


CASES = [ok, ok_lines, error_first, client_gone]


def run_streams(command, keys):
    """Prints the table and what failed; returns how many calls passed and failed."""
    failures, rows = [], []
    admin = free_port()
    with running_server([*command, "--admin-port", str(admin)], keys) as url:
        rows += [row(case, url, admin, failures) for case in CASES]
    with running_server([*command, "--request-deadline-ms", "3000"], keys) as url:
        rows.append(row(error_midway, url, None, failures))
    print_table([["stream", *WHOLE], *rows])
    print(*failures, sep="\n")
    return len(rows) * len(WHOLE) - len(failures), len(failures)


def row(case, url, admin, failures):
    cells = []
    for client in WHOLE:
        right, outcome = case(url, admin, client)
        if not right:
            failures.append(f"{case.__name__}, {client}: {case.__doc__} Got {outcome}")
        cells.append(outcome.shown if right else "FAILED")
    return [case.__name__.replace("_", " "), *cells]
