"""What the Python programs of this folder share: the checks of one client, and the command line that runs them. The server's address
and a bearer token come in the environment; without a token the server lets everybody in, and clients send a key that means nothing."""

import os
import sys
import traceback

PROMPT = "The old man looked at the sea and"
GREEDY = ' said, "I am not a man, but I am'
BASE = os.environ["GPT2_API_URL"]
INVOCATIONS = f"{BASE}/endpoints/gpt-2/invocations"
IS_OPEN = "GPT2_API_TOKEN" not in os.environ
TOKEN = os.environ.get("GPT2_API_TOKEN", "unused")

checks = []


def check(client):
    def add(function):
        checks.append((f"{client}: {function.__name__.replace('_', ' ')}", function))
        return function

    return add


def same(got, want):
    assert got == want, f"got {got!r}, expected {want!r}"


def raises(kind, action):
    """The error of this kind that the action raises."""
    try:
        result = action()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised; the result is {result!r}")


def run():
    failed = 0
    for name, function in checks:
        try:
            function()
            print(f"ok      {name}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
    sys.exit(1 if failed else 0)
