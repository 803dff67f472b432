"""Writes test/fixtures/generation/stops.json: transformers' answers when stop strings end a text, on the shipped model in f32. Run it
as `conformance/generation/run.sh stops`. No stop string begins in the prompt, because transformers searches the prompt too."""

import json
import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
from transformers import AutoTokenizer, GPT2LMHeadModel

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "conformance/generation/run.sh stops"
PROMPTS = ["The old man looked at the sea and", "A server should answer", "In the beginning", "naïve café —"]
STOPS = [["ot a"], ["m n"], [" a m"], ["a man", "man"], [" don"], ["\n"], [". "], [",", "e t"], ["the s"], ["\""], ["ing", "in"]]


def main() -> None:
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "models/tiny")
    model = GPT2LMHeadModel.from_pretrained(ROOT / "models/tiny", dtype=torch.float32, attn_implementation="eager").eval()
    cases = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        for stop in STOPS:
            for beams in (1, 3, 4):
                with torch.no_grad():
                    out = model.generate(
                        ids, attention_mask=torch.ones_like(ids), do_sample=False, num_beams=beams, max_new_tokens=20,
                        num_return_sequences=min(beams, 2), no_repeat_ngram_size=2 if beams > 1 else 0,
                        stop_strings=stop, tokenizer=tokenizer, pad_token_id=50256, return_dict_in_generate=True,
                        output_scores=True, early_stopping=False, length_penalty=1.0,
                    )
                rows = [row[ids.shape[1] :].tolist() for row in out.sequences]
                rows = [row[: row.index(50256)] if 50256 in row else row for row in rows]
                scores = {"scores": [float(f"{s:.6g}") for s in out.sequences_scores.tolist()]} if beams > 1 else {}
                cases.append({"input": prompt, "stop": stop, "num_beams": beams, "new_tokens": rows, **scores})
    data = {"command": COMMAND, "transformers": transformers.__version__, "cases": cases}
    text = json.dumps(data, ensure_ascii=False).replace('{"input"', '\n{"input"')
    (ROOT / "test/fixtures/generation/stops.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
