"""OpenVINO GenAI: `openvino_jobs.py DIRECTORY THREADS`, of a directory that Optimum exported."""

import sys

import jobs
import numpy as np
import openvino as ov
import openvino_engine
import openvino_genai as ov_genai

pipeline = openvino_engine.load(sys.argv[1], int(sys.argv[2]))


def generate(prompts, new_tokens, sample):
    inputs = [ov.Tensor(np.array([prompt], dtype=np.int64)) for prompt in prompts]
    results = pipeline.generate(inputs, [openvino_engine.settings(new_tokens, sample)] * len(prompts))
    return sum(len(ids) for result in results for ids in result.m_generation_ids)


jobs.run(f"OpenVINO GenAI {ov_genai.__version__}", generate)
