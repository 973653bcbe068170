"""Axes and shapes as ONNX counts them: what layers of several families ask of their inputs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

if TYPE_CHECKING:
    from graphc.spec.emit import Emitter, Point, Sizes

REDUCE_AXES_INPUT = {"ReduceSum": 13}  # opset since which axes are an input; every other Reduce* has 18


def reduce(
    g: Emitter,
    op_type: str,
    x: ir.Value,
    axes: Iterable[int] | None = None,
    *,
    keepdims: bool = True,
    name: str | None = None,
) -> ir.Value:
    """`ReduceMean` and its kin over `axes` (None: all of them)."""
    if axes is None:
        return g.op(op_type, x, name=name, keepdims=int(keepdims))
    wanted = [axis_of(g, x, axis) for axis in axes]
    if g.opset >= REDUCE_AXES_INPUT.get(op_type, 18):
        return g.op(op_type, x, g.constant(wanted), name=name, keepdims=int(keepdims))
    return g.op(op_type, x, name=name, axes=wanted, keepdims=int(keepdims))


def axis_of(g: Emitter, x: ir.Value, axis: int) -> int:
    """`axis` counted from the front; fails when `x` has no such axis."""
    rank = g.rank(x)
    if not -rank <= axis < rank:
        g.fail(f"there is no axis {axis} in {g.show(x)}", code="spec/shape-mismatch")
    return axis % rank


def swap_last(g: Emitter, x: ir.Value, *, name: str | None = None) -> ir.Value:
    """`x` [..., M, N] as [..., N, M]."""
    rank = g.rank(x)
    return g.op("Transpose", x, name=name, perm=[*range(rank - 2), rank - 1, rank - 2])


def check_broadcast(g: Emitter, *values: ir.Value) -> None:
    """Fails unless the shapes broadcast from the last axis."""
    for point, *shapes in zip(g.points, *(g.sizes(value) for value in values), strict=True):
        try:
            np.broadcast_shapes(*shapes)
        except ValueError:
            shown = " and ".join(g.show(value) for value in values)
            g.fail(
                f"shapes {shown} do not broadcast{_at(g, point, shapes)}",
                code="spec/shape-mismatch",
                hint="counted from the last axis, sizes must be equal or 1",
            )


def _at(g: Emitter, point: Point, shapes: Sequence[Sizes]) -> str:
    """`: at H = 62 they are (1, 62) and (1, 64)`; nothing where every dimension has one size."""
    sizes = ", ".join(f"{name} = {point[name]}" for name in g.ranged)
    return f": at {sizes} they are {' and '.join(map(str, shapes))}" if sizes else ""


@dataclass(frozen=True)
class Difference:
    """Shapes that differ: each as a message shows it, at which sizes (where that is news), and a hint for rounding."""

    shown: tuple[str, ...]
    at: str
    hint: str


def difference(g: Emitter, values: Sequence[ir.Value], beside: int | None = None) -> Difference | None:
    """How the shapes differ on axes other than `beside`, or None where they are equal at every point."""
    for point, *shapes in zip(g.points, *(g.sizes(value) for value in values), strict=True):
        if len({(len(shape), _without(shape, beside)) for shape in shapes}) > 1:
            plain = all(None not in g.labels(value) for value in values)
            at = "" if plain else _at(g, point, shapes)
            return Difference(tuple(map(g.show, values)), at, _rounded(g, values, beside))
    return None


def _without(shape: Sizes, axis: int | None) -> Sizes:
    if axis is None or not shape:
        return shape
    axis %= len(shape)
    return shape[:axis] + shape[axis + 1 :]


def _rounded(g: Emitter, values: Sequence[ir.Value], beside: int | None) -> str:
    """What to do where sizes differ because a range does not divide: the gap grows and shrinks with the size."""
    rank = g.rank(values[0])
    if any(g.rank(value) != rank for value in values):
        return ""
    names, elsewhere = set[str](), set[str]()
    for axis in range(rank):
        columns = [tuple(shape[axis] for shape in g.sizes(value)) for value in values]
        labels = [g.labels(value)[axis] for value in values]
        words = {word for label in labels for word in re.findall(r"[A-Za-z_]\w*", str(label or ""))}
        if len(set(columns)) == 1 or (beside is not None and axis == beside % rank):
            elsewhere |= words
            continue
        gaps = {tuple(size - sizes[0] for size in sizes) for sizes in zip(*columns, strict=True)}
        if len(gaps) == 1 or None not in labels or any(isinstance(label, int) for label in labels):
            return ""
        names |= words
    dims = [name for name in g.ranged if name in (names or set(g.ranged) - elsewhere)]
    them = "them" if dims[1:] else "it"
    return f"{' and '.join(dims)} need not be divisible: give {them} multiple_of, or crop" if dims else ""


def number(g: Emitter, x: ir.Value, content: float | np.ndarray) -> ir.Value:
    """A constant of the type of `x`; fails when an integer type would round it."""
    integral = x.dtype is not None and x.dtype.is_integer()
    if integral and not np.all(np.mod(content, 1) == 0):
        g.fail(f"{content} is no number of type {x.dtype}", code="spec/bad-type", hint="put a Cast before it")
    return g.constant(content, x.dtype)
