"""Axes and shapes as ONNX counts them: what layers of several families ask of their inputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

if TYPE_CHECKING:
    from graphc.spec.emit import Emitter

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
            sizes = ", ".join(f"{name} = {point[name]}" for name in g.ranged)
            found = " and ".join(str(shape) for shape in shapes)
            g.fail(
                f"shapes {shown} do not broadcast" + (f": at {sizes} they are {found}" if sizes else ""),
                code="spec/shape-mismatch",
                hint="counted from the last axis, sizes must be equal or 1",
            )


def number(g: Emitter, x: ir.Value, content: float | np.ndarray) -> ir.Value:
    """A constant of the type of `x`; fails when an integer type would round it."""
    integral = x.dtype is not None and x.dtype.is_integer()
    if integral and not np.all(np.mod(content, 1) == 0):
        g.fail(f"{content} is no number of type {x.dtype}", code="spec/bad-type", hint="put a Cast before it")
    return g.constant(content, x.dtype)
