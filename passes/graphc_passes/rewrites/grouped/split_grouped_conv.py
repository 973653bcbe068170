"""Split a grouped convolution into one dense convolution per group.

Law    conv(x, w, b, g) = concat over i < g of conv(xᵢ, wᵢ, bᵢ)     xᵢ the i-th g-th of the channels, wᵢ of the filter
       the same for ConvTranspose; the weights may be computed
Why    a target without grouped convolutions has dense ones; AlexNet (Krizhevsky et al., NIPS 2012) ran its two groups
       on two devices. Slices rather than a Split: more targets have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import onnx_ir as ir

from graphc import Case, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.grouping import GroupedConv, piece
from graphc_passes.nodes.slicing import Cut, sliced
from graphc_passes.sampling.convolutions import conv_sample, draw_conv


@rewrite("Conv", "ConvTranspose", numerics="reassociates")
def split_grouped_conv(root: View, op: Tape, *, most_groups: int = 32) -> ir.Value:
    conv = GroupedConv.read(root)
    if conv.groups == 1:
        raise Refusal("there is only one group")
    require(conv.groups <= most_groups, "there are many groups", conservative="it makes two nodes for each")
    data, filter_, bias = root.required("X"), root.required("W"), root.input("B")
    stored = conv.inner if root.op_type == "ConvTranspose" else conv.outer
    parts = [
        conv.remade(
            op,
            sliced(op, data, {1: _nth(group, conv.inner)}),
            piece(op, filter_, {0: _nth(group, stored)}),
            None if bias is None else piece(op, bias, {0: _nth(group, conv.outer)}, "bias"),
            group=1,
        )
        for group in range(conv.groups)
    ]
    return op.Concat(*parts, axis=1)


def _nth(index: int, size: int) -> Cut:
    return Cut(index * size, (index + 1) * size)


@split_grouped_conv.cases
def cases() -> Iterator[Case]:
    yield Case(
        "two groups, bias",
        lambda g: g.Conv(g.input(1, 4, 5, 6), g.weight(6, 2, 3, 3), g.weight(6), group=2, pads=(1, 0, 2, 1)),
    )
    yield Case(
        "three groups, dilated and strided, 1-D, computed weights",
        lambda g: g.Conv(
            g.input("N", 6, "L"), g.input(3, 2, 2), g.input(3), group=3, strides=(2,), dilations=(2,), pads=(2, 2)
        ),
    )
    yield Case(
        "transposed",
        lambda g: g.ConvTranspose(
            g.input(1, 4, 3, 4), g.weight(4, 3, 2, 3), g.weight(6), group=2, strides=(2, 1), output_padding=(1, 0)
        ),
    )
    yield Case(
        "transposed, computed weights",
        lambda g: g.ConvTranspose(g.input(1, 2, "L"), g.input(2, 1, 3), group=2),
    )
    yield Case(
        "depthwise, auto_pad, opset 9",
        lambda g: g.Conv(g.input(1, 2, 4, 4), g.input(2, 1, 3, 2), group=2, auto_pad="SAME_LOWER"),
        opset=9,
    )
    yield Case(
        "one group",
        lambda g: g.Conv(g.input(1, 2, 4), g.weight(2, 2, 3)),
        refuses="there is only one group",
    )
    yield Case(
        "more groups than wanted",
        lambda g: g.Conv(g.input(1, 3, 4), g.weight(3, 1, 3), group=3),
        options={"most_groups": 2},
        refuses="there are many groups",
    )


@split_grouped_conv.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, op_type=random.choice(("Conv", "ConvTranspose")), groups=(1, 2, 3, 4))
    return conv_sample(random, drawn)
