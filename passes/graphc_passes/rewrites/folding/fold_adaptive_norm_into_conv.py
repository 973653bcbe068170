"""Fold an adaptive normalisation into the convolution that feeds it.

Law    λ·c + μ·bn(c) = conv(x, w·s, b·s + t)     c = conv(x, w, b), s = λ + μ·γ/√(σ² + ε), t = μ·(β − m·γ/√(σ² + ε))
Why    three reads and writes of the activation less: the fast image processing networks are built of these
       (Chen, Xu, Koltun, ICCV 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, constant, require, rewrite
from graphc_passes.nodes.broadcasting import per_channel
from graphc_passes.nodes.filters import ConstantConv, survives
from graphc_passes.nodes.norms import batchnorm_affine, is_training
from graphc_passes.sampling.convolutions import draw_conv


@rewrite("Add", "Sum", "Sub", numerics="reassociates", improves=("bytes", "nodes"))
def fold_adaptive_norm_into_conv(add: View, op: Tape) -> ir.Value:
    first, second = _terms(add)
    if _is_norm(first[1]):
        first, second = second, first
    (weight, plain), (norm_weight, normed) = first, second
    bn = add.made_by(normed, "BatchNormalization")
    require(not is_training(bn), "training mode: the statistics depend on the batch")
    require(bn.required("X") is plain, "the two terms are not of one convolution")
    conv = ConstantConv.read(bn.made_by(plain, "Conv", "ConvTranspose"))
    scale, shift = batchnorm_affine(bn)
    lam = per_channel(weight, conv.rank, conv.out_channels)
    mu = per_channel(norm_weight, conv.rank, conv.out_channels)
    with np.errstate(invalid="ignore"):
        total, offset = lam + mu * scale, mu * shift
        filter_, bias = conv.scale_outputs(total), conv.bias * total + offset
    require(survives(filter_, bias, conv.view.required("W")), "the folded weights would overflow or underflow")
    return conv.remade(op, conv.view.required("X"), filter_, bias)


def _terms(add: View) -> tuple[tuple[np.ndarray, ir.Value], tuple[np.ndarray, ir.Value]]:
    """The two terms, each as (factor, value). Raises Refusal for a Sum of other than two."""
    values = [value for value in add.inputs() if value is not None]
    if len(values) != 2:
        raise Refusal("the sum is not one of two terms")
    (first, left), (second, right) = (_scaled(add, value) for value in values)
    return (first, left), (-second if add.op_type == "Sub" else second, right)


def _scaled(add: View, value: ir.Value) -> tuple[np.ndarray, ir.Value]:
    """(factor, value) of one term of the sum: constant · value, or value / constant; 1 where there is neither."""
    node = value.producer()
    if node is None or node.op_type not in ("Mul", "Div"):
        return np.ones(()), value
    scaled = add.made_by(value, "Mul", "Div")
    first, second = scaled.required("A"), scaled.required("B")
    content = constant(second)
    if content is not None:
        with np.errstate(divide="ignore"):
            return content if scaled.op_type == "Mul" else 1 / content.astype(np.float64), first
    content = constant(first)
    if content is None or scaled.op_type == "Div":
        raise Refusal(f"{scaled.op_type} does not scale by a constant")
    return content, second


def _is_norm(value: ir.Value) -> bool:
    node = value.producer()
    return node is not None and node.op_type == "BatchNormalization"


def _adaptive(g: CaseBuilder, conv: ir.Value, channels: int, *, swap: bool = False, **attributes: object) -> ir.Value:
    statistics = [g.weight(channels), g.weight(channels), g.weight(channels), g.weight(channels, low=0.5)]
    normed = g.BatchNormalization(conv, *statistics, **attributes)
    normed = normed[0] if isinstance(normed, tuple) else normed
    terms = [g.Mul(g.weight(1), conv), g.Mul(normed, g.weight())]
    return g.Add(*(reversed(terms) if swap else terms))


@fold_adaptive_norm_into_conv.cases
def cases() -> Iterator[Case]:
    yield Case("scalars", lambda g: _adaptive(g, g.Conv(g.input(1, 3, 6, 6), g.weight(4, 3, 3, 3)), 4))
    yield Case(
        "terms the other way round, with bias, dilated",
        lambda g: _adaptive(
            g,
            g.Conv(g.input(2, 3, 9, 8), g.weight(4, 3, 3, 3), g.weight(4), dilations=(2, 2), pads=(2, 2, 2, 2)),
            4,
            swap=True,
        ),
    )
    yield Case(
        "transposed, a dynamic size",
        lambda g: _adaptive(g, g.ConvTranspose(g.input("N", 4, "H", "W"), g.weight(4, 3, 3, 3), strides=(2, 2)), 3),
    )
    yield Case("one factor left out", _unweighted)
    yield Case("factors per channel", _weighted_per_channel)
    yield Case(
        "both factors left out, that of the norm in γ",
        lambda g: _combined(g, lambda plain, normed: g.Add(normed, plain)),
    )
    yield Case("a Sum", lambda g: _combined(g, lambda plain, normed: g.Sum(normed, g.Mul(plain, g.weight()))))
    yield Case("a Sub", lambda g: _combined(g, lambda plain, normed: g.Sub(plain, g.Mul(normed, g.weight(4, 1, 1)))))
    yield Case("a Sub from the norm", lambda g: _combined(g, lambda plain, normed: g.Sub(normed, plain)))
    yield Case("a Div", lambda g: _combined(g, lambda plain, normed: g.Add(g.Div(plain, g.weight(low=0.5)), normed)))
    yield Case(
        "a Sum of three",
        lambda g: _combined(g, lambda plain, normed: g.Sum(normed, plain, plain)),
        refuses="the sum is not one of two terms",
    )
    yield Case(
        "a factor that is computed",
        lambda g: _combined(g, lambda plain, normed: g.Add(normed, g.Mul(plain, g.input(1)))),
        refuses="Mul does not scale by a constant",
    )
    yield Case(
        "training",
        lambda g: _adaptive(g, g.Conv(g.input(2, 3, 6, 6), g.weight(4, 3, 3, 3)), 4, training_mode=1, outputs=3),
        refuses="training mode: the statistics depend on the batch",
    )
    yield Case(
        "two convolutions",
        _two_convolutions,
        refuses="the two terms are not of one convolution",
    )
    yield Case(
        "weights that overflow",
        _overflowing,
        refuses="the folded weights would overflow or underflow",
    )
    yield Case("a factor along the width", _along_width, refuses="the constant does not act per channel")


def _norm(g: CaseBuilder, x: ir.Value, channels: int) -> ir.Value:
    return g.BatchNormalization(
        x, g.weight(channels), g.weight(channels), g.weight(channels), g.weight(channels, low=0.5)
    )


def _unweighted(g: CaseBuilder) -> ir.Value:
    conv = g.Conv(g.input(1, 3, 6, 6), g.weight(4, 3, 3, 3))
    return g.Add(conv, g.Mul(g.weight(), _norm(g, conv, 4)))


def _combined(g: CaseBuilder, combine: Callable[[ir.Value, ir.Value], ir.Value]) -> ir.Value:
    conv = g.Conv(g.input(1, 3, 6, 6), g.weight(4, 3, 3, 3), g.weight(4))
    return combine(conv, _norm(g, conv, 4))


def _weighted_per_channel(g: CaseBuilder) -> ir.Value:
    conv = g.Conv(g.input(1, 3, 6, 6), g.weight(4, 3, 3, 3))
    return g.Add(g.Mul(conv, g.weight(1, 4, 1, 1)), g.Mul(g.weight(4, 1, 1), _norm(g, conv, 4)))


def _along_width(g: CaseBuilder) -> ir.Value:
    conv = g.Conv(g.input(1, 3, 4, 4), g.weight(4, 3, 1, 1))
    return g.Add(g.Mul(conv, g.weight(4)), g.Mul(g.weight(), _norm(g, conv, 4)))


def _two_convolutions(g: CaseBuilder) -> ir.Value:
    x = g.input(1, 3, 6, 6)
    one, other = g.Conv(x, g.weight(4, 3, 3, 3)), g.Conv(x, g.weight(4, 3, 3, 3))
    return g.Add(g.Mul(g.weight(), one), g.Mul(g.weight(), _norm(g, other, 4)))


def _overflowing(g: CaseBuilder) -> ir.Value:
    conv = g.Conv(g.input(1, 2, 3, 3), g.constant(np.full((2, 2, 1, 1), 1e30, np.float32)))
    small = g.constant(np.full(2, 1e-30, np.float32))
    return g.Add(
        g.Mul(g.constant(np.float32(1e20)), conv),
        g.Mul(g.weight(), g.BatchNormalization(conv, small, small, small, g.weight(2, low=0.5))),
    )


@fold_adaptive_norm_into_conv.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, op_type=random.choice(("Conv", "ConvTranspose")))
    kind, channels = random.choice(("Add", "Sum", "Sub")), drawn.out_channels
    shapes = [random.choice(((), (1,), (channels, *[1] * (len(drawn.filter) - 2)), None)) for _ in range(2)]
    divided, swapped = random.random() < 0.2, random.random() < 0.5

    def scaled(g: CaseBuilder, x: ir.Value, shape: tuple[int, ...] | None) -> ir.Value:
        if shape is None:
            return x
        return g.Div(x, g.weight(*shape, low=0.5)) if divided else g.Mul(g.weight(*shape), x)

    def build(g: CaseBuilder) -> ir.Value:
        conv = drawn.of(g)
        terms = scaled(g, conv, shapes[0]), scaled(g, _norm(g, conv, channels), shapes[1])
        return g.record(kind, *(reversed(terms) if swapped else terms))

    opset = random.choice((9, 13, 15, 20))
    return Case(f"{kind} {shapes}, {drawn}", build, opset=opset, seed=random.getrandbits(32))
