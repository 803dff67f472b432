"""vLLM's CPU build: `vllm_jobs.py DIRECTORY`; the threads are in its environment."""

import sys

import jobs
import vllm

if __name__ == "__main__":  # It starts processes that import this file.
    engine = vllm.LLM(model=sys.argv[1], dtype="float32", max_model_len=1024, enable_prefix_caching=False)

    def generate(prompts, new_tokens, sample):
        search = {"temperature": 0}
        if sample:
            search = {"n": sample["n"], "top_k": sample["topK"], "top_p": sample["topP"]}
        results = engine.generate(
            [{"prompt_token_ids": prompt} for prompt in prompts],
            vllm.SamplingParams(max_tokens=new_tokens, ignore_eos=True, seed=jobs.DEFAULT_SEED, **search),
            use_tqdm=False,
        )
        return sum(len(output.token_ids) for result in results for output in result.outputs)

    jobs.run(f"vLLM {vllm.__version__}", generate)
