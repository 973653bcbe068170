"""How PyTorch lays out a value in memory, as far as it decides what backward keeps.

Views share the storage of what they are views of. A Reshape is a view only where strides can say the new shape;
otherwise it copies, and the copy is kept beside the original. Only views change strides here: whatever an operator
computes is contiguous.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod
from operator import mul

import onnx_ir as ir

from graphc.convolution import static_shape
from graphc.view import Refusal, View, constant

LONGEST_CHAIN = 16  # views of views; what lies behind counts as contiguous
RESHAPES = ("Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")
VIEWS = (*RESHAPES, "Expand", "Slice", "Split", "Transpose")


def strides_of(value: ir.Value) -> tuple[int, ...]:
    """Elements to the next one along each dimension. Raises Refusal where a shape is not known."""
    chain: list[ir.Node] = []
    node = value.producer()
    while node is not None and not node.domain and node.op_type in VIEWS and len(chain) < LONGEST_CHAIN:
        chain.append(node)
        source = node.inputs[0]
        node = None if source is None else source.producer()
    root = chain[-1].inputs[0] if chain else value
    if root is None:
        raise Refusal(f"'{value.name}' is a view of nothing")
    strides = contiguous(static_shape(root))
    for view in reversed(chain):
        strides = _through(view, strides)
    return strides


def contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    """Row-major strides."""
    return tuple(reversed(list(accumulate(reversed(shape[1:]), mul, initial=1)))) if shape else ()


def viewed(shape: Sequence[int], strides: Sequence[int], new: Sequence[int]) -> tuple[int, ...] | None:
    """The strides that say `shape` with `strides` as the shape `new`; None when only a copy can.

    Dimensions that lie behind one another in memory are one run; each run is cut into new dimensions.
    """
    if not prod(new):
        return contiguous(new)
    runs: list[list[int]] = []  # [elements, stride of the innermost]
    for size, stride in zip(shape, strides, strict=True):
        if size == 1:
            continue
        if runs and runs[-1][1] == size * stride:
            runs[-1] = [runs[-1][0] * size, stride]
        else:
            runs.append([size, stride])
    found: list[int] = []
    left, stride = runs.pop() if runs else (1, 1)
    for size in reversed(new):
        if left == 1 and runs and size > 1:
            left, stride = runs.pop()
        if left % size:
            return None
        found.append(stride)
        left, stride = left // size, stride * size
    return tuple(reversed(found))


def reshaped(value: ir.Value, new: Sequence[int], *, broadcast: Sequence[int] | None = None) -> bool:
    """Whether a value, first broadcast to a shape if one is given, is still the same storage reshaped to `new`."""
    shape, strides = static_shape(value), strides_of(value)
    if broadcast is not None:
        shape, strides = tuple(broadcast), _broadcast(shape, strides, broadcast)
    return viewed(shape, strides, new) is not None


def _broadcast(shape: Sequence[int], strides: Sequence[int], new: Sequence[int]) -> tuple[int, ...]:
    """Strides of 0 wherever the same elements are read again."""
    missing = len(new) - len(shape)
    own = zip(new[missing:], shape, strides, strict=True)
    return (0,) * missing + tuple(0 if size != old else stride for size, old, stride in own)


def _through(node: ir.Node, strides: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of what a view makes of a value with these."""
    view, (source, out) = View(node), (node.inputs[0], node.outputs[0])
    before, after = static_shape(source) if source is not None else (), static_shape(out)
    if node.op_type == "Transpose":
        order = view.attr("perm") or range(len(strides) - 1, -1, -1)
        return tuple(strides[axis] for axis in order)
    if node.op_type == "Expand":
        return _broadcast(before, strides, after)
    if node.op_type in RESHAPES:
        return viewed(before, strides, after) or contiguous(after)
    return strides  # a part: Slice, whose steps count as 1, and Split


def is_selection(view: View) -> bool:
    """Whether a Gather picks one position, known beforehand: PyTorch's `select`, a view."""
    index = view.node.inputs[1]
    return index is not None and static_shape(index) == () and constant(index) is not None
