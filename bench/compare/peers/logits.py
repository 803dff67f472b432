"""A contestant's logits for the bench: a window a line comes in, its logits go out.

A window is a list of token ids. The answer is the bytes of an array of float32, [ids of the window, vocabulary]: row i
is what the model says after token i.
"""

import json
import os
import sys
from collections.abc import Callable

import numpy as np

# What libraries print must not come between the answers; import this file before them.
ANSWERS = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)


def run(logits: Callable[[list[int]], np.ndarray]) -> None:
    """Answers windows until there are no more."""
    for line in sys.stdin:
        ANSWERS.write(np.ascontiguousarray(logits(json.loads(line)), dtype="<f4").tobytes())
        ANSWERS.flush()
