"""Losses: each gives a scalar [], except `gram`, which gives the matrices that style compares."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import onnx_ir as ir

from graphc.spec.layers import Field, Layer
from graphc.spec.layers._axes import reduce, swap_last
from graphc.spec.layers.shape import TO_THE_END

if TYPE_CHECKING:
    from graphc.spec.emit import Emitter

Reduction = Annotated[Literal["mean", "sum"], Field(description="over all elements")]
REDUCE = {"mean": "ReduceMean", "sum": "ReduceSum"}


class Mse(Layer):
    """The mean (or sum) of (a - b)^2. Equal shapes, or one of the two has a batch of 1."""

    primary: ClassVar = "reduction"
    reduction: Reduction = "mean"

    def emit(self, g: Emitter, a: ir.Value, b: ir.Value) -> ir.Value:
        difference = _difference(g, a, b)
        square = g.op("Mul", difference, difference, name="square")
        return reduce(g, REDUCE[self.reduction], square, keepdims=False)


class L1(Layer):
    """The mean (or sum) of |a - b|. Equal shapes, or one of the two has a batch of 1."""

    primary: ClassVar = "reduction"
    reduction: Reduction = "mean"

    def emit(self, g: Emitter, a: ir.Value, b: ir.Value) -> ir.Value:
        distance = g.op("Abs", _difference(g, a, b), name="distance")
        return reduce(g, REDUCE[self.reduction], distance, keepdims=False)


class CrossEntropy(Layer):
    """-log softmax(logits)[label], averaged: logits [N, classes, ...] and integer labels [N, ...]."""

    ignore_index: int | None = Field(None, description="label that is left out of the average")

    def emit(self, g: Emitter, logits: ir.Value, labels: ir.Value) -> ir.Value:
        wanted = [sizes[:1] + sizes[2:] for sizes in g.sizes(logits)]
        integral = labels.dtype in (ir.DataType.INT32, ir.DataType.INT64)
        if g.rank(logits) < 2 or list(g.sizes(labels)) != wanted or not integral:
            g.fail(
                "expected logits [N, classes, ...] and integer labels [N, ...], "
                f"was given {g.show(logits)} and {labels.dtype} {g.show(labels)}",
                code="spec/shape-mismatch",
            )
        return g.op("SoftmaxCrossEntropyLoss", logits, labels, ignore_index=self.ignore_index, reduction="mean")


class Bce(Layer):
    """Binary cross entropy, averaged: -(t log p + (1 - t) log(1 - p)), for targets t of the same shape.

    By default the input is logits x with p = sigmoid(x), computed as max(x, 0) - x t + log(1 + exp(-|x|)),
    which neither overflows nor takes the logarithm of 0.
    """

    logits: bool = Field(True, description="the input is logits; false: probabilities in (0, 1)")

    def emit(self, g: Emitter, x: ir.Value, target: ir.Value) -> ir.Value:
        _same_shape(g, x, target)
        entropy = self._stable(g, x, target) if self.logits else self._plain(g, x, target)
        return reduce(g, "ReduceMean", entropy, keepdims=False)

    @staticmethod
    def _stable(g: Emitter, x: ir.Value, target: ir.Value) -> ir.Value:
        distance = g.op("Neg", g.op("Abs", x, name="magnitude"), name="distance")
        positive = g.op("Sub", g.op("Relu", x, name="positive"), g.op("Mul", x, target, name="hit"), name="cost")
        return g.op("Add", positive, g.op("Softplus", distance, name="softplus"), name="entropy")

    @staticmethod
    def _plain(g: Emitter, x: ir.Value, target: ir.Value) -> ir.Value:
        one = g.constant(1.0)
        hit = g.op("Mul", target, g.op("Log", x, name="log"), name="hit")
        rest = g.op("Log", g.op("Sub", one, x, name="rest"), name="log_rest")
        miss = g.op("Mul", g.op("Sub", one, target, name="wrong"), rest, name="miss")
        return g.op("Neg", g.op("Add", hit, miss, name="likelihood"), name="entropy")


class Gram(Layer):
    """F F^T / (C H W) of features F = [N, C, spatial...]: [N, C, C] (Gatys, Ecker and Bethge 2015)."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return gram(g, x)


