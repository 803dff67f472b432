"""Log-probabilities of tokens by Hugging Face transformers, eager attention in f32.

Reads a line of JSON for each text: {"ids": [...], "asked": [[position, id], ...]}. Writes a line for each: the natural logarithm of the
probability of each asked token as the one at that position.
"""

import json
import sys

import torch
from transformers import GPT2LMHeadModel

model = GPT2LMHeadModel.from_pretrained(sys.argv[1], attn_implementation="eager", dtype=torch.float32).eval()
for line in sys.stdin:
    text = json.loads(line)
    with torch.no_grad():
        logprobs = model(torch.tensor([text["ids"]])).logits[0].log_softmax(-1)
    print(json.dumps([logprobs[position - 1, token].item() for position, token in text["asked"]]))
