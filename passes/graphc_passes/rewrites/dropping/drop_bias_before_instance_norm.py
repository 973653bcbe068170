"""Drop what is added per channel in front of an InstanceNormalization, which takes the mean of each channel away.

Law    norm(x + b[c]) = norm(x)     so a bias of the convolution before it, or an Add or Sub per channel, is dead
       a scale is not: ε sees it. Where a channel hardly varies, ε makes the rounding of x + b visible, up to
       eps·|b|/√ε, which is gone after
Why    fewer bytes, and a bias that is not there need not be stored or trained (Ulyanov et al., 2016).
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import ml_dtypes
import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, constant, require, rewrite
from graphc_passes.nodes.broadcasting import per_channel
from graphc_passes.nodes.stated import attributes_of
from graphc_passes.sampling.convolutions import draw_conv

CONVOLUTIONS = ("Conv", "ConvTranspose")
BOUND = 1e-3
ROUNDINGS = 8  # of b that show in one output: those of the sums, the mean and what is left of it


@rewrite("InstanceNormalization", numerics="approximates", bound=BOUND, improves=("bytes",))
def drop_bias_before_instance_norm(norm: View, op: Tape) -> ir.Value:
    before = norm.producer("input", *CONVOLUTIONS, "Add", "Sub")
    data, bias = _without_bias(before, op) if before.op_type in CONVOLUTIONS else _unshifted(before)
    shown = ROUNDINGS * _eps(norm.required("input")) * np.abs(bias).max(initial=0.0)
    require(shown <= BOUND * np.sqrt(norm.attr("epsilon")), "the bias is so large that its rounding shows")
    attributes = attributes_of(norm)
    return op.InstanceNormalization(data, norm.required("scale"), norm.required("B"), **attributes)


def _eps(value: ir.Value) -> float:
    if value.dtype is None:
        raise Refusal("the type is not known")
    return float(ml_dtypes.finfo(value.dtype.numpy()).eps)  # type: ignore[no-untyped-call] # knows bfloat16, too


def _without_bias(conv: View, op: Tape) -> tuple[ir.Value, np.ndarray]:
    if conv.input("B") is None:
        raise Refusal("the convolution has no bias")
    attributes = attributes_of(conv)
    made = op.record(conv.op_type, conv.required("X"), conv.required("W"), **attributes)
    assert isinstance(made, ir.Value)
    return made, conv.constant("B")


def _unshifted(affine: View) -> tuple[ir.Value, np.ndarray]:
    """The data of an Add or Sub, and the constant per channel."""
    data, content = affine.required("A"), constant(affine.required("B"))
    if content is None and affine.op_type == "Add":
        data, content = affine.required("B"), constant(affine.required("A"))
    if content is None or data.shape is None or not isinstance(data.shape[1], int):
        raise Refusal(f"{affine.op_type} does not shift data of known channels by a constant")
    return data, per_channel(content, len(data.shape), data.shape[1])


def _norm(g: CaseBuilder, x: ir.Value, channels: int, **attributes: object) -> ir.Value:
    return g.InstanceNormalization(x, g.weight(channels), g.weight(channels), **attributes)


def _conv(g: CaseBuilder) -> ir.Value:
    """Without padding: ONNX Runtime crashes on an InstanceNormalization of nothing, which a neighbour would be."""
    return g.Conv(g.input(2, 3, 5, 6), g.weight(4, 3, 3, 3))


@drop_bias_before_instance_norm.cases
def cases() -> Iterator[Case]:
    yield Case(
        "of a convolution",
        lambda g: _norm(g, g.Conv(g.input(2, 3, 5, 6), g.weight(4, 3, 3, 3), g.weight(4), pads=(1, 1, 1, 1)), 4),
    )
    yield Case(
        "of a transposed convolution",
        lambda g: _norm(
            g,
            g.ConvTranspose(g.input(1, 4, 4, 3), g.weight(4, 2, 3, 3), g.weight(4), group=2, strides=(2, 2)),
            4,
            epsilon=0.1,
        ),
    )
    yield Case("Add, constant first", lambda g: _norm(g, g.Add(g.weight(4, 1, 1), _conv(g)), 4))
    yield Case(
        "Sub, a dynamic size",
        lambda g: _norm(g, g.Sub(g.Conv(g.input("N", 3, "L"), g.weight(4, 3, 3)), g.weight(1, 4, 1)), 4),
    )
    yield Case(
        "a large bias",
        lambda g: _norm(
            g, g.Conv(g.input(1, 3, 5, 6), g.weight(4, 3, 3, 3), g.constant(np.full(4, 1e6, np.float32))), 4
        ),
        refuses="the bias is so large that its rounding shows",
    )
    yield Case(
        "a bias that is computed",
        lambda g: _norm(g, g.Conv(g.input(1, 3, 5, 6), g.weight(4, 3, 3, 3), g.input(4)), 4),
        refuses="B of Conv is not a constant",
    )
    yield Case(
        "a constant along the width",
        lambda g: _norm(g, g.Add(_conv(g), g.weight(4)), 4),
        refuses="the constant does not act per channel",
    )
    yield Case(
        "a constant that makes the data larger",
        lambda g: _norm(g, g.Add(g.Conv(g.input(1, 3, 5, 6), g.weight(1, 3, 3, 3)), g.weight(4, 1, 1)), 4),
        refuses="the constant has another number of channels",
    )
    yield Case(
        "taken from a constant",
        lambda g: _norm(g, g.Sub(g.weight(4, 1, 1), _conv(g)), 4),
        refuses="Sub does not shift data of known channels by a constant",
    )
    yield Case(
        "no bias",
        lambda g: _norm(g, g.Conv(g.input(1, 3, 5, 6), g.weight(4, 3, 3, 3)), 4),
        refuses="the convolution has no bias",
    )
    yield Case(
        "scaled: ε sees it",
        lambda g: _norm(g, g.Mul(_conv(g), g.weight(4, 1, 1)), 4),
        refuses="the input of InstanceNormalization does not come from Conv or ConvTranspose or Add or Sub",
    )
    yield Case(
        "a convolution that is read twice",
        lambda g: _read_twice(g),
        refuses="it would not be cheaper here",
    )


def _read_twice(g: CaseBuilder) -> tuple[ir.Value, ir.Value]:
    conv = g.Conv(g.input(1, 3, 5, 6), g.weight(4, 3, 3, 3), g.weight(4))
    return _norm(g, conv, 4), g.Relu(conv)


@drop_bias_before_instance_norm.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, op_type=random.choice(CONVOLUTIONS))
    kind = random.choice(("bias", "bias", "Add", "Sub"))
    epsilon = random.choice((1e-5, 1e-3, 0.1))

    def build(g: CaseBuilder) -> ir.Value:
        made = drawn.of(g)
        if kind != "bias":
            made = g.record(kind, made, g.weight(drawn.out_channels, *[1] * (len(drawn.filter) - 2)))
        assert isinstance(made, ir.Value)
        return _norm(g, made, drawn.out_channels, epsilon=epsilon)

    opset = random.choice((9, 20))
    return Case(f"{kind}, {drawn}", build, opset=opset, seed=random.getrandbits(32))
