"""Fuse equal convolutions, each of its own part of the channels, into one grouped convolution.

Law    concat over i of conv(xᵢ, wᵢ, bᵢ, h) = conv(x, concat wᵢ, concat bᵢ, n·h)     x₁ … xₙ equal parts of x, in order;
       the same for ConvTranspose; the weights may be computed
Why    one node in place of n convolutions, the cuts before and the Concat after them, which copy every element twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, constant, require, rewrite
from graphc_passes.nodes.grouping import GroupedConv
from graphc_passes.nodes.slicing import Cut, parts_of, read_slice, sliced
from graphc_passes.nodes.stated import known_sizes
from graphc_passes.sampling.convolutions import draw_conv

CONVOLUTIONS = ("Conv", "ConvTranspose")


@rewrite("Concat", numerics="reassociates", improves=("bytes", "nodes"))
def fuse_split_convs(concat: View, op: Tape) -> ir.Value:
    convs = [GroupedConv.read(concat.made_by(_given(part), *CONVOLUTIONS)) for part in concat.inputs()]
    first, filters = convs[0], [conv.view.required("W") for conv in convs]
    if concat.attr("axis") % first.rank != 1:
        raise Refusal("it is not the channels that are concatenated")
    sizes = [(conv.view.op_type, known_sizes(filter_)) for conv, filter_ in zip(convs, filters, strict=True)]
    require(len(set(sizes)) == 1, "the convolutions differ in size")
    require(_same_attributes(convs), "the convolutions differ in their attributes")
    data = _whole(concat, [conv.view.required("X") for conv in convs], 1, first.in_channels)
    if data is None:
        raise Refusal("their inputs are not the parts of one value, all of them in order")
    bias = _biases(concat, op, convs)
    return first.remade(op, data, _joined(concat, op, filters), bias, group=first.groups * len(convs))


def _given(value: ir.Value | None) -> ir.Value:
    if value is None:
        raise Refusal("an input is empty")
    return value


def _same_attributes(convs: Sequence[GroupedConv]) -> bool:
    """Whether all say the same, be it by default."""
    names = {name for conv in convs for name in conv.view.node.attributes}
    return all(conv.view.attr(name) == convs[0].view.attr(name) for conv in convs for name in names)


def _biases(concat: View, op: Tape, convs: Sequence[GroupedConv]) -> ir.Value | None:
    """The biases one after another, zeros where there is none; None if none has one."""
    given = [conv.view.input("B") for conv in convs]
    if not any(given):
        return None
    zeros, like = np.zeros(convs[0].out_channels), convs[0].view.required("W")
    filled = [op.constant(zeros, like=like, name="bias") if bias is None else bias for bias in given]
    return _joined(concat, op, filled, "bias")


def _joined(concat: View, op: Tape, weights: Sequence[ir.Value], name: str = "weight") -> ir.Value:
    """Weights one after another: a constant if all are, else the value that they are the parts of, else a Concat."""
    contents = [constant(value) for value in weights]
    known = [content for content in contents if content is not None]
    if len(known) == len(weights):
        return op.constant(np.concatenate(known), like=weights[0], name=name)
    whole = _whole(concat, weights, 0, known_sizes(weights[0])[0])
    if whole is not None:
        return whole
    return op.Concat(*weights, axis=0)


def _whole(concat: View, parts: Sequence[ir.Value], axis: int, size: int) -> ir.Value | None:
    """The value whose parts of `size` along `axis` these are, all of them and in order, else None."""
    makers = {maker.op_type if maker is not None else "" for maker in (part.producer() for part in parts)}
    if makers == {"Split"}:
        return _split_whole(concat.made_by(parts[0], "Split"), parts, axis)
    if makers == {"Slice"}:
        return _sliced_whole([concat.made_by(part, "Slice") for part in parts], axis, size)
    return None


def _split_whole(split: View, parts: Sequence[ir.Value], axis: int) -> ir.Value | None:
    data = split.required("input")
    if data.shape is None or split.attr("axis") % len(data.shape) != axis:
        return None
    return data if parts_of(split) == tuple(parts) else None


def _sliced_whole(slices: Sequence[View], axis: int, size: int) -> ir.Value | None:
    data = slices[0].required("data")
    total = len(slices) * size
    if any(view.required("data") is not data for view in slices) or data.shape is None or data.shape[axis] != total:
        return None
    for index, cuts in enumerate(read_slice(view) for view in slices):
        taken = cuts.pop(axis, Cut(0, total)).of(total)
        if cuts or taken != range(index * size, (index + 1) * size):
            return None
    return data


def _apart(g: CaseBuilder, x: ir.Value, parts: Sequence[int], *, split: bool) -> Sequence[ir.Value]:
    """The channels of `x` in parts of these sizes."""
    ends = np.cumsum(parts).tolist()
    if not split:
        return [sliced(g, x, {1: Cut(end - part, end)}) for part, end in zip(parts, ends, strict=True)]
    if g.opset < 13:
        return tuple(g.Split(x, split=list(parts), axis=1, outputs=len(parts)))
    return tuple(g.Split(x, g.constant(list(parts)), axis=1, outputs=len(parts)))


def _two(g: CaseBuilder, *filters: tuple[int, ...], pads: tuple[int, int] = (0, 0), swap: bool = False) -> ir.Value:
    """Two 1-D convolutions of two channels each."""
    parts = list(_apart(g, g.input(1, 4, 5), [2, 2], split=True))
    data = zip(reversed(parts) if swap else parts, filters, pads, strict=True)
    return g.Concat(*(g.Conv(part, g.weight(*filter_), pads=(pad, 1 - pad)) for part, filter_, pad in data), axis=1)


@fuse_split_convs.cases
def cases() -> Iterator[Case]:
    yield Case("a Split", lambda g: _two(g, (3, 2, 3), (3, 2, 3)))
    yield Case("Slices, computed filters, one bias", partial(_fused, split=False, computed=True, biased=(1,)))
    yield Case("transposed", partial(_fused, op_type="ConvTranspose", split=True, biased=(0, 1)))
    yield Case("a Split of opset 12", partial(_fused, split=True, biased=(0, 1)), opset=12)
    yield Case("Slices of opset 9", partial(_fused, split=False), opset=9)
    yield Case("filters that are Slices of one, groups in each", _of_one_filter)
    yield Case(
        "different outputs",
        lambda g: _two(g, (3, 2, 3), (1, 2, 3)),
        refuses="the convolutions differ in size",
    )
    yield Case(
        "different pads",
        lambda g: _two(g, (3, 2, 3), (3, 2, 3), pads=(0, 1)),
        refuses="the convolutions differ in their attributes",
    )
    yield Case(
        "parts in another order",
        lambda g: _two(g, (3, 2, 3), (3, 2, 3), swap=True),
        refuses="their inputs are not the parts of one value, all of them in order",
    )
    yield Case(
        "channels are left out",
        partial(_fused, split=False, channels=5),
        refuses="their inputs are not the parts of one value, all of them in order",
    )
    yield Case(
        "one after another along another axis",
        lambda g: g.Concat(
            *(g.Conv(x, g.weight(2, 2, 1)) for x in _apart(g, g.input(1, 4, 5), [2, 2], split=True)), axis=2
        ),
        refuses="it is not the channels that are concatenated",
    )


def _fused(
    g: CaseBuilder,
    *,
    split: bool,
    op_type: str = "Conv",
    computed: bool = False,
    biased: Sequence[int] = (),
    channels: int = 4,
) -> ir.Value:
    """Two convolutions from two channels to two; those in `biased` have a bias."""
    weights = g.input if computed else g.weight
    parts = _apart(g, g.input("N", channels, 4, 4), [2, 2], split=split)
    made = [
        g.record(op_type, part, weights(2, 2, 2, 3), weights(2) if index in biased else None, strides=(2, 1))
        for index, part in enumerate(parts)
    ]
    return g.Concat(*made, axis=-3)


def _of_one_filter(g: CaseBuilder) -> ir.Value:
    filter_ = g.input(4, 1, 2)
    filters = [sliced(g, filter_, {0: Cut(start, start + 2)}) for start in (0, 2)]
    parts = _apart(g, g.input(1, 4, 5), [2, 2], split=False)
    return g.Concat(*(g.Conv(x, w, group=2) for x, w in zip(parts, filters, strict=True)), axis=1)


@fuse_split_convs.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, op_type=random.choice(CONVOLUTIONS), groups=(1, 1, 2))
    count, split, computed = random.randint(2, 3), random.random() < 0.5, random.random() < 0.3
    opset = random.choice((9, 12, 13, 20))
    order = list(range(count))
    if random.random() < 0.1:
        random.shuffle(order)
    odd = random.random() < 0.1

    def build(g: CaseBuilder) -> ir.Value:
        batch, channels, *spatial = drawn.data
        assert isinstance(channels, int)
        parts = _apart(g, g.input(batch, channels * count, *spatial), [channels] * count, split=split)
        convs = [drawn.of(g, parts[index], computed=computed) for index in order]
        return g.Concat(*convs[:-1], convs[0] if odd else convs[-1], axis=1)

    name = f"{count} of {drawn} split={split} computed={computed} {order} odd={odd}"
    return Case(name, build, opset=opset, seed=random.getrandbits(32))
