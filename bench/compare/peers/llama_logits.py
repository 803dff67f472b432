"""Logits of llama.cpp: `llama_logits.py MODEL.gguf THREADS`, by its Python binding with the library that was built here.

The binding's folder is on PYTHONPATH, and LLAMA_CPP_LIB_PATH is the folder of the library.
"""

import sys

import logits
from llama_cpp import Llama

path, threads = sys.argv[1:]
model = Llama(path, n_ctx=1024, n_batch=1024, n_threads=int(threads), logits_all=True, verbose=False)


def answer(window):
    model.reset()
    model.eval(window)
    return model.scores[: len(window)]


logits.run(answer)
