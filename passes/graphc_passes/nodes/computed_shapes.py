"""Reading shapes that a graph computes: which of their elements are numbers, which the sizes of some data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx_ir as ir

from graphc import Refusal, View, constant
from graphc_passes.nodes.slicing import Cut, read_slice
from graphc_passes.nodes.stated import shape_of


@dataclass(frozen=True)
class SizeOf:
    """The size, known at run time only, of that axis of the data in question."""

    axis: int


Element: TypeAlias = int | SizeOf | None  # None: nothing is known of it
INFERRED = -1  # as an element of a Reshape's shape


def own_sizes(data: ir.Value) -> list[Element]:
    """The size of each axis. Raises Refusal when their number is not known."""
    return [size if isinstance(size, int) else SizeOf(axis) for axis, size in enumerate(shape_of(data))]


def read_reshape(reshape: View, sizes: Sequence[Element], data: ir.Value) -> list[Element]:
    """The shape that a Reshape gives to what has these sizes, INFERRED where it is left to follow from the others.

    `data` is what `SizeOf` is about. Raises Refusal when its shape is computed in a way that is not known here.
    """
    if reshape.opset < 5:
        raise Refusal("Reshape of opset 1 says it otherwise")
    target, copies = _elements(reshape, reshape.required("shape"), data), not reshape.attr("allowzero")
    if copies and any(size == 0 for size in target[len(sizes) :]):
        raise Refusal("a 0 of Reshape copies an axis that is not there")
    return [sizes[axis] if size == 0 and copies else size for axis, size in enumerate(target)]


def same_count(a: Sequence[Element], b: Sequence[Element]) -> bool:
    """Whether tensors of these sizes surely have equally many elements."""
    if None in a or None in b or INFERRED in a or INFERRED in b:
        return False
    numbers = [int(np.prod([size for size in sizes if isinstance(size, int)], dtype=object)) for sizes in (a, b)]
    return numbers[0] == numbers[1] and _dynamic(a) == _dynamic(b)


def _dynamic(sizes: Sequence[Element]) -> Counter[Element]:
    return Counter(size for size in sizes if isinstance(size, SizeOf))


# ---------------------------------------------------------------- shape arithmetic


def _elements(view: View, value: ir.Value, data: ir.Value) -> list[Element]:
    """The elements of an integer tensor of any shape, flat."""
    content = constant(value)
    if content is not None:
        return [int(element) for element in content.reshape(-1)]
    maker = value.producer()
    if maker is None or maker.op_type not in _READERS:
        raise Refusal("a shape is not known")
    return _READERS[maker.op_type](view.made_by(value, maker.op_type), data)


def _shape(view: View, data: ir.Value) -> list[Element]:
    shaped = view.required("data")
    sizes = own_sizes(shaped)
    if shaped is not data:
        sizes = [size if isinstance(size, int) else None for size in sizes]
    return sizes[slice(view.attr("start") or 0, view.attr("end"))]


def _gather(view: View, data: ir.Value) -> list[Element]:
    of, view_axis = _elements(view, view.required("data"), data), view.attr("axis")
    indices = view.constant("indices").reshape(-1)
    if view_axis not in (0, -1) or any(not -len(of) <= index < len(of) for index in indices):
        raise Refusal("a shape is not known")
    return [of[index] for index in indices]


def _slice(view: View, data: ir.Value) -> list[Element]:
    of, cuts = _elements(view, view.required("data"), data), read_slice(view)
    return [of[index] for index in cuts.get(0, Cut(0, len(of))).of(len(of))]


def _concat(view: View, data: ir.Value) -> list[Element]:
    view.attr("axis")  # shapes have one
    return [element for part in view.inputs() if part is not None for element in _elements(view, part, data)]


def _same_elements(view: View, data: ir.Value) -> list[Element]:
    """Of an operator that changes no integer, whatever its attributes and other inputs say."""
    for name in view.node.attributes:
        view.attr(name)
    first, *_ = view.inputs()
    if first is None or (view.op_type == "Cast" and view.attr("to") not in (ir.DataType.INT64, ir.DataType.INT32)):
        raise Refusal("a shape is not known")
    return _elements(view, first, data)


def _arithmetic(view: View, data: ir.Value) -> list[Element]:
    a, b = (_elements(view, view.required(name), data) for name in ("A", "B"))
    if len(a) != 1 or len(b) != 1 or not isinstance(a[0], int) or not isinstance(b[0], int):
        raise Refusal("a shape is not known")
    return [_OPERATORS[view.op_type](a[0], b[0])]


def _quotient(a: int, b: int) -> int:
    if a < 0 or b <= 0:
        raise Refusal("a shape is not known")
    return a // b


_OPERATORS: dict[str, Callable[[int, int], int]] = {"Mul": lambda a, b: a * b, "Div": _quotient}
_READERS: dict[str, Callable[[View, ir.Value], list[Element]]] = {
    "Shape": _shape,
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    **dict.fromkeys(("Identity", "Cast", "Unsqueeze", "Squeeze", "Reshape"), _same_elements),
    **dict.fromkeys(_OPERATORS, _arithmetic),
}
