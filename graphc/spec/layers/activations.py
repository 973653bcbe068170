"""Activations: same shape out as in, any shape; all but softmax act on every element alone."""

from __future__ import annotations

from math import pi, sqrt
from typing import TYPE_CHECKING, ClassVar, Literal

import onnx_ir as ir

from graphc.spec.layers import Field, Layer
from graphc.spec.layers._axes import axis_of, number

if TYPE_CHECKING:
    from graphc.spec.emit import Emitter


class Identity(Layer):
    """x, unchanged."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Identity", x)


class Relu(Layer):
    """max(x, 0) (Nair and Hinton 2010)."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Relu", x)


class Relu6(Layer):
    """min(max(x, 0), 6) (Krizhevsky 2010)."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return Clip(min=0.0, max=6.0).emit(g, x)


class Clip(Layer):
    """min(max(x, min), max); either bound may be left out."""

    min: float | None = Field(None, description="lower bound; none by default")
    max: float | None = Field(None, description="upper bound; none by default")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        low = None if self.min is None else number(g, x, self.min)
        high = None if self.max is None else number(g, x, self.max)
        return g.op("Clip", x, low, high)


class LeakyRelu(Layer):
    """x where x >= 0, else alpha x (Maas, Hannun and Ng 2013)."""

    primary: ClassVar = "alpha"
    alpha: float = Field(0.01, description="slope below zero")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("LeakyRelu", x, alpha=self.alpha)


class Prelu(Layer):
    """x where x >= 0, else slope x, with a trainable slope (He et al. 2015). [N, C, ...], same shape out."""

    primary: ClassVar = "init"
    init: float = Field(0.25, description="the slope before training")
    shared: bool = Field(False, description="one slope for all channels instead of one per channel")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        if not self.shared and g.rank(x) < 2:
            g.fail(f"expected [N, C, ...], was given {g.show(x)}", code="spec/shape-mismatch")
        sizes = [1] if self.shared else [g.size(x, 1), *[1] * (g.rank(x) - 2)]
        return g.op("PRelu", x, g.parameter("slope", sizes, "scale", init={"constant": self.init}))


class Elu(Layer):
    """x where x >= 0, else alpha (exp(x) - 1) (Clevert, Unterthiner and Hochreiter 2015)."""

    primary: ClassVar = "alpha"
    alpha: float = Field(1.0, description="minus the limit below zero")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Elu", x, alpha=self.alpha)


class Selu(Layer):
    """gamma times elu(x) with the constants that keep mean 0 and variance 1 (Klambauer et al. 2017)."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Selu", x)


class Celu(Layer):
    """max(0, x) + min(0, alpha (exp(x / alpha) - 1)) (Barron 2017)."""

    primary: ClassVar = "alpha"
    alpha: float = Field(1.0, gt=0, description="minus the limit below zero")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Celu", x, alpha=self.alpha)


class Gelu(Layer):
    """x Phi(x), Phi the normal distribution function (Hendrycks and Gimpel 2016)."""

    primary: ClassVar = "approximate"
    approximate: Literal["none", "tanh"] = Field("none", description="use the error function, or tanh")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        if g.opset >= 20:
            return g.op("Gelu", x, approximate=self.approximate)
        if self.approximate == "none":
            bent = g.op("Erf", g.op("Div", x, g.constant(sqrt(2)), name="scaled"), name="erf")
        else:  # tanh(sqrt(2 / pi) (x + 0.044715 x^3))
            cube = g.op("Mul", g.op("Mul", x, x, name="square"), x, name="cube")
            inner = g.op("Add", x, g.op("Mul", cube, g.constant(0.044715), name="small_cube"), name="inner")
            bent = g.op("Tanh", g.op("Mul", inner, g.constant(sqrt(2 / pi)), name="scaled"), name="tanh")
        gate = g.op("Add", bent, g.constant(1.0), name="gate")
        return g.op("Mul", g.op("Mul", x, gate, name="gated"), g.constant(0.5))


class Silu(Layer):
    """x sigmoid(x) (Elfwing, Uchibe and Doya 2017)."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Mul", x, g.op("Sigmoid", x, name="sigmoid"))


class Swish(Layer):
    """x sigmoid(beta x) (Ramachandran, Zoph and Le 2017); with beta 1 it is `silu`."""

    primary: ClassVar = "beta"
    beta: float = Field(1.0, description="steepness of the gate")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        steep = g.op("Mul", x, g.constant(self.beta), name="steep") if self.beta != 1.0 else x
        return g.op("Mul", x, g.op("Sigmoid", steep, name="sigmoid"))


class Mish(Layer):
    """x tanh(softplus(x)) (Misra 2019)."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        if g.opset >= 18:
            return g.op("Mish", x)
        return g.op("Mul", x, g.op("Tanh", g.op("Softplus", x, name="softplus"), name="tanh"))


class HardSwish(Layer):
    """x min(max(x / 6 + 1/2, 0), 1) (Howard et al. 2019)."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        if g.opset >= 14:
            return g.op("HardSwish", x)
        return g.op("Mul", x, g.op("HardSigmoid", x, name="gate", alpha=1 / 6, beta=0.5))


class HardSigmoid(Layer):
    """min(max(alpha x + beta, 0), 1), a piecewise linear sigmoid; the defaults are those of MobileNetV3."""

    alpha: float = Field(1 / 6, description="slope")
    beta: float = Field(0.5, description="value at 0")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("HardSigmoid", x, alpha=self.alpha, beta=self.beta)


class Sigmoid(Layer):
    """1 / (1 + exp(-x))."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Sigmoid", x)


class Tanh(Layer):
    """The hyperbolic tangent of x."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Tanh", x)


class Softplus(Layer):
    """log(1 + exp(x)) (Dugas et al. 2001)."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Softplus", x)


class Softsign(Layer):
    """x / (1 + |x|) (Bergstra et al. 2009)."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Softsign", x)


class Softmax(Layer):
    """exp(x) over its sum along `axis`; same shape out."""

    primary: ClassVar = "axis"
    axis: int = Field(-1, description="the axis that sums to one")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Softmax", x, axis=axis_of(g, x, self.axis))


class LogSoftmax(Layer):
    """The logarithm of `softmax`; same shape out."""

    primary: ClassVar = "axis"
    axis: int = Field(-1, description="the axis whose exponentials sum to one")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("LogSoftmax", x, axis=axis_of(g, x, self.axis))
