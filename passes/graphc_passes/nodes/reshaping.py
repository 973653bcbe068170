"""Other axes for the same elements, at every opset: axes of length 1 in and out, an axis in parts."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from graphc import Tape


def unsqueeze(op: Tape, data: ir.Value, axes: Sequence[int]) -> ir.Value:
    """`data` with axes of length 1 at these places of the result."""
    return op.Unsqueeze(data, op.constant(list(axes))) if op.opset >= 13 else op.Unsqueeze(data, axes=list(axes))


def squeeze(op: Tape, data: ir.Value, axes: Sequence[int]) -> ir.Value:
    """`data` without these axes, which have length 1."""
    return op.Squeeze(data, op.constant(list(axes))) if op.opset >= 13 else op.Squeeze(data, axes=list(axes))


def split(op: Tape, value: ir.Value, sizes: Sequence[int], axis: int = 1) -> tuple[ir.Value, ...]:
    """Parts of these sizes along an axis; the sizes were an attribute before opset 13."""
    if op.opset < 13:
        parts = op.Split(value, axis=axis, split=list(sizes), outputs=len(sizes))
    else:
        parts = op.Split(value, op.constant(list(sizes)), axis=axis, outputs=len(sizes))
    return parts


def split_equally(op: Tape, data: ir.Value, count: int, axis: int) -> tuple[ir.Value, ...]:
    """Equal parts. Opset 18 wants to be told how many."""
    return op.record("Split", data, outputs=count, axis=axis, num_outputs=count if op.opset >= 18 else None)
