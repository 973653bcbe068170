"""Convolutions: plain, grouped, dilated, depthwise, pointwise and transposed, over 1 to 3 spatial axes."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import onnx_ir as ir
from pydantic import BeforeValidator

from graphc.axis import Axis
from graphc.spec.layers import Field, Init, Layer, LayerRef, PerAxis, WeightInit
from graphc.spec.layers._axes import reduce
from graphc.spec.layers._window import (
    Dilation,
    Kernel,
    Pad,
    Stride,
    explicit_pads,
    pad_spatial,
    per_axis,
    spatial_rank,
    split_pads,
    window,
)

if TYPE_CHECKING:
    from graphc.spec.emit import Emitter

Out = Annotated[int, Field(gt=0, description="output channels")]
Groups = Annotated[int, Field(alias="g", gt=0, description="channel groups that do not mix")]
PadMode = Annotated[
    Literal["zero", "reflect", "edge"],
    Field(description="what the padding holds; reflect and edge become a Pad node before the convolution"),
]
Bias = Annotated[bool, Field(description="add one trainable number per output channel")]
WeightNorm = Annotated[
    bool,
    Field(description="use the weight g v / |v|, a norm per entry of its first axis (Salimans, Kingma 2016)"),
]
NORMS = {"bn": "batch_norm", "in": "instance_norm", "gn": "group_norm", "ln": "layer_norm", "none": None}


def _norm(ref: object) -> object:
    """The layer that a norm's short name stands for."""
    return NORMS.get(ref, ref) if isinstance(ref, str) else ref


def _act(ref: object) -> object:
    return None if ref == "none" else ref


Norm = Annotated[
    LayerRef | None,
    BeforeValidator(_norm),
    Field(description="a layer applied to the result, before 'act'; bn, in, gn, ln for the four usual ones"),
]
Act = Annotated[LayerRef | None, BeforeValidator(_act), Field(description="a layer applied last")]


