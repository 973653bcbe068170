"""Replace a convolution of many narrow groups with one of fewer groups that fill the lanes of a vector unit.

Law    conv(x, w, b, g) = conv(x, W, b, g/m)     W block-diagonal within each m groups that become one; for finite data
Why    blocked kernels (NCHWc) take a grouped convolution only where the channels of a group are a multiple of the block
       on both sides; twice the multiplications there take less time than narrow groups one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from random import Random

import onnx_ir as ir

from graphc import Case, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.grouping import GroupedConv
from graphc_passes.sampling.convolutions import draw_conv


@rewrite("Conv", numerics="reassociates")
def replace_grouped_conv_with_coarser_groups(
    root: View, op: Tape, *, lanes: int = 16, everywhere: bool = False
) -> ir.Value:
    conv = GroupedConv.read(root)
    merge = _merge(conv, lanes)
    if merge == 1:
        raise Refusal("the groups fill the lanes")
    require(
        everywhere or _pays(conv, merge),
        "the zeros would not pay",
        conservative="measured: with more than 2 groups in one, one tap, other than 2 axes or where it is depthwise",
    )
    return conv.with_wider_groups(op, merge)


def _pays(conv: GroupedConv, merge: int) -> bool:
    """Whether ONNX Runtime's CPU provider was faster with it: it has blocked kernels for images only."""
    return merge == 2 and len(conv.taps) == 2 and prod(conv.taps) > 1 and (conv.inner, conv.outer) != (1, 1)


def _merge(conv: GroupedConv, lanes: int) -> int:
    """How many groups together have a multiple of `lanes` channels on both sides. Raises Refusal when none have."""
    for merge in range(1, conv.groups + 1):
        if conv.groups % merge == 0 and merge * conv.inner % lanes == 0 and merge * conv.outer % lanes == 0:
            return merge
    raise Refusal("no number of groups fills the lanes")


@replace_grouped_conv_with_coarser_groups.cases
def cases() -> Iterator[Case]:
    yield Case(
        "four groups to two, bias",
        lambda g: g.Conv(g.input(1, 8, 5, 6), g.weight(8, 2, 3, 3), g.weight(8), group=4, pads=(1, 0, 2, 1)),
        options={"lanes": 4},
    )
    yield Case(
        "six groups to two, more channels out, a computed bias, any size",
        lambda g: g.Conv(g.input("N", 6, "L"), g.weight(12, 1, 2), g.input(12), group=6, strides=(2,)),
        options={"lanes": 3, "everywhere": True},
    )
    yield Case(
        "to one group",
        lambda g: g.Conv(g.input(1, 4, 3, 3, 3), g.weight(4, 2, 2, 1, 2), group=2, auto_pad="SAME_UPPER"),
        options={"lanes": 4, "everywhere": True},
    )
    yield Case(
        "depthwise",
        lambda g: g.Conv(g.input(1, 4, 4, 2), g.weight(4, 1, 3, 1), group=4),
        options={"lanes": 2},
        refuses="the zeros would not pay",
    )
    yield Case(
        "groups as wide as the lanes",
        lambda g: g.Conv(g.input(1, 4, 4), g.weight(4, 2, 3), group=2),
        options={"lanes": 2},
        refuses="the groups fill the lanes",
    )
    yield Case(
        "many groups to one",
        lambda g: g.Conv(g.input(1, 4, 4), g.weight(8, 1, 3), group=4),
        options={"lanes": 4},
        refuses="the zeros would not pay",
    )
    yield Case(
        "channels that are no multiple of the lanes",
        lambda g: g.Conv(g.input(1, 6, 4), g.weight(6, 2, 3), group=3),
        options={"lanes": 4},
        refuses="no number of groups fills the lanes",
    )
    yield Case(
        "a filter that is computed",
        lambda g: g.Conv(g.input(1, 8, 5), g.input(8, 2, 3), group=4),
        options={"lanes": 4, "everywhere": True},
        refuses="W of Conv is not a constant",
    )


@replace_grouped_conv_with_coarser_groups.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, groups=(2, 3, 4, 6))
    options = {"lanes": random.choice((2, 2, 3, 4, 6)), "everywhere": True}
    opset = random.choice((9, 12, 20))
    return Case(f"{drawn} {options}", drawn.of, options=options, opset=opset, seed=random.getrandbits(32))
