"""Logits of CTranslate2: `ctranslate2_logits.py DIRECTORY THREADS COMPUTE_TYPE`, of a directory that its converter made."""

import json
import sys
from pathlib import Path

import ctranslate2
import logits
import numpy as np

directory, threads, compute_type = sys.argv[1:]
generator = ctranslate2.Generator(
    directory, device="cpu", compute_type=compute_type, inter_threads=1, intra_threads=int(threads)
)
vocabulary = json.loads((Path(directory) / "vocabulary.json").read_text())  # It takes tokens, not ids.


def answer(window):
    rows = generator.forward_batch([[vocabulary[token] for token in window]])
    return np.array(rows)[0, :, : len(vocabulary)]


logits.run(answer)