class Conv(Layer):
    """Convolution of [N, C, spatial...] to [N, out, spatial...], one to three spatial axes.

    y[n, o, i] = b[o] + sum over c, t of w[o, c, t] x[n, c, stride i - pad + dilation t]. The weight is
    [out, C / groups, kernel...]. With the default pad 'same' the spatial sizes are ceil(input / stride).
    """

    primary: ClassVar = "out"
    out: Out
    kernel: Kernel = (3,)
    stride: Stride = (1,)
    pad: Pad = "same"
    pad_mode: PadMode = "zero"
    dilation: Dilation = (1,)
    groups: Groups = 1
    bias: Bias = True
    weight_norm: WeightNorm = False
    init: WeightInit = None
    norm: Norm = None
    act: Act = None

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        view = window(g, x, kernel=self.kernel, stride=self.stride, dilation=self.dilation, pad=self.pad)
        channels = _grouped_channels(g, x, self.out, self.groups)
        pads = view.pads
        if self.pad_mode != "zero" and any(pads):
            x = pad_spatial(g, x, view.begin, view.end, mode=self.pad_mode, name="pad")
            pads = (0,) * len(pads)
        taps = prod(view.kernel)
        weight = _weight(
            g,
            (self.out, channels // self.groups, *view.kernel),
            fans=(channels // self.groups * taps, self.out // self.groups * taps),
            init=self.init,
            normalised=self.weight_norm,
        )
        y = g.op(
            "Conv",
            x,
            weight,
            g.parameter("bias", [self.out], "bias") if self.bias else None,
            kernel_shape=view.kernel,
            strides=view.stride,
            pads=pads,
            dilations=view.dilation,
            group=self.groups,
        )
        return _finish(g, y, self.norm, self.act)


class Dw(Layer):
    """Depthwise convolution: every input channel has its own kernels and does not mix with the others.

    [N, C, spatial...] to [N, C multiplier, spatial...]; output channel o reads input channel o // multiplier.
    The weight is [out, 1, kernel...].
    """

    primary: ClassVar = "out"
    out: int | None = Field(None, gt=0, description="output channels, a multiple of the input's; default: as many")
    multiplier: int | None = Field(None, gt=0, description="output channels per input channel, instead of 'out'")
    kernel: Kernel = (3,)
    stride: Stride = (1,)
    pad: Pad = "same"
    pad_mode: PadMode = "zero"
    dilation: Dilation = (1,)
    bias: Bias = True
    weight_norm: WeightNorm = False
    init: WeightInit = None
    norm: Norm = None
    act: Act = None

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        spatial_rank(g, x)
        channels = g.size(x, 1)
        if self.out is not None and self.multiplier is not None and self.out != channels * self.multiplier:
            g.fail(
                f"{channels} channels times multiplier {self.multiplier} are not out: {self.out}",
                hint="give one",
            )
        out = self.out or channels * (self.multiplier or 1)
        if out % channels:
            g.fail(
                f"a depthwise convolution of {channels} channels gives a multiple of {channels}, not {out}",
                code="spec/groups-do-not-divide",
                hint="mix channels with 'pw', or with 'conv' and 'groups'",
            )
        shared = self.model_dump(exclude={"out", "multiplier"})
        return Conv.model_validate({**shared, "out": out, "groups": channels}).emit(g, x)


class Pw(Layer):
    """Pointwise convolution: one tap, so a matrix over the channels at every position.

    [N, C, spatial...] to [N, out, ceil(spatial / stride)...]; the weight is [out, C / groups, 1...].
    """

    primary: ClassVar = "out"
    out: Out
    stride: Stride = (1,)
    groups: Groups = 1
    bias: Bias = True
    weight_norm: WeightNorm = False
    init: WeightInit = None
    norm: Norm = None
    act: Act = None

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return Conv.model_validate({**self.model_dump(), "kernel": 1, "pad": 0}).emit(g, x)


class ConvTranspose(Layer):
    """Transposed convolution of [N, C, spatial...]: the input gradient of a convolution with these arguments.

    Each input element adds its kernel, taps `dilation` apart, into the output at steps of `stride`; the size
    is stride (input - 1) + output_padding + dilation (kernel - 1) + 1 - pads. The weight is
    [C, out / groups, kernel...]. The default pad 'same' removes dilation (kernel - 1) + 1 - stride +
    output_padding elements, the odd one at the end, which makes the output exactly stride times the input.
    """

    primary: ClassVar = "out"
    out: Out
    kernel: Kernel = (4,)
    stride: Stride = (2,)
    pad: Annotated[
        Literal["same", "valid"] | int | list[int],
        Field(
            alias="p",
            description="elements removed from the output: 'same' (down to stride times the input), "
            "'valid' (none), an integer, one per axis, or all begins then all ends",
        ),
    ] = "same"
    output_padding: PerAxis = Field((0,), description="elements added at the end of each spatial axis")
    dilation: Dilation = (1,)
    groups: Groups = 1
    bias: Bias = True
    weight_norm: WeightNorm = False
    init: WeightInit = None
    norm: Norm = None
    act: Act = None

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        rank = spatial_rank(g, x)
        kernel = per_axis(g, "kernel", self.kernel, rank)
        stride = per_axis(g, "stride", self.stride, rank)
        dilation = per_axis(g, "dilation", self.dilation, rank)
        extra = per_axis(g, "output_padding", self.output_padding, rank, least=0)
        if any(e >= s for e, s in zip(extra, stride, strict=True)):
            g.fail(f"output_padding {extra} must be smaller than the stride {stride}")
        sizes = [shape[2:] for shape in g.sizes(x)]
        if self.pad == "same":
            unpadded = list(map(Axis.conv_transpose, sizes[0], kernel, stride, dilation, [(0, 0)] * rank, extra))
            begin, end = _keep_ratio(g, unpadded)
        else:
            begin, end = explicit_pads(g, self.pad, rank)
        pads = list(zip(begin, end, strict=True))
        for size in sizes:
            axes = map(Axis.conv_transpose, size, kernel, stride, dilation, pads, extra)
            output = tuple(axis.output for axis in axes)
            if 0 in output:
                g.fail(f"nothing is left of the output: {output}", code="spec/empty-output", hint="pad less")
        channels = _grouped_channels(g, x, self.out, self.groups)
        taps = prod(kernel)
        weight = _weight(
            g,
            (channels, self.out // self.groups, *kernel),
            fans=(max(1, channels // self.groups * taps // prod(stride)), self.out // self.groups * taps),
            init=self.init,
            normalised=self.weight_norm,
        )
        y = g.op(
            "ConvTranspose",
            x,
            weight,
            g.parameter("bias", [self.out], "bias") if self.bias else None,
            kernel_shape=kernel,
            strides=stride,
            pads=begin + end,
            output_padding=extra,
            dilations=dilation,
            group=self.groups,
        )
        return _finish(g, y, self.norm, self.act)


def _grouped_channels(g: Emitter, x: ir.Value, out: int, groups: int) -> int:
    """The channels of `x`, which the groups must divide, as they must `out`."""
    channels = g.size(x, 1)
    for what, count in (("input", channels), ("output", out)):
        if count % groups:
            g.fail(
                f"groups: {groups} does not divide the {count} {what} channels",
                code="spec/groups-do-not-divide",
                hint=f"use a divisor of {channels} and {out}",
            )
    return channels


def _weight(
    g: Emitter, shape: tuple[int, ...], *, fans: tuple[int, int], init: Init | None, normalised: bool
) -> ir.Value:
    """The weight, or with weight normalisation g v / |v|, norm over all axes but the first."""
    fan_in, fan_out = fans
    if not normalised:
        return g.parameter("weight", shape, init=init, fan_in=fan_in, fan_out=fan_out)
    direction = g.parameter("weight_v", shape, init=init, fan_in=fan_in, fan_out=fan_out)
    length = g.parameter("weight_g", (shape[0], *[1] * (len(shape) - 1)), "scale")
    norm = reduce(g, "ReduceL2", direction, range(1, len(shape)), name="weight_norm")
    return g.op("Mul", direction, g.op("Div", length, norm, name="weight_scale"), name="weight")


def _finish(g: Emitter, y: ir.Value, norm: LayerRef | None, act: LayerRef | None) -> ir.Value:
    """`norm`, then `act`, below the convolution's own path."""
    if norm is not None:
        y = g.layer(norm, y, name="norm")
    if act is not None:
        y = g.layer(act, y, name="act")
    return y


def _keep_ratio(g: Emitter, axes: list[Axis]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Pads that leave stride times the input of these transposed axes, which have none; the odd one is at the end."""
    surplus = [axis.output - axis.up * axis.input for axis in axes]
    if min(surplus) < 0:
        g.fail(
            "pad 'same' cannot make the output stride times the input: the kernel is shorter than the stride",
            hint=f"add {[max(0, -s) for s in surplus]} to output_padding, lengthen the kernel, or give pad 0",
        )
    return split_pads(surplus)
