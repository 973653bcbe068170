"""Operators that compute nothing: only bytes. Another view of the same storage moves none."""

from __future__ import annotations

from graphc.costs import ZERO, Cost
from graphc.ops.op import elements, op, size_in_bytes, traffic, written
from graphc.view import Refusal, View, constant


@op("Constant", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")
def renamed(view: View) -> Cost:
    """The same storage under another shape or name."""
    return ZERO


@op("Shape", "Size")
def stated(view: View) -> Cost:
    """Known without reading the data."""
    return written(view)


@op("Cast", "CastLike", "Concat", "ConstantOfShape", "Expand", "Pad", "Tile")
@op("DepthToSpace", "SpaceToDepth", "Transpose")
def copied(view: View) -> Cost:
    """Every operand once."""
    return traffic(view)


@op("Gather", "GatherElements", "GatherND", "Slice", "Split")
def picked(view: View) -> Cost:
    """Of the data only what is written; the operands that say which, whole."""
    out = written(view)
    which = size_in_bytes(view.inputs()[1:])
    return out + Cost(bytes_read=out.bytes_written + which)


@op("Dropout")
def dropout(view: View) -> Cost:
    """In inference the data itself; in training a comparison and a multiplication per element."""
    inputs = view.inputs()
    mode = inputs[2] if len(inputs) > 2 else None
    training = False if mode is None else constant(mode)
    if training is None:
        raise Refusal("training_mode is not known")
    if not training:
        return ZERO
    size = elements(view.node.outputs[0])
    return Cost(cmp=size, mul=size) + traffic(view)
