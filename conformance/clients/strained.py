"""What every client shows when the server is too slow or overloaded."""

import time
from contextlib import closing, contextmanager

import clients
from botocore.exceptions import ClientError
from service import running_server
from tables import LONG, a_call, print_table

MODELLED = {"boto3", "JS SDK v3"}
TIMED_OUT = 'Received server error (0) from primary with message "Your invocation timed out'
SHORT = {"input": "The sea", "max_length": 8}


@contextmanager
def occupied(url):
    """Keeps a stream open that fills the queue. An earlier one may need a moment to end."""
    for _ in range(100):
        try:
            events = clients.boto3_stream(a_call(url, LONG))
            break
        except ClientError:
            time.sleep(0.1)
    with closing(events):
        next(iter(events))
        yield


def run_strained(command, keys, tested):
    """Prints the table and what failed; returns how many calls passed and failed."""
    row_slow, row_full, failures = [], [], []
    with running_server([*command, "--request-deadline-ms", "1000"], keys) as url:
        for name, client in tested.items():
            outcome = client(a_call(url, LONG))
            row_slow.append(judged("slow", name, outcome, "ModelError", 424, TIMED_OUT, failures))
    with running_server([*command, "--queue-requests-max", "1"], keys) as url:
        for name, client in tested.items():
            with occupied(url):
                outcome = client(a_call(url, SHORT))
            row_full.append(judged("overloaded", name, outcome, "ServiceUnavailable", 503, "", failures))
    print_table(
        [
            ["case", *tested, "error code"],
            ["slow", *row_slow, "ModelError"],
            ["overloaded", *row_full, "ServiceUnavailable"],
        ]
    )
    print(*failures, sep="\n")
    return 2 * len(tested) - len(failures), len(failures)


def judged(case, name, outcome, code, status, message, failures):
    """The cell of a table; a wrong outcome is added to `failures`."""
    right = (
        outcome.body is None
        and outcome.code == code
        and outcome.status in (None, status)
        and outcome.message.startswith(message)
        and (name not in MODELLED or outcome.shown == code)
    )
    if not right:
        failures.append(f"{case}, {name}: expected {code} {status}, got {outcome}")
    return outcome.shown if right else "FAILED"
