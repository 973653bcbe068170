"""Split a convolution of a concatenation into a sum of convolutions of its parts.

Law    conv(concat(x1, x2, ...), [w1, w2, ...], b) = conv(x1, w1, b) + conv(x2, w2) + ...      along the channels
       Any kernel, strides and zero padding, transposed too; the weights may be computed.
Why    Nothing is copied together, and each part may go on to merge with what made it (dense blocks, U-Net decoders, a
       constant map of coordinates). `fuse-sum-of-convs` is the other direction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from itertools import accumulate, pairwise
from random import Random
from typing import Any

import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.grouping import piece
from graphc_passes.nodes.slicing import Cut
from graphc_passes.nodes.stated import attributes_of
from graphc_passes.sampling.convolutions import draw_conv

CONVOLUTIONS = ("Conv", "ConvTranspose")


@rewrite(*CONVOLUTIONS, numerics="reassociates")
def split_concat_conv(root: View, op: Tape) -> ir.Value:
    concat, weights = root.producer("X", "Concat"), root.required("W")
    parts = [value for value in concat.inputs() if value is not None]
    if weights.shape is None or concat.attr("axis") not in (1, 1 - len(weights.shape)):
        raise Refusal("they are not concatenated along the channels")
    require(root.attr("group") == 1, "the convolution has groups")
    channels = [_channels(part) for part in parts]
    axis = 1 if root.op_type == "Conv" else 0
    bias = root.input("B")
    made: list[ir.Value] = []
    for part, (start, stop) in zip(parts, pairwise(accumulate(channels, initial=0)), strict=True):
        filter_ = piece(op, weights, {axis: Cut(start, stop)})
        made.append(op.record(root.op_type, part, filter_, None if made else bias, **attributes_of(root)))
    return reduce(op.Add, made)


def _channels(part: ir.Value) -> int:
    """The channels of a part. Raises Refusal when it is empty: ONNX Runtime then lets its other sizes be any."""
    size = part.shape[1] if part.shape is not None and len(part.shape) > 1 else None
    if not isinstance(size, int):
        raise Refusal("the number of channels of a part is not known")
    if 0 in (part.shape or ()):
        raise Refusal("a part is empty")
    return size


def _case(
    name: str,
    parts: tuple[tuple[int | str, ...], ...],
    filter_: tuple[int, ...],
    *,
    bias: int = 0,
    axis: int = 1,
    kind: str = "Conv",
    computed: bool = False,
    refuses: str | None = None,
    opset: int = 20,
    **given: Any,
) -> Case:
    def build(g: CaseBuilder) -> ir.Value:
        data = g.Concat(*(g.input(*part) for part in parts), axis=axis)
        weight = g.input if computed else g.weight
        return g.record(kind, data, weight(*filter_), weight(bias) if bias else None, **given)

    return Case(name, build, refuses=refuses, opset=opset)


@split_concat_conv.cases
def cases() -> Iterator[Case]:
    yield _case("1×1, with a bias", ((2, 2, 5, 4), (2, 1, 5, 4)), (3, 3, 1, 1), bias=3)
    yield _case(
        "three, padded, strided and dilated",
        ((1, 1, 7, 8), (1, 2, 7, 8), (1, 1, 7, 8)),
        (2, 4, 3, 2),
        strides=(2, 1),
        dilations=(1, 2),
        pads=(1, 0, 1, 2),
    )
    yield _case("computed weights", ((1, 1, 4, 4), (1, 2, 4, 4)), (2, 3, 2, 2), bias=2, computed=True)
    yield _case("computed weights, opset 9", ((1, 1, 4), (1, 2, 4)), (2, 3, 2), computed=True, opset=9)
    yield _case(
        "1-D, a negative axis, dynamic sizes, SAME",
        (("N", 1, "L"), ("N", 2, "L")),
        (2, 3, 3),
        axis=-2,
        auto_pad="SAME_UPPER",
    )
    yield _case("transposed", ((1, 1, 3, 4), (1, 2, 3, 4)), (3, 2, 3, 3), bias=2, kind="ConvTranspose", strides=(2, 1))
    yield _case("3-D", ((1, 1, 3, 3, 2), (1, 2, 3, 3, 2)), (2, 3, 2, 1, 2))
    yield _case(
        "groups",
        ((1, 2, 4, 4), (1, 2, 4, 4)),
        (2, 2, 1, 1),
        group=2,
        refuses="the convolution has groups",
    )
    yield _case(
        "below each other",
        ((1, 2, 2, 4), (1, 2, 2, 4)),
        (2, 2, 1, 1),
        axis=2,
        refuses="they are not concatenated along the channels",
    )
    yield _case(
        "an unknown number of channels",
        ((1, "C", 4, 4), (1, 2, 4, 4)),
        (2, 9, 1, 1),
        refuses="the number of channels of a part is not known",
    )


@split_concat_conv.samples
def samples(random: Random) -> Case:
    kind = random.choice(("Conv", "Conv", "ConvTranspose"))
    drawn = draw_conv(random, op_type=kind, groups=(1, 1, 1, 1, 2))
    counts = [random.randint(1, 3) for _ in range(random.randint(1, 3))]
    channels = [sum(counts), drawn.filter[1] if kind == "ConvTranspose" else drawn.filter[0]]
    group = drawn.attributes["group"]
    drawn = replace(
        drawn,
        filter=(channels[0], channels[1], *drawn.filter[2:])
        if kind == "ConvTranspose"
        else (channels[1], channels[0] // group, *drawn.filter[2:]),
    )
    parts = [(drawn.data[0], count, *drawn.data[2:]) for count in counts]
    opset, computed = random.choice((9, 12, 13, 20, 21)), random.random() < 0.3

    def build(g: CaseBuilder) -> ir.Value:
        try:
            return drawn.of(g, g.Concat(*(g.input(*part) for part in parts), axis=1), computed=computed)
        except Refusal:  # groups that do not divide the channels
            return g.input(1)

    return Case(f"{counts} {drawn} opset={opset}", build, opset=opset, seed=random.getrandbits(32))
