"""Normalisations, by stored statistics (batch, adaptive) or the input's own (instance, group, layer, LRN)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import onnx_ir as ir

from graphc.spec.layers import Field, Layer
from graphc.spec.layers._axes import axis_of, reduce

if TYPE_CHECKING:
    from graphc.spec.emit import Emitter

Epsilon = Annotated[float, Field(gt=0, description="added to the variance")]
Momentum = Annotated[float, Field(ge=0, le=1, description="share of the old statistics that a training step keeps")]
AffineFlag = Annotated[bool, Field(description="multiply by a trainable scale and add a trainable bias")]


class BatchNorm(Layer):
    """scale (x - mean) / sqrt(variance + epsilon) + bias per channel of [N, C, ...], with running statistics.

    Mean and variance are stored, not trained (Ioffe and Szegedy 2015).
    """

    epsilon: Epsilon = 1e-5
    momentum: Momentum = 0.9

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        channels = _channels(g, x)
        return g.op(
            "BatchNormalization",
            x,
            g.parameter("scale", [channels], "scale"),
            g.parameter("bias", [channels], "shift"),
            g.parameter("mean", [channels], "mean", trainable=False),
            g.parameter("variance", [channels], "variance", trainable=False),
            epsilon=self.epsilon,
            momentum=self.momentum,
        )


class AdaptiveNorm(Layer):
    """lambda x + mu BN(x): trainable scalars choose between the identity and batch normalisation.

    [N, C, ...], same shape out. As published, the batch normalisation has a trainable bias and no scale,
    lambda starts at 1 and mu at 0 (Chen, Xu and Koltun, Fast Image Processing with Fully-Convolutional
    Networks, ICCV 2017).
    """

    epsilon: Epsilon = 1e-3
    momentum: Momentum = 0.999

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        channels = _channels(g, x)
        normal = g.op(
            "BatchNormalization",
            x,
            g.constant(np.ones(channels)),
            g.parameter("bias", [channels], "shift"),
            g.parameter("mean", [channels], "mean", trainable=False),
            g.parameter("variance", [channels], "variance", trainable=False),
            name="batch_norm",
            epsilon=self.epsilon,
            momentum=self.momentum,
        )
        kept = g.op("Mul", x, g.parameter("lambda", [], "scalar", init={"constant": 1.0}), name="kept")
        normal = g.op("Mul", normal, g.parameter("mu", [], "scalar", init={"constant": 0.0}), name="normal")
        return g.op("Add", kept, normal)


class InstanceNorm(Layer):
    """Normalises every channel of every image by its own mean and variance over the spatial axes.

    [N, C, spatial...], same shape out (Ulyanov, Vedaldi and Lempitsky 2016).
    """

    epsilon: Epsilon = 1e-5
    affine: AffineFlag = True

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        channels = _channels(g, x, least_rank=3)
        return g.op("InstanceNormalization", x, *_scale_bias(g, channels, self.affine), epsilon=self.epsilon)


class GroupNorm(Layer):
    """Normalises every group of channels of every image by its own mean and variance; then scale and bias.

    [N, C, spatial...], same shape out; scale and bias are per channel (Wu and He 2018). Below opset 21 it is
    an InstanceNormalization over the groups.
    """

    primary: ClassVar = "groups"
    groups: int = Field(32, alias="g", gt=0, description="groups of channels")
    epsilon: Epsilon = 1e-5
    affine: AffineFlag = True

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        channels = _channels(g, x, least_rank=3)
        if channels % self.groups:
            g.fail(
                f"groups: {self.groups} does not divide the {channels} channels",
                code="spec/groups-do-not-divide",
                hint=f"use a divisor of {channels}",
            )
        if g.opset >= 21:
            scale, bias = _scale_bias(g, channels, self.affine)
            return g.op("GroupNormalization", x, scale, bias, num_groups=self.groups, epsilon=self.epsilon)
        flat = g.op("Reshape", x, g.constant([0, self.groups, -1]), name="flat")
        unit = _scale_bias(g, self.groups, affine=False)
        flat = g.op("InstanceNormalization", flat, *unit, name="grouped", epsilon=self.epsilon)
        y = g.op("Reshape", flat, g.op("Shape", x, name="shape"), name="restored" if self.affine else None)
        if not self.affine:
            return y
        scale, bias = _scale_bias(g, channels, affine=True)
        column = g.constant([channels] + [1] * (g.rank(x) - 2))
        y = g.op("Mul", y, g.op("Reshape", scale, column, name="scale_column"), name="scaled")
        return g.op("Add", y, g.op("Reshape", bias, column, name="bias_column"))


class LayerNorm(Layer):
    """Normalises by the mean and variance over `axis` and all later axes; then scale and bias of those sizes.

    Same shape out (Ba, Kiros and Hinton 2016). Below opset 17 it is spelled out in elementary operators.
    """

    primary: ClassVar = "axis"
    axis: int = Field(-1, description="first axis that is normalised over")
    epsilon: Epsilon = 1e-5
    affine: AffineFlag = True

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        first = axis_of(g, x, self.axis)
        axes = range(first, g.rank(x))
        sizes = tuple(g.size(x, axis) for axis in axes)
        scale = g.parameter("scale", sizes, "scale") if self.affine else g.constant(np.ones(sizes))
        bias = g.parameter("bias", sizes, "shift") if self.affine else None
        if g.opset >= 17:
            return g.op("LayerNormalization", x, scale, bias, axis=first, epsilon=self.epsilon)
        centred = g.op("Sub", x, reduce(g, "ReduceMean", x, axes, name="average"), name="centred")
        square = g.op("Mul", centred, centred, name="square")
        variance = reduce(g, "ReduceMean", square, axes, name="spread")
        variance = g.op("Add", variance, g.constant(self.epsilon), name="regular")
        normal = g.op("Div", centred, g.op("Sqrt", variance, name="deviation"), name="normal")
        if bias is None:
            return g.op("Mul", normal, scale)
        return g.op("Add", g.op("Mul", normal, scale, name="scaled"), bias)


class Lrn(Layer):
    """Local response normalisation: x / (bias + alpha / size * sum of x^2 over `size` near channels)^beta.

    [N, C, H, W], same shape out (Krizhevsky, Sutskever and Hinton 2012, whose values are the defaults;
    there alpha is not divided by the size, so their 1e-4 is 5e-4 here).
    """

    primary: ClassVar = "size"
    size: int = Field(5, gt=0, description="channels in the window, an odd number")
    alpha: float = Field(5e-4, gt=0, description="factor of the mean of the squares")
    beta: float = Field(0.75, gt=0, description="exponent")
    bias: float = Field(2.0, description="added before the power")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        if g.rank(x) != 4:
            g.fail(f"expected [N, C, H, W], was given {g.show(x)}", code="spec/shape-mismatch")
        if self.size % 2 == 0:
            g.fail(f"'size' counts channels on both sides alike, so it is odd, not {self.size}")
        return g.op("LRN", x, alpha=self.alpha, beta=self.beta, bias=self.bias, size=self.size)


def _channels(g: Emitter, x: ir.Value, least_rank: int = 2) -> int:
    if g.rank(x) < least_rank:
        axes = "[N, C, spatial...]" if least_rank > 2 else "[N, C, ...]"
        g.fail(f"expected {axes}, was given {g.show(x)}", code="spec/shape-mismatch")
    return g.size(x, 1)


def _scale_bias(g: Emitter, channels: int, affine: bool) -> tuple[ir.Value, ir.Value]:
    if affine:
        return g.parameter("scale", [channels], "scale"), g.parameter("bias", [channels], "shift")
    return g.constant(np.ones(channels)), g.constant(np.zeros(channels))
