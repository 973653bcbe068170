"""Hostile models for the cases of lints: what no exporter writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)
SUM = '<ir_version: 8, opset_import: ["" : 20]> g (float[2, 3] x) => (float[2, 3] y) { y = Add(x, w) }'


def write(folder: Path, text: str, *tensors: onnx.TensorProto) -> Path:
    """A model in ONNX's text form, with these tensors as initializers, as a file."""
    model = onnx.parser.parse_model(text)
    model.graph.initializer.extend(tensors)
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def external(folder: Path, location: str = "w.bin", **entries: object) -> Path:
    """x + w, with w in a file: good data lies in `w.bin`, and a secret beside the model's folder."""
    inside = folder / "model"
    inside.mkdir()
    (folder / "secret").write_bytes(VALUES.tobytes())
    (inside / "w.bin").write_bytes(VALUES.tobytes())
    tensor = onnx.TensorProto(
        name="w", dims=VALUES.shape, data_type=onnx.TensorProto.FLOAT, data_location=onnx.TensorProto.EXTERNAL
    )
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    return write(inside, SUM, tensor)
