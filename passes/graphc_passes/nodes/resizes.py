"""Making a Resize, at every opset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from graphc import Tape, constant
from graphc_passes.nodes.resampling import Resampling
from graphc_passes.nodes.stated import attributes_of


def repeated(op: Tape, data: ir.Value, factors: Sequence[int]) -> ir.Value:
    """`data` with every element of each axis repeated that often."""
    scales = op.constant(np.asarray(factors, np.float32), name="scales")
    if op.opset < 11:
        made = op.record("Upsample" if op.opset < 10 else "Resize", data, scales, mode="nearest")
    else:
        roi = op.constant(np.zeros(0, np.float32), name="roi") if op.opset < 13 else None
        floor = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        made = op.Resize(data, roi, scales, mode="nearest", **floor)
    return made


def remade(op: Tape, resampling: Resampling, data: ir.Value, channels: int) -> ir.Value:
    """The same Resize of `data`, which has that many channels. Its sizes are constants, and so stay in the graph."""
    view = resampling.view
    inputs = [view.input(name) for name in ("roi", "scales", "sizes")] if view.opset >= 11 else [view.input("scales")]
    stated = constant(inputs[-1]) if len(inputs) == 3 and inputs[-1] is not None else None
    if stated is not None and stated.size:
        axes = [axis % resampling.rank for axis in view.attr("axes") or range(resampling.rank)]
        sizes = [channels if axis == 1 else int(size) for axis, size in zip(axes, stated, strict=True)]
        inputs[-1] = op.constant(sizes, name="sizes")
    while inputs[-1] is None:
        inputs.pop()
    return op.record(view.op_type, data, *inputs, **attributes_of(view))