class Style(Layer):
    """The mean (or sum) of the squared differences of the Gram matrices of two features [N, C, spatial...].

    Their spatial sizes may differ, and one may have a batch of 1 (Johnson, Alahi and Fei-Fei 2016).
    """

    primary: ClassVar = "reduction"
    reduction: Reduction = "mean"

    def emit(self, g: Emitter, a: ir.Value, b: ir.Value) -> ir.Value:
        return Mse(reduction=self.reduction).emit(g, gram(g, a, "first"), gram(g, b, "second"))


class Tv(Layer):
    """Total variation of [N, C, spatial...]: |neighbour difference|^power, averaged per axis, then summed.

    Power 2 is the smoothness of Johnson et al. 2016, power 1 the anisotropic form of Rudin, Osher and Fatemi
    1992. Reduction 'sum' adds the differences instead of averaging them.
    """

    primary: ClassVar = "power"
    power: Literal[1, 2] = Field(2, description="absolute (1) or squared (2) differences")
    reduction: Reduction = "mean"

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        axes = range(2, g.rank(x))
        if not axes or any(min(sizes[2:]) < 2 for sizes in g.sizes(x)):
            g.fail(
                f"expected [N, C, spatial...] with neighbours on every axis, was given {g.show(x)}",
                code="spec/shape-mismatch",
            )
        total, *rest = (self._axis(g, x, axis, alone=len(axes) == 1) for axis in axes)
        for index, term in enumerate(rest, start=1):
            total = g.op("Add", total, term, name=None if index == len(rest) else "partial")
        return total

    def _axis(self, g: Emitter, x: ir.Value, axis: int, *, alone: bool) -> ir.Value:
        where = g.constant([axis])
        after = g.op("Slice", x, g.constant([1]), g.constant([TO_THE_END]), where, name="after")
        before = g.op("Slice", x, g.constant([0]), g.constant([-1]), where, name="before")
        step = g.op("Sub", after, before, name="difference")
        cost = g.op("Abs", step, name="cost") if self.power == 1 else g.op("Mul", step, step, name="cost")
        return reduce(g, REDUCE[self.reduction], cost, keepdims=False, name=None if alone else "term")


def gram(g: Emitter, x: ir.Value, name: str | None = None) -> ir.Value:
    """The nodes of `Gram`; under `name`, several can stand in one layer."""
    if name is not None:
        with g.scope(name):
            return gram(g, x)
    if g.rank(x) < 3:
        g.fail(f"expected [N, C, spatial...], was given {g.show(x)}", code="spec/shape-mismatch")
    features = g.op("Reshape", x, g.constant([0, g.size(x, 1), -1]), name="features")
    product = g.op("MatMul", features, swap_last(g, features, name="transposed"), name="product")
    fixed = [size for size in g.labels(x)[1:] if isinstance(size, int)]
    if len(fixed) == g.rank(x) - 1:
        return g.op("Mul", product, g.constant(1 / prod(fixed)))
    shape = g.op("Slice", g.op("Shape", x, name="shape"), g.constant([1]), g.constant([TO_THE_END]), name="sizes")
    elements = reduce(g, "ReduceProd", shape, keepdims=False, name="elements")
    return g.op("Div", product, g.op("Cast", elements, name="count", to=g.float_type))


def _difference(g: Emitter, a: ir.Value, b: ir.Value) -> ir.Value:
    _same_shape(g, a, b, batch_broadcasts=True)
    return g.op("Sub", a, b, name="difference")


def _same_shape(g: Emitter, a: ir.Value, b: ir.Value, *, batch_broadcasts: bool = False) -> None:
    for left, right in zip(g.sizes(a), g.sizes(b), strict=True):
        spread = batch_broadcasts and left[1:] == right[1:] and 1 in (*left[:1], *right[:1])
        if left != right and not spread:
            g.fail(
                f"expected two values of one shape, was given {g.show(a)} and {g.show(b)}",
                code="spec/shape-mismatch",
            )
