"""What integers an input of a model may hold: an index lies inside what it indexes, a label is a class.

Found by following the input through operators that only move integers to those that use them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import onnx_ir as ir

from graphc.metadata import evaluate_dim

# Operators that hand integers on as they are, from their first input.
MOVES = frozenset(
    {
        "Cast",
        "Expand",
        "Flatten",
        "Identity",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    }
)
JOINS = frozenset({"Concat", "Where"})  # the same, from any input


def index_range(value: ir.Value, sizes: Mapping[str, int]) -> tuple[int, int]:
    """[low, high) of an integer input: the tightest of what its consumers accept, else a byte or 0..9."""
    bounds = list(_accepted(value, sizes))
    if bounds:
        return max(low for low, _ in bounds), min(high for _, high in bounds)
    return (0, 256) if value.dtype == ir.DataType.UINT8 else (0, 10)


def _accepted(value: ir.Value, sizes: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    """The range that each operator that takes `value` as indices, lengths or class labels accepts."""
    pending, seen = [value], {value}
    while pending:
        for node, position in pending.pop().uses():
            moves = node.op_type in JOINS or (node.op_type in MOVES and position == 0)
            fresh = [out for out in node.outputs if moves and out not in seen]
            seen.update(fresh)
            pending += fresh
            rule = _INDICES.get((node.op_type, position))
            found = rule(node, sizes) if rule else None
            if found is not None:
                yield found


def _axis_size(node: ir.Node, position: int, axis: int, sizes: Mapping[str, int]) -> int | None:
    """The size of one axis of an input, if it is known."""
    data = node.inputs[position]
    if data is None or data.shape is None or not -len(data.shape) <= axis < len(data.shape):
        return None
    dim = data.shape[axis]
    return dim if isinstance(dim, int) else evaluate_dim(dim.value or "", sizes)


def _gathered(node: ir.Node, sizes: Mapping[str, int]) -> tuple[int, int] | None:
    axis = node.attributes.get("axis")
    size = _axis_size(node, 0, axis.as_int() if axis is not None else 0, sizes)
    return (0, size) if size else None


def _leading(node: ir.Node, sizes: Mapping[str, int]) -> tuple[int, int] | None:
    """GatherND, ScatterND: a tuple of indices, each below the smallest of the leading axes."""
    found = [
        _axis_size(node, 0, axis, sizes) for axis in range(len(node.inputs[0].shape or ()) if node.inputs[0] else 0)
    ]
    known = [size for size in found if size]
    return (0, min(known)) if known else None


def _classes(node: ir.Node, sizes: Mapping[str, int]) -> tuple[int, int] | None:
    size = _axis_size(node, 0, 1, sizes)
    return (0, size) if size else None


def _depth(node: ir.Node, sizes: Mapping[str, int]) -> tuple[int, int] | None:
    depth = node.inputs[1].const_value if node.inputs[1] is not None else None
    return (0, int(depth.numpy().reshape(-1)[0])) if depth is not None else None


def _sequence(node: ir.Node, sizes: Mapping[str, int]) -> tuple[int, int] | None:
    size = _axis_size(node, 0, 0, sizes)
    return (1, size + 1) if size else None


_INDICES: dict[tuple[str, int], Callable[[ir.Node, Mapping[str, int]], tuple[int, int] | None]] = {
    ("Gather", 1): _gathered,
    ("GatherElements", 1): _gathered,
    ("ScatterElements", 1): _gathered,
    ("GatherND", 1): _leading,
    ("ScatterND", 1): _leading,
    ("OneHot", 0): _depth,
    ("SoftmaxCrossEntropyLoss", 1): _classes,
    ("NegativeLogLikelihoodLoss", 1): _classes,
    ("RNN", 4): _sequence,
    ("GRU", 4): _sequence,
    ("LSTM", 4): _sequence,
}
