"""Tests this server with real clients, on the shipped model in f32: every client must understand every answer, and all must get the same
texts. All checks run twice: with bearer tokens made from the server's key pair, and against a server without authentication.
`matrix.py PROGRAM…` takes the environments that run.sh made, as ENVIRONMENT:FILE. Exit code 1 if a check fails."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COMMAND = Path(os.environ.get("GPT2_API", ROOT / "dist/src/cli/main.js"))
PAIR = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "a secret of the suite"}
PROGRAM_SECONDS_MAX = 300
os.environ.update(PAIR, AWS_REGION="us-east-1", AWS_REGION_NAME="us-east-1", AWS_DEFAULT_REGION="us-east-1")


@contextlib.contextmanager
def server(auth):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["node", COMMAND, "serve", "--model", ROOT / "models/tiny", "--precision", "f32", "--port", str(port), *auth]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{base}/ping").read()
                break
            time.sleep(0.1)
        yield base
    finally:
        process.terminate()
        process.wait(30)


def run(program, environment):
    """Runs one program. Returns how many checks passed and failed. A crash counts as a failure."""
    interpreter, file = program.split(":")
    command = [interpreter, HERE / file]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=PROGRAM_SECONDS_MAX)
    print(done.stdout, end="", flush=True)
    passed, failed = (len(re.findall(f"^{word}", done.stdout, re.MULTILINE)) for word in ("ok ", "FAILED "))
    if done.returncode not in (0, 1) or passed + failed == 0 or (done.returncode == 1) != (failed > 0):
        print(f"FAILED  {file} ended with {done.returncode}\n{done.stderr[-2000:]}")
        failed += 1
    return passed, failed


def main() -> int:
    passed = failed = 0
    token = subprocess.run(["node", COMMAND, "token"], capture_output=True, text=True, check=True).stdout.strip()
    ways = [("a bearer token", [], {"GPT2_API_TOKEN": token}), ("--auth none", ["--auth", "none"], {})]
    for name, auth, environment in ways:
        print(f"--- {name}", flush=True)
        with server(auth) as base:
            for program in sys.argv[1:]:
                now = run(program, {"GPT2_API_URL": base, **environment})
                passed, failed = passed + now[0], failed + now[1]
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
