"""Dense layers: fully connected, flatten, embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import onnx_ir as ir

from graphc.spec.layers import Field, Init, Layer, LayerRef, WeightInit
from graphc.spec.layers._axes import axis_of

if TYPE_CHECKING:
    from graphc.spec.emit import Emitter


class Dense(Layer):
    """Fully connected: x W^T + b over the last axis, [..., C] to [..., out]; the weight is [out, C].

    A Gemm for [N, C]; for more axes a MatMul with the transposed weight and an Add.
    """

    primary: ClassVar = "out"
    out: int = Field(gt=0, description="size of the last output axis")
    bias: bool = Field(True, description="add one trainable number per output")
    init: WeightInit = None
    act: LayerRef | None = Field(None, description="a layer applied last")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        y = project(g, x, self.out, bias=self.bias, init=self.init)
        if self.act is not None:
            y = g.layer(self.act, y, name="act")
        return y


class Flatten(Layer):
    """The axes from `axis` on as one: [N, C, H, W] to [N, C H W] by default."""

    primary: ClassVar = "axis"
    axis: int = Field(1, description="first axis that is merged; those before it become one, too")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Flatten", x, axis=axis_of(g, x, self.axis))


class Embedding(Layer):
    """Row x of a trainable table [vocab, dim] for every integer x: [...] to [..., dim]."""

    vocab: int = Field(gt=0, description="rows of the table, one more than the largest integer")
    dim: int = Field(gt=0, description="size of a row")
    init: WeightInit = None

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        if x.dtype not in (ir.DataType.INT32, ir.DataType.INT64):
            g.fail(
                f"expected integer ids (i32 or i64), was given {x.dtype} {g.show(x)}",
                code="spec/shape-mismatch",
                hint="declare the input as i64[...]",
            )
        sizes = (self.vocab, self.dim)
        table = g.parameter("weight", sizes, "embedding", init=self.init, fan_in=self.vocab, fan_out=self.dim)
        return g.op("Gather", table, x, axis=0)


def project(
    g: Emitter, x: ir.Value, out: int, *, bias: bool, init: Init | None = None, name: str | None = None
) -> ir.Value:
    """The nodes and weights of `Dense`; under `name`, several can stand in one layer."""
    if name is not None:
        with g.scope(name):
            return project(g, x, out, bias=bias, init=init)
    if g.rank(x) < 2:
        g.fail(f"expected [..., C], was given {g.show(x)}", code="spec/shape-mismatch")
    channels = g.size(x, -1)
    weight = g.parameter("weight", (out, channels), init=init, fan_in=channels, fan_out=out)
    shift = g.parameter("bias", [out], "bias") if bias else None
    if g.rank(x) == 2:
        return g.op("Gemm", x, weight, shift, transB=1)
    turned = g.op("Transpose", weight, name="weight_transposed", perm=[1, 0])
    if shift is None:
        return g.op("MatMul", x, turned)
    return g.op("Add", g.op("MatMul", x, turned, name="product"), shift)
