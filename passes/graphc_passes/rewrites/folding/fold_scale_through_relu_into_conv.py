"""Fold a positive scale per channel into a convolution on the other side of an activation of the ReLU family.

Law    relu(x·s) = relu(x)·s   for s > 0: Relu, LeakyRelu and PRelu are positively homogeneous. So
       conv(relu(x·s), w, b) = conv(relu(x), w·s, b)   and   relu(conv(x, w, b))·s = relu(conv(x, w·s, b·s))
Why    one full read and write of the activation less; it is what equalises the ranges of the channels before
       quantisation (Nagel et al., ICCV 2019).
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, constant, require, rewrite
from graphc_passes.nodes.broadcasting import per_channel
from graphc_passes.nodes.filters import ConstantConv, survives
from graphc_passes.nodes.stated import attributes_of
from graphc_passes.sampling.convolutions import draw_conv

SCALES = ("Mul", "Div")
RELUS = ("Relu", "LeakyRelu", "PRelu")
CONVOLUTIONS = ("Conv", "ConvTranspose")


@rewrite(*SCALES, *CONVOLUTIONS, numerics="reassociates", improves=("bytes", "nodes"))
def fold_scale_through_relu_into_conv(root: View, op: Tape) -> ir.Value:
    if root.op_type in CONVOLUTIONS:
        relu = root.producer("X", *RELUS)
        conv, (data, content) = ConstantConv.read(root), _scaled(relu.producer("X", *SCALES))
        scale = _positive(content, conv.rank, conv.in_channels)
        _same_shape(data, relu.required("X"))
        return _remade(conv, op, _over(relu, op, data), conv.scale_inputs(scale), conv.bias)
    value, content = _scaled(root)
    relu = root.made_by(value, *RELUS)
    conv = ConstantConv.read(relu.producer("X", *CONVOLUTIONS))
    scale = _positive(content, conv.rank, conv.out_channels)
    made = _remade(conv, op, conv.view.required("X"), conv.scale_outputs(scale), conv.bias * scale)
    return _over(relu, op, made)


def _positive(content: np.ndarray, rank: int, channels: int) -> np.ndarray:
    scale = per_channel(content, rank, channels)
    require((scale > 0).all(), "a scale is not positive: it would trade the sides of the activation")
    return scale


def _same_shape(data: ir.Value, scaled: ir.Value) -> None:
    if data.shape is None or data.shape != scaled.shape:
        raise Refusal("the constant may enlarge its data")


def _remade(conv: ConstantConv, op: Tape, data: ir.Value, filter_: np.ndarray, bias: np.ndarray) -> ir.Value:
    require(survives(filter_, bias, conv.view.required("W")), "the folded weights would overflow or underflow")
    return conv.remade(op, data, filter_, bias)


def _over(relu: View, op: Tape, data: ir.Value) -> ir.Value:
    """The same activation of other data."""
    slope = [relu.required("slope")] if relu.op_type == "PRelu" else []
    attributes = attributes_of(relu)
    return op.record(relu.op_type, data, *slope, **attributes)


def _scaled(view: View) -> tuple[ir.Value, np.ndarray]:
    """(data, what it is multiplied by). Raises Refusal when that is not a constant."""
    first, second = view.required("A"), view.required("B")
    content = constant(second)
    if content is None and view.op_type == "Mul":
        first, content = second, constant(first)
    if content is None:
        raise Refusal(f"{view.op_type} does not scale its data by a constant")
    with np.errstate(divide="ignore"):
        return first, content if view.op_type == "Mul" else 1 / content.astype(np.float64)


def _before(
    g: CaseBuilder, relu: str, x: ir.Value, scale: ir.Value, *slope: ir.Value, alpha: float | None = None
) -> ir.Value:
    return g.Conv(g.record(relu, g.Mul(x, scale), *slope, alpha=alpha), g.weight(4, 3, 3, 3), pads=(1, 1, 1, 1))


def _conv(g: CaseBuilder) -> ir.Value:
    return g.Conv(g.input(1, 3, 5, 6), g.weight(4, 3, 3, 3), g.weight(4), pads=(1, 1, 1, 1))


@fold_scale_through_relu_into_conv.cases
def cases() -> Iterator[Case]:
    yield Case("before", lambda g: _before(g, "Relu", g.input(1, 3, 5, 6), g.weight(3, 1, 1, low=0.5)))
    yield Case(
        "before, leaky, a dynamic size, one number",
        lambda g: _before(g, "LeakyRelu", g.input("N", 3, "H", "W"), g.weight(1, low=0.5), alpha=0.2),
    )
    yield Case(
        "before, with slopes per channel",
        lambda g: _before(g, "PRelu", g.input(1, 3, 5, 6), g.weight(3, 1, 1, low=0.5), g.weight(3, 1, 1)),
    )
    yield Case(
        "Div before transposed and grouped",
        lambda g: g.ConvTranspose(
            g.Relu(g.Div(g.input(1, 4, 4, 5), g.weight(4, 1, 1, low=0.5))), g.weight(4, 2, 3, 3), group=2
        ),
    )
    yield Case("after", lambda g: g.Mul(g.Relu(_conv(g)), g.weight(4, 1, 1, low=0.5)))
    yield Case("Div after, leaky", lambda g: g.Div(g.LeakyRelu(_conv(g)), g.weight(1, low=0.5)))
    yield Case(
        "after, slopes that are computed", lambda g: g.Mul(g.weight(low=0.5), g.PRelu(_conv(g), g.input(4, 1, 1)))
    )
    yield Case(
        "after transposed and grouped, 1-D",
        lambda g: g.Mul(
            g.Relu(g.ConvTranspose(g.input("N", 4, "L"), g.weight(4, 2, 3), group=2)), g.weight(4, 1, low=0.5)
        ),
    )
    yield Case(
        "a negative scale",
        lambda g: g.Mul(g.Relu(_conv(g)), g.constant(np.float32(-1))),
        refuses="a scale is not positive: it would trade the sides of the activation",
    )
    yield Case(
        "one negative scale before",
        lambda g: _before(
            g, "Relu", g.input(1, 3, 5, 6), g.constant(np.asarray([1, -1, 2], np.float32).reshape(3, 1, 1))
        ),
        refuses="a scale is not positive: it would trade the sides of the activation",
    )
    yield Case(
        "a scale that underflows",
        _underflowing,
        refuses="the folded weights would overflow or underflow",
    )
    yield Case(
        "a scale along the width",
        lambda g: g.Mul(g.Relu(g.Conv(g.input(1, 3, 4, 4), g.weight(4, 3, 1, 1))), g.weight(4, low=0.5)),
        refuses="the constant does not act per channel",
    )
    yield Case(
        "a scale that makes the data larger",
        lambda g: _before(g, "Relu", g.input(1, 1, 5, 6), g.weight(3, 1, 1, low=0.5)),
        refuses="the constant may enlarge its data",
    )
    yield Case(
        "divided by the data",
        lambda g: g.Div(g.weight(4, 1, 1, low=0.5), g.Relu(_conv(g))),
        refuses="Div does not scale its data by a constant",
    )
    yield Case("the activation is read by two", _read_twice, refuses="it would not be cheaper here")


def _underflowing(g: CaseBuilder) -> ir.Value:
    """1e30 · 1e-25 · 1e-25 is an ordinary number, but the two weights together are 0 in float32."""
    large = g.Exp(g.Add(g.Abs(g.input(1, 1, 3, 3)), g.constant(np.float32(69))))
    conv = g.Conv(large, g.constant(np.full((1, 1, 1, 1), 1e-25, np.float32)))
    return g.Mul(g.Relu(conv), g.constant(np.float32(1e-25)))


def _read_twice(g: CaseBuilder) -> tuple[ir.Value, ir.Value]:
    relu = g.Relu(_conv(g))
    return g.Mul(relu, g.weight(4, 1, 1, low=0.5)), g.Neg(relu)


@fold_scale_through_relu_into_conv.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, op_type=random.choice(CONVOLUTIONS))
    kind, relu, after = random.choice(SCALES), random.choice(RELUS), random.random() < 0.5
    rank, positive = len(drawn.filter), random.random() < 0.8
    channels = drawn.out_channels if after else int(drawn.data[1])
    shape = random.choice([(channels, *[1] * (rank - 2)), (1,), ()])
    slopes = random.choice([(channels, *[1] * (rank - 2)), (1,)])

    def activated(g: CaseBuilder, x: ir.Value) -> ir.Value:
        return g.record(relu, x, *([g.weight(*slopes)] if relu == "PRelu" else []))

    def build(g: CaseBuilder) -> ir.Value:
        scale = g.weight(*shape, low=0.3) if positive else g.weight(*shape)
        if after:
            return g.record(kind, activated(g, drawn.of(g)), scale)
        return drawn.of(g, activated(g, g.record(kind, g.input(*drawn.data), scale)))

    where = "after" if after else "before"
    return Case(
        f"{kind} {list(shape)} {relu} {where} {drawn}", build, opset=random.choice((9, 20)), seed=random.getrandbits(32)
    )
