"""Replace a convolution of small groups with a sum of depthwise ones, one for each input channel of a group.

Law    conv(x, w, b, g) = Σ over i < Cin/g of conv(x[:, i::Cin/g], wᵢ, g)     wᵢ the filter at its i-th input channel;
       b goes with the first; the same for ConvTranspose; the weights may be computed
Why    some runtimes have fast kernels for depthwise and for dense convolutions, and none for groups of a few channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from random import Random

import onnx_ir as ir

from graphc import Case, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.grouping import GroupedConv, piece
from graphc_passes.nodes.slicing import TO_THE_END, Cut, sliced
from graphc_passes.sampling.convolutions import conv_sample, draw_conv


@rewrite("Conv", "ConvTranspose", numerics="reassociates")
def replace_grouped_conv_with_depthwise_sum(root: View, op: Tape, *, most_terms: int = 4) -> ir.Value:
    conv = GroupedConv.read(root)
    require(conv.groups > 1, "there is only one group", conservative="a sum over all channels is no depthwise sum")
    if conv.inner == 1:
        raise Refusal("the groups have one channel")
    require(conv.inner <= most_terms, "the groups are large", conservative="each term is a pass over the output")
    data, filter_ = root.required("X"), root.required("W")
    terms: list[ir.Value] = []
    for channel in range(conv.inner):
        nth = Cut(channel, TO_THE_END, conv.inner)
        of_filter = {0: nth} if root.op_type == "ConvTranspose" else {1: Cut(channel, channel + 1)}
        bias = None if terms else root.input("B")
        terms.append(conv.remade(op, sliced(op, data, {1: nth}), piece(op, filter_, of_filter), bias))
    return reduce(op.Add, terms)


@replace_grouped_conv_with_depthwise_sum.cases
def cases() -> Iterator[Case]:
    yield Case(
        "two groups of two, bias",
        lambda g: g.Conv(g.input(1, 4, 5, 6), g.weight(2, 2, 3, 3), g.weight(2), group=2, pads=(1, 0, 2, 1)),
    )
    yield Case(
        "three outputs for each group, 1-D, computed weights, any size",
        lambda g: g.Conv(g.input("N", 6, "L"), g.input(6, 3, 2), g.input(6), group=2, strides=(2,), pads=(2, 2)),
    )
    yield Case(
        "transposed",
        lambda g: g.ConvTranspose(
            g.input(1, 4, 3, 4), g.weight(4, 3, 2, 3), g.weight(6), group=2, strides=(2, 1), output_padding=(1, 0)
        ),
    )
    yield Case("transposed, computed weights", lambda g: g.ConvTranspose(g.input(1, 4, 3), g.input(4, 1, 3), group=2))
    yield Case(
        "one group",
        lambda g: g.Conv(g.input(1, 2, 4), g.weight(2, 2, 3)),
        refuses="there is only one group",
    )
    yield Case(
        "depthwise",
        lambda g: g.Conv(g.input(1, 2, 4), g.weight(2, 1, 3), group=2),
        refuses="the groups have one channel",
    )
    yield Case(
        "larger groups than wanted",
        lambda g: g.Conv(g.input(1, 6, 4), g.weight(2, 3, 3), group=2),
        options={"most_terms": 2},
        refuses="the groups are large",
    )
    yield Case(
        "opset 9",
        lambda g: g.Conv(g.input(1, 4, 5), g.weight(2, 2, 3), group=2),
        opset=9,
        refuses="opset 9 has no Slice with steps",
    )


@replace_grouped_conv_with_depthwise_sum.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, op_type=random.choice(("Conv", "ConvTranspose")), groups=(1, 2, 2, 3, 4))
    return conv_sample(random, drawn, opsets=(10, 12, 20))
