"""Replace a depthwise convolution that makes m channels of each with one over the channels repeated m times.

Law    conv(x, w, b, g) = conv(gather(x, k // m), w, b, g·m)     Cin = g, Cout = g·m; the weights may be computed
Why    kernels for depthwise convolutions want one channel out of one; with a multiplier runtimes fall back on slow
       ones. The copies of the data pay on ONNX Runtime's CPU provider where few are made and several taps read each.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.grouping import GroupedConv
from graphc_passes.sampling.convolutions import conv_sample, draw_conv


@rewrite("Conv", numerics="reassociates")
def replace_depthwise_multiplier_with_gather(
    root: View, op: Tape, *, lanes: int = 16, everywhere: bool = False
) -> ir.Value:
    conv = GroupedConv.read(root)
    require(conv.inner == 1, "each output mixes several channels")
    require(conv.groups > 1, "there is only one channel", conservative="that is a dense convolution")
    if conv.outer == 1:
        raise Refusal("each channel makes one")
    require(
        everywhere or _pays(conv, lanes),
        "the copies would not pay",
        conservative="measured: with more than 3 copies, one tap, other than 2 axes or fewer channels than lanes",
    )
    repeated = np.repeat(np.arange(conv.groups), conv.outer)
    data = op.Gather(root.required("X"), op.constant(repeated, name="channels"), axis=1)
    return conv.remade(op, data, root.required("W"), root.input("B"), group=conv.out_channels)


def _pays(conv: GroupedConv, lanes: int) -> bool:
    """Whether ONNX Runtime's CPU provider was faster with it: it has blocked kernels for depthwise images only."""
    return len(conv.taps) == 2 and prod(conv.taps) > 1 and conv.outer <= 3 and conv.out_channels >= lanes


@replace_depthwise_multiplier_with_gather.cases
def cases() -> Iterator[Case]:
    yield Case(
        "two of each, bias",
        lambda g: g.Conv(g.input(1, 8, 5, 3), g.weight(16, 1, 3, 2), g.weight(16), group=8, pads=(1, 0, 2, 1)),
    )
    yield Case(
        "three of each, 1-D, computed weights, any size",
        lambda g: g.Conv(g.input("N", 2, "L"), g.input(6, 1, 2), g.input(6), group=2, strides=(2,), pads=(2, 2)),
        options={"everywhere": True},
    )
    yield Case(
        "3-D, auto_pad, opset 9",
        lambda g: g.Conv(g.input(1, 2, 3, 3, 2), g.weight(4, 1, 2, 1, 2), group=2, auto_pad="SAME_LOWER"),
        options={"everywhere": True},
        opset=9,
    )
    yield Case(
        "a group of two channels",
        lambda g: g.Conv(g.input(1, 4, 4), g.weight(4, 2, 3), group=2),
        options={"everywhere": True},
        refuses="each output mixes several channels",
    )
    yield Case(
        "one channel",
        lambda g: g.Conv(g.input(1, 1, 4), g.weight(2, 1, 3)),
        refuses="there is only one channel",
    )
    yield Case(
        "no multiplier",
        lambda g: g.Conv(g.input(1, 2, 4), g.weight(2, 1, 3), group=2),
        refuses="each channel makes one",
    )
    yield Case(
        "four of each",
        lambda g: g.Conv(g.input(1, 4, 3, 3), g.weight(16, 1, 2, 2), group=4),
        refuses="the copies would not pay",
    )
    yield Case(
        "fewer channels than lanes",
        lambda g: g.Conv(g.input(1, 2, 3, 3), g.weight(6, 1, 2, 2), group=2),
        options={"lanes": 8},
        refuses="the copies would not pay",
    )


@replace_depthwise_multiplier_with_gather.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, groups=(2, 3, 4), inner=(1,))
    return conv_sample(random, drawn, options={"everywhere": True})
