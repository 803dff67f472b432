"""Hugging Face transformers on PyTorch's CPU backend: `transformers_jobs.py DIRECTORY THREADS float32|bfloat16`."""

import sys

import jobs
import torch
import transformers
from transformers import AutoModelForCausalLM

directory, threads, dtype = sys.argv[1:]
torch.set_num_threads(int(threads))
torch.manual_seed(jobs.DEFAULT_SEED)
model = AutoModelForCausalLM.from_pretrained(directory, dtype=getattr(torch, dtype))


def generate(prompts, new_tokens, sample):
    ids = torch.tensor(prompts)
    search = {"do_sample": False}
    if sample:
        search = {
            "do_sample": True,
            "num_return_sequences": sample["n"],
            "top_k": sample["topK"],
            "top_p": sample["topP"],
        }
    with torch.inference_mode():
        answer = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=new_tokens,
            pad_token_id=model.config.eos_token_id,
            **search,
        )
    return answer.shape[0] * (answer.shape[1] - ids.shape[1])


jobs.run(f"transformers {transformers.__version__}, torch {torch.__version__}", generate)
