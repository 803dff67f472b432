"""Logits of Hugging Face transformers: `transformers_logits.py DIRECTORY THREADS float32|bfloat16`."""

import sys

import logits
import torch
from transformers import AutoModelForCausalLM

directory, threads, dtype = sys.argv[1:]
torch.set_num_threads(int(threads))
model = AutoModelForCausalLM.from_pretrained(directory, dtype=getattr(torch, dtype))


def answer(window):
    with torch.inference_mode():
        return model(torch.tensor([window])).logits[0].float().numpy()


logits.run(answer)
