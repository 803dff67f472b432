"""The software under test: its command line, one process for all requests of a checkpoint."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("GPT2_API", ROOT / "dist/src/cli/main.js"))


class Run:
    """A running process that answers a file of requests; it works while the reference does."""

    def __init__(self, command: str, model: Path, requests: list[dict], *flags: str):
        file = model / f"{command}.jsonl"
        file.write_text("".join(json.dumps(request) + "\n" for request in requests))
        self.output = file.with_suffix(".out")
        arguments = ["node", PROGRAM, command, "--model", model, "--precision", "f32", "--requests", file, *flags]
        with self.output.open("w") as out:
            self.process = subprocess.Popen(arguments, stdout=out, stderr=subprocess.PIPE, text=True)

    def answers(self, count: int) -> list[dict]:
        _, errors = self.process.communicate()
        answers = [json.loads(line) for line in self.output.read_text().splitlines()]
        if len(answers) != count:
            raise RuntimeError(f"{len(answers)} answers came to {count} requests: {errors}")
        return answers
