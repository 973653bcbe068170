"""Replace a grouped convolution with a dense one whose filter is zero between the groups.

Law    conv(x, w, b, g) = conv(x, W, b)     W block-diagonal: W[k, c] = w[k, c mod Cin/g] where k and c share a group,
       else 0; the same for ConvTranspose; for finite data
Why    a target without grouped convolutions has dense ones. One node rather than g, but g times the multiplications:
       where there are kernels for groups it is slower.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import onnx_ir as ir

from graphc import Case, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.grouping import GroupedConv
from graphc_passes.sampling.convolutions import draw_conv


@rewrite("Conv", "ConvTranspose", numerics="reassociates")
def replace_grouped_conv_with_dense(root: View, op: Tape, *, most_groups: int = 8) -> ir.Value:
    conv = GroupedConv.read(root)
    if conv.groups == 1:
        raise Refusal("there is only one group")
    require(
        conv.groups <= most_groups,
        "there are many groups",
        conservative="the filter and the multiplications grow by their number",
    )
    return conv.with_wider_groups(op, conv.groups)


@replace_grouped_conv_with_dense.cases
def cases() -> Iterator[Case]:
    yield Case(
        "two groups, bias",
        lambda g: g.Conv(g.input(1, 4, 5, 6), g.weight(6, 2, 3, 3), g.weight(6), group=2, pads=(1, 0, 2, 1)),
    )
    yield Case(
        "depthwise with a multiplier, a computed bias, any size",
        lambda g: g.Conv(g.input("N", 3, "L"), g.weight(6, 1, 2), g.input(6), group=3, strides=(2,), pads=(2, 2)),
    )
    yield Case(
        "transposed",
        lambda g: g.ConvTranspose(
            g.input(1, 4, 3, 4), g.weight(4, 3, 2, 3), g.weight(6), group=2, strides=(2, 1), output_padding=(1, 0)
        ),
    )
    yield Case(
        "3-D, auto_pad",
        lambda g: g.Conv(g.input(1, 2, 3, 2, 3), g.weight(2, 1, 2, 1, 2), group=2, auto_pad="SAME_UPPER"),
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
    yield Case(
        "a filter that is computed",
        lambda g: g.Conv(g.input(1, 4, 5), g.input(2, 2, 3), group=2),
        refuses="W of Conv is not a constant",
    )


@replace_grouped_conv_with_dense.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, op_type=random.choice(("Conv", "ConvTranspose")), groups=(1, 2, 3, 4))
    return Case(str(drawn), drawn.of, opset=random.choice((9, 12, 20)), seed=random.getrandbits(32))
