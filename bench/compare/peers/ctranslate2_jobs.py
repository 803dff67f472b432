"""CTranslate2: `ctranslate2_jobs.py DIRECTORY THREADS COMPUTE_TYPE`, of a directory that its converter made."""

import json
import sys
from pathlib import Path

import ctranslate2
import jobs

directory, threads, compute_type = sys.argv[1:]
generator = ctranslate2.Generator(
    directory, device="cpu", compute_type=compute_type, inter_threads=1, intra_threads=int(threads)
)
vocabulary = json.loads((Path(directory) / "vocabulary.json").read_text())  # It takes tokens, not ids.
ctranslate2.set_random_seed(jobs.DEFAULT_SEED)


def generate(prompts, new_tokens, sample):
    search = {"sampling_topk": 1}
    if sample:
        search = {"num_hypotheses": sample["n"], "sampling_topk": sample["topK"], "sampling_topp": sample["topP"]}
    results = generator.generate_batch(
        [[vocabulary[token] for token in prompt] for prompt in prompts],
        max_length=new_tokens,
        include_prompt_in_result=False,
        **search,
    )
    return sum(len(ids) for result in results for ids in result.sequences_ids)


jobs.run(f"CTranslate2 {ctranslate2.__version__}", generate)
