"""Arithmetic: between values (with broadcasting), with constants, with trainable numbers, and over axes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce as fold
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import onnx_ir as ir

from graphc.spec.layers import Field, Layer
from graphc.spec.layers._axes import axis_of, check_broadcast, number, reduce, swap_last

if TYPE_CHECKING:
    from graphc.spec.emit import Emitter

Amount = Annotated[float | list[float], Field(description="one number, or one per entry of 'axis'")]
ChannelAxis = Annotated[int, Field(description="the axis of a list of numbers")]
Axes = Annotated[int | list[int] | None, Field(description="axis or axes to reduce; default: all of them")]
KeepDims = Annotated[bool, Field(description="keep reduced axes with size 1")]


class Add(Layer):
    """The sum of two or more values; shapes broadcast from the last axis."""

    def emit(self, g: Emitter, a: ir.Value, b: ir.Value, *more: ir.Value) -> ir.Value:
        return _chain(g, "Add", (a, b, *more))


class Sub(Layer):
    """a - b; shapes broadcast from the last axis."""

    def emit(self, g: Emitter, a: ir.Value, b: ir.Value) -> ir.Value:
        return _chain(g, "Sub", (a, b))


class Mul(Layer):
    """The product of two or more values, elementwise; shapes broadcast from the last axis."""

    def emit(self, g: Emitter, a: ir.Value, b: ir.Value, *more: ir.Value) -> ir.Value:
        return _chain(g, "Mul", (a, b, *more))


class Div(Layer):
    """a / b, elementwise; shapes broadcast from the last axis."""

    def emit(self, g: Emitter, a: ir.Value, b: ir.Value) -> ir.Value:
        return _chain(g, "Div", (a, b))


class Maximum(Layer):
    """The elementwise maximum of two or more values; shapes broadcast from the last axis."""

    def emit(self, g: Emitter, a: ir.Value, b: ir.Value, *more: ir.Value) -> ir.Value:
        check_broadcast(g, a, b, *more)
        return g.op("Max", a, b, *more)


class Minimum(Layer):
    """The elementwise minimum of two or more values; shapes broadcast from the last axis."""

    def emit(self, g: Emitter, a: ir.Value, b: ir.Value, *more: ir.Value) -> ir.Value:
        check_broadcast(g, a, b, *more)
        return g.op("Min", a, b, *more)


class Scale(Layer):
    """factor x, with a constant factor: one number, or one per channel. Same shape out."""

    primary: ClassVar = "factor"
    factor: Amount
    axis: ChannelAxis = 1

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Mul", x, _amount(g, x, self.factor, self.axis))


class Shift(Layer):
    """x + amount, with a constant amount: one number, or one per channel. Same shape out."""

    primary: ClassVar = "amount"
    amount: Amount
    axis: ChannelAxis = 1

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Add", x, _amount(g, x, self.amount, self.axis))


class Affine(Layer):
    """scale x + bias, with trainable numbers per entry of `axis`; scale starts at 1 and bias at 0."""

    primary: ClassVar = "axis"
    axis: int = Field(1, description="the axis that has its own scale and bias")
    bias: bool = Field(True, description="add the bias")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        axis = axis_of(g, x, self.axis)
        sizes = [g.size(x, axis), *[1] * (g.rank(x) - axis - 1)]
        scale = g.parameter("scale", sizes, "scale")
        if not self.bias:
            return g.op("Mul", x, scale)
        return g.op("Add", g.op("Mul", x, scale, name="scaled"), g.parameter("bias", sizes, "shift"))


class Neg(Layer):
    """-x; same shape out."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Neg", x)


class Abs(Layer):
    """|x|; same shape out."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Abs", x)


class Exp(Layer):
    """e to the power x; same shape out."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Exp", x)


class Log(Layer):
    """The natural logarithm of x; same shape out."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Log", x)


class Sqrt(Layer):
    """The square root of x; same shape out."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Sqrt", x)


class Square(Layer):
    """x x; same shape out."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Mul", x, x)


class Pow(Layer):
    """x to a constant power; same shape out."""

    primary: ClassVar = "exponent"
    exponent: float = Field(description="the power")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Pow", x, g.constant(self.exponent))


class Matmul(Layer):
    """The matrix product [..., M, K] [..., K, N] = [..., M, N]; the axes before the last two broadcast."""

    transpose_a: bool = Field(False, description="swap the last two axes of the first input")
    transpose_b: bool = Field(False, description="swap the last two axes of the second input")

    def emit(self, g: Emitter, a: ir.Value, b: ir.Value) -> ir.Value:
        if min(g.rank(a), g.rank(b)) < 2:
            g.fail(f"expected two matrices, was given {g.show(a)} and {g.show(b)}", code="spec/shape-mismatch")
        left = swap_last(g, a, name="a_transposed") if self.transpose_a else a
        right = swap_last(g, b, name="b_transposed") if self.transpose_b else b
        for columns, rows in zip(g.sizes(left), g.sizes(right), strict=True):
            if columns[-1] != rows[-2]:
                g.fail(
                    f"{g.show(left)} times {g.show(right)}: {columns[-1]} columns meet {rows[-2]} rows",
                    code="spec/shape-mismatch",
                    hint="transpose_a and transpose_b swap the last two axes",
                )
        return g.op("MatMul", left, right)


class ReduceMean(Layer):
    """The mean over some axes, which become 1 or vanish; over all of them by default."""

    primary: ClassVar = "axes"
    axes: Axes = None
    keepdims: KeepDims = True

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return reduce(g, "ReduceMean", x, _axes(self.axes), keepdims=self.keepdims)


class ReduceSum(Layer):
    """The sum over some axes, which become 1 or vanish; over all of them by default."""

    primary: ClassVar = "axes"
    axes: Axes = None
    keepdims: KeepDims = True

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return reduce(g, "ReduceSum", x, _axes(self.axes), keepdims=self.keepdims)


class ReduceMax(Layer):
    """The maximum over some axes, which become 1 or vanish; over all of them by default."""

    primary: ClassVar = "axes"
    axes: Axes = None
    keepdims: KeepDims = True

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return reduce(g, "ReduceMax", x, _axes(self.axes), keepdims=self.keepdims)


class ReduceMin(Layer):
    """The minimum over some axes, which become 1 or vanish; over all of them by default."""

    primary: ClassVar = "axes"
    axes: Axes = None
    keepdims: KeepDims = True

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return reduce(g, "ReduceMin", x, _axes(self.axes), keepdims=self.keepdims)


def _axes(axes: int | list[int] | None) -> list[int] | None:
    return [axes] if isinstance(axes, int) else axes


def _chain(g: Emitter, op_type: str, values: Sequence[ir.Value]) -> ir.Value:
    """`values` combined from the left; the last node is the layer's own."""
    check_broadcast(g, *values)
    *first, last = values
    return g.op(op_type, fold(lambda a, b: g.op(op_type, a, b, name="partial"), first), last)


def _amount(g: Emitter, x: ir.Value, amount: float | list[float], axis: int) -> ir.Value:
    if not isinstance(amount, list):
        return number(g, x, amount)
    axis = axis_of(g, x, axis)
    size = g.size(x, axis)
    if len(amount) != size:
        g.fail(f"{len(amount)} numbers for axis {axis} of {g.show(x)}", code="spec/shape-mismatch")
    return number(g, x, np.reshape(amount, [size] + [1] * (g.rank(x) - axis - 1)))
