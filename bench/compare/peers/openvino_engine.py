"""OpenVINO GenAI's continuous batching, as the two OpenVINO programs here use it."""

import openvino_genai as ov_genai

CACHE_GB = 1


def load(directory: str, threads: int) -> ov_genai.ContinuousBatchingPipeline:
    scheduling = ov_genai.SchedulerConfig()
    scheduling.cache_size = CACHE_GB
    scheduling.enable_prefix_caching = False
    return ov_genai.ContinuousBatchingPipeline(
        directory, scheduling, "CPU", {"INFERENCE_NUM_THREADS": threads}
    )


def settings(new_tokens: int, sample: dict | None) -> ov_genai.GenerationConfig:
    """Greedy without `sample`, which is what `jobs.py` describes."""
    config = ov_genai.GenerationConfig()
    config.max_new_tokens = new_tokens
    config.ignore_eos = True
    if sample:
        config.do_sample = True
        config.num_return_sequences = sample["n"]
        config.top_k = sample["topK"]
        config.top_p = sample["topP"]
    return config
