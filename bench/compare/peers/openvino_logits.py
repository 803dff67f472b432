"""Logits of OpenVINO: `openvino_logits.py DIRECTORY THREADS`, of a directory that Optimum exported.

GenAI's pipelines give no logits of a prompt. This runs the same model on the same plugin with the same settings.
"""

import sys
from pathlib import Path

import logits
import numpy as np
import openvino as ov

directory, threads = sys.argv[1:]
model = ov.Core().compile_model(
    Path(directory) / "openvino_model.xml", "CPU", {"INFERENCE_NUM_THREADS": int(threads)}
)
names = {name for tensor in model.inputs for name in tensor.get_names()}
request = model.create_infer_request()


def answer(window):
    ids = np.array([window], dtype=np.int64)
    inputs = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "position_ids": np.arange(len(window), dtype=np.int64)[None],
        "beam_idx": np.zeros(1, dtype=np.int32),
    }
    request.reset_state()
    request.infer({name: value for name, value in inputs.items() if name in names})
    return request.get_tensor("logits").data[0]


logits.run(answer)
