"""The protocol between a contestant's process and the benchmark: one job per line comes in, its time goes out.

A job is {"prompts": [[token id, ...], ...], "newTokens": N, "sample": null or {"n", "topK", "topP"}}: greedy without
`sample`. All prompts of a job may be computed together. The answer has the seconds and the number of generated tokens.
"""

import json
import os
import sys
import time
from collections.abc import Callable

DEFAULT_SEED = 1

# What libraries print must not come between the answers; import this file before them.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def run(version: str, generate: Callable[[list[list[int]], int, dict | None], int]) -> None:
    """Answers jobs until there are no more. `generate` returns the number of new tokens of all sequences."""
    print(json.dumps({"version": version}), file=ANSWERS, flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        start = time.perf_counter()
        tokens = generate(job["prompts"], job["newTokens"], job["sample"])
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "tokens": tokens}), file=ANSWERS, flush=True)
