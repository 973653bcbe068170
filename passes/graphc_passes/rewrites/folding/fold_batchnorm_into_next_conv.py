"""Fold an inference-mode BatchNormalization into the convolution that reads it, padded or not.

Law    conv(bn(x), w, b) = conv(x, w·s) + conv(t, w, b)      s = γ / √(σ² + ε), t = β − μ·s
       conv(t, w, b) is a constant: a bias where no padding meets t, else one number for each output at the border
Why    one full read and write of the activation less; where the padding is met, the constant has to be added, which
       pays where the convolution makes less than it reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Tape, View, require, rewrite
from graphc_passes.nodes.filters import ConstantConv, survives
from graphc_passes.nodes.norms import batchnorm_affine, is_training
from graphc_passes.sampling.convolutions import draw_conv

CONVOLUTIONS = ("Conv", "ConvTranspose")


@rewrite(*CONVOLUTIONS, numerics="reassociates", improves=("bytes",))
def fold_batchnorm_into_next_conv(root: View, op: Tape, *, largest_shift: int = 1 << 20) -> ir.Value:
    bn = root.producer("X", "BatchNormalization")
    conv = ConstantConv.read(root)
    require(not is_training(bn), "training mode: the statistics depend on the batch")
    scale, shift = batchnorm_affine(bn)
    require(
        conv.borderless or conv.axes is not None or not shift.any(),
        "the padding is not normalised: its border would differ, and the sizes are not known",
    )
    require(
        conv.levels <= max(largest_shift, conv.out_channels),
        "the shift differs at the border and is large",
        conservative="a constant as large as an activation makes the model large",
    )
    with np.errstate(invalid="ignore"):
        filter_ = conv.scale_inputs(scale)
        bias = conv.of_level(shift) if shift.any() else conv.bias
    require(survives(filter_, bias, conv.view.required("W")), "the folded weights would overflow or underflow")
    return conv.remade(op, bn.required("X"), filter_, bias)


def _bn(g: CaseBuilder, x: ir.Value, channels: int, **attributes: object) -> ir.Value:
    scale, shift, mean = g.weight(channels), g.weight(channels), g.weight(channels)
    made = g.BatchNormalization(x, scale, shift, mean, g.weight(channels, low=0.5), **attributes)
    return made[0] if isinstance(made, tuple) else made


def _centred(g: CaseBuilder, x: ir.Value, channels: int) -> ir.Value:
    """Of mean and shift 0: nothing but a scale."""
    zero = g.constant(np.zeros(channels, np.float32))
    return g.BatchNormalization(x, g.weight(channels), zero, zero, g.weight(channels, low=0.5))


@fold_batchnorm_into_next_conv.cases
def cases() -> Iterator[Case]:
    yield Case(
        "no padding, grouped, with bias",
        lambda g: g.Conv(_bn(g, g.input("N", 4, "H", "W"), 4, epsilon=0.1), g.weight(6, 2, 3, 3), g.weight(6), group=2),
    )
    yield Case(
        "padded",
        lambda g: g.Conv(_bn(g, g.input(2, 4, 5, 6), 4), g.weight(2, 4, 3, 3), g.weight(2), pads=(1, 1, 1, 1)),
    )
    yield Case(
        "padded, strided and dilated, grouped",
        lambda g: g.Conv(
            _bn(g, g.input(1, 4, 8, 7), 4),
            g.weight(4, 2, 3, 2),
            group=2,
            strides=(2, 3),
            dilations=(1, 2),
            pads=(1, 0, 0, 2),
        ),
    )
    yield Case(
        "1-D, causal",
        lambda g: g.Conv(_bn(g, g.input(1, 4, 8), 4), g.weight(2, 4, 3), pads=(2, 0)),
    )
    yield Case(
        "SAME, 3-D",
        lambda g: g.Conv(_bn(g, g.input(1, 3, 3, 4, 3), 3), g.weight(1, 3, 2, 3, 2), auto_pad="SAME_UPPER"),
    )
    yield Case(
        "transposed",
        lambda g: g.ConvTranspose(_bn(g, g.input(1, 4, 4, 5), 4), g.weight(4, 1, 2, 3), strides=(1, 2), pads=(1,) * 4),
    )
    yield Case(
        "only a scale, padded, a dynamic size",
        lambda g: g.Conv(_centred(g, g.input("N", 4, "H", "W"), 4), g.weight(6, 4, 3, 3), pads=(1, 1, 1, 1)),
    )
    yield Case(
        "opset 9",
        lambda g: g.Conv(_bn(g, g.input(1, 4, 5, 6), 4), g.weight(2, 4, 3, 3), pads=(1, 1, 1, 1)),
        opset=9,
    )
    yield Case(
        "padded, a dynamic size",
        lambda g: g.Conv(_bn(g, g.input("N", 4, "H", "W"), 4), g.weight(2, 4, 3, 3), pads=(1, 1, 1, 1)),
        refuses="the padding is not normalised: its border would differ, and the sizes are not known",
    )
    yield Case(
        "training",
        lambda g: g.Conv(_bn(g, g.input(2, 3, 6, 6), 3, training_mode=1, outputs=3), g.weight(4, 3, 3, 3)),
        refuses="training mode: the statistics depend on the batch",
    )
    yield Case(
        "more than the option allows",
        lambda g: g.Conv(_bn(g, g.input(1, 4, 5, 6), 4), g.weight(2, 4, 3, 3), pads=(1, 1, 1, 1)),
        refuses="the shift differs at the border and is large",
        options={"largest_shift": 59},
    )
    yield Case(
        "padded, to more channels",
        lambda g: g.Conv(_bn(g, g.input(1, 3, 5, 6), 3), g.weight(6, 3, 3, 3), pads=(1, 1, 1, 1)),
        refuses="it would not be cheaper here",
    )
    yield Case(
        "read by two",
        lambda g: _read_twice(g),
        refuses="it would not be cheaper here",
    )
    yield Case(
        "a scale that overflows",
        _overflowing,
        refuses="the folded weights would overflow or underflow",
    )


def _read_twice(g: CaseBuilder) -> tuple[ir.Value, ir.Value]:
    normed = _bn(g, g.input(1, 3, 6, 6), 3)
    return g.Conv(normed, g.weight(4, 3, 3, 3)), g.Relu(normed)


def _overflowing(g: CaseBuilder) -> ir.Value:
    """Data of zeros stays the shift, but infinite weights would make it not a number."""
    x, one = g.input(1, 2, 4, 4), g.constant(np.ones(2, np.float32))
    zero, large = g.constant(np.zeros(2, np.float32)), g.constant(np.full(2, 1e20, np.float32))
    normed = g.BatchNormalization(g.Sub(x, x), large, one, zero, one)
    return g.Conv(normed, g.constant(np.full((2, 2, 1, 1), 1e30, np.float32)))


@fold_batchnorm_into_next_conv.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, op_type=random.choice(CONVOLUTIONS))
    channels = int(drawn.data[1])
    return Case(
        f"BatchNormalization, {drawn}",
        lambda g: drawn.of(g, _bn(g, g.input(*drawn.data), channels)),
        opset=random.choice((9, 13, 15, 20)),
        seed=random.getrandbits(32),
    )
