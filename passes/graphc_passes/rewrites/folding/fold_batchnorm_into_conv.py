"""Fold an inference-mode BatchNormalization into the convolution that feeds it.

Law    bn(conv(x, w, b)) = conv(x, w·s, (b − μ)·s + β)      s = γ / √(σ² + ε)
Why    one full read and write of the activation less. Any rank, any groups, transposed too.
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


@rewrite("BatchNormalization", numerics="reassociates", improves=("bytes", "nodes"))
def fold_batchnorm_into_conv(bn: View, op: Tape) -> ir.Value:
    conv = ConstantConv.read(bn.producer("X", "Conv", "ConvTranspose"))
    require(not is_training(bn), "training mode: the statistics depend on the batch")
    scale, shift = batchnorm_affine(bn)
    with np.errstate(invalid="ignore"):
        filter_, bias = conv.scale_outputs(scale), conv.bias * scale + shift
    require(survives(filter_, bias, conv.view.required("W")), "the folded weights would overflow or underflow")
    return conv.remade(op, conv.view.required("X"), filter_, bias)


def _bn(g: CaseBuilder, x: ir.Value, channels: int, **attributes: object) -> ir.Value:
    scale, shift, mean = g.weight(channels), g.weight(channels), g.weight(channels)
    made = g.BatchNormalization(x, scale, shift, mean, g.weight(channels, low=0.5), **attributes)
    assert isinstance(made, ir.Value | tuple)
    return made  # type: ignore[return-value] # a tuple only in the case that asks for it


@fold_batchnorm_into_conv.cases
def cases() -> Iterator[Case]:
    yield Case(
        "with bias, stride and pads",
        lambda g: _bn(
            g,
            g.Conv(g.input(2, 3, 7, 8), g.weight(4, 3, 3, 3), g.weight(4), strides=(2, 1), pads=(1, 0, 1, 2)),
            4,
        ),
    )
    yield Case("without bias", lambda g: _bn(g, g.Conv(g.input(1, 3, 6, 6), g.weight(4, 3, 3, 3)), 4, epsilon=0.1))
    yield Case("grouped", lambda g: _bn(g, g.Conv(g.input(1, 4, 6, 6), g.weight(6, 2, 3, 3), group=2), 6))
    yield Case("1-D", lambda g: _bn(g, g.Conv(g.input(1, 3, 9), g.weight(4, 3, 3), g.weight(4)), 4))
    yield Case("3-D", lambda g: _bn(g, g.Conv(g.input(1, 2, 4, 4, 4), g.weight(3, 2, 2, 2, 2)), 3))
    yield Case(
        "transposed and grouped",
        lambda g: _bn(
            g,
            g.ConvTranspose(g.input(1, 4, 5, 5), g.weight(4, 3, 3, 3), g.weight(6), group=2, strides=(2, 2)),
            6,
        ),
    )
    yield Case("opset 9", lambda g: _bn(g, g.Conv(g.input(1, 3, 6, 6), g.weight(4, 3, 3, 3)), 4), opset=9)
    yield Case("a dynamic size", lambda g: _bn(g, g.Conv(g.input("N", 3, "H", "W"), g.weight(4, 3, 3, 3)), 4))
    yield Case(
        "training",
        lambda g: _bn(g, g.Conv(g.input(2, 3, 6, 6), g.weight(4, 3, 3, 3)), 4, training_mode=1, outputs=3)[0],  # type: ignore[index] # three outputs
        refuses="training mode: the statistics depend on the batch",
    )
    yield Case(
        "training, as opset 9 states it",
        lambda g: _bn(g, g.Conv(g.input(2, 3, 6, 6), g.weight(4, 3, 3, 3)), 4, outputs=5)[0],  # type: ignore[index] # five outputs
        refuses="training mode: the statistics depend on the batch",
        opset=9,
    )
    yield Case(
        "a scale that overflows",
        lambda g: g.BatchNormalization(
            g.Conv(g.input(1, 2, 3, 3), g.constant(np.full((2, 2, 1, 1), 1e30, np.float32))),
            g.constant(np.full(2, 1e20, np.float32)),
            g.weight(2),
            g.constant(np.full(2, 1e30, np.float32)),
            g.constant(np.full(2, 1.0, np.float32)),
        ),
        refuses="the folded weights would overflow or underflow",
    )
    yield Case("no variance", lambda g: _constant_channels(g, epsilon=1e-5))
    yield Case(
        "no variance and no epsilon",
        lambda g: _constant_channels(g, epsilon=0.0),
        refuses="the folded weights would overflow or underflow",
    )
    yield Case(
        "a filter that is computed",
        lambda g: _bn(g, g.Conv(g.input(1, 3, 6, 6), g.input(4, 3, 3, 3)), 4),
        refuses="W of Conv is not a constant",
    )
    yield Case(
        "a convolution that is read twice",
        lambda g: _twice(g),
        refuses="it would not be cheaper here",
    )


def _constant_channels(g: CaseBuilder, epsilon: float) -> ir.Value:
    conv, zero = g.Conv(g.input(1, 3, 6, 6), g.weight(4, 3, 3, 3)), g.constant(np.zeros(4, np.float32))
    return g.BatchNormalization(conv, g.weight(4), g.weight(4), g.weight(4), zero, epsilon=epsilon)


def _twice(g: CaseBuilder) -> tuple[ir.Value, ir.Value]:
    conv = g.Conv(g.input(1, 3, 6, 6), g.weight(4, 3, 3, 3))
    return _bn(g, conv, 4), g.Relu(conv)


@fold_batchnorm_into_conv.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, op_type=random.choice(("Conv", "ConvTranspose")))
    epsilon = random.choice((1e-5, 1e-3, 0.5))
    return Case(
        str(drawn),
        lambda g: _bn(g, drawn.of(g), drawn.out_channels, epsilon=epsilon),
        opset=random.choice((7, 9, 13, 15, 20)),
        seed=random.getrandbits(32),
    )
