"""Exports the checkpoint for ONNX Runtime, with 8-bit weights: `export_onnx.py CHECKPOINT DIRECTORY`."""

import sys
from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic
from optimum.exporters.onnx import main_export

checkpoint, directory = sys.argv[1], Path(sys.argv[2])
main_export(checkpoint, directory, task="text-generation-with-past", do_validation=False)
(directory / "onnx").mkdir()
# As the published models of transformers.js are made.
quantize_dynamic(directory / "model.onnx", directory / "onnx/model_quantized.onnx", weight_type=QuantType.QInt8)
for file in directory.glob("model.onnx*"):
    file.unlink()
