"""Fold a Slice of a convolution's output into the convolution.

Law    conv(x, w, s, p)[a : z : c] = conv(x, w, c·s, p − s·a)      on each axis, with the end pad that leaves as many
       outputs; of the channels: the filters of the others are left out
Why    What is thrown away is not computed: the chomp of a causal convolution (Bai et al., 2018), every second output,
       or unused channels. Where the convolution is read elsewhere too it stays, and the price says no.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from random import Random
from typing import Any

import onnx_ir as ir

from graphc import Axis, Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.nests import both_sides
from graphc_passes.nodes.slicing import TO_THE_END, Cut, read_slice, sliced
from graphc_passes.nodes.windows import Window, WindowedConv
from graphc_passes.sampling.convolutions import DrawnConv, draw_conv, plain_conv


@rewrite("Slice", numerics="reassociates", improves=("macs", "bytes", "nodes"))
def fold_slice_into_conv(root: View, op: Tape) -> ir.Value:
    cuts = read_slice(root)
    conv = WindowedConv.read(root.producer("data", "Conv"))
    if all(cut.whole for cut in cuts.values()):
        raise Refusal("the Slice takes all")
    if 0 in cuts and not cuts[0].whole:
        raise Refusal("the Slice takes part of the batch")
    if any(cut.step < 0 for cut in cuts.values()):
        raise Refusal("the Slice turns an axis round")
    channels = list(cuts.get(1, Cut(0, TO_THE_END)).of(conv.out_channels))
    each = conv.out_channels // conv.groups
    taken = [sum(channel // each == group for channel in channels) for group in range(conv.groups)]
    require(len(set(taken)) == 1 and taken[0] > 0, "the groups would have unequal numbers of channels")
    windows = [_cut(window, cuts.get(2 + axis)) for axis, window in enumerate(conv.windows)]
    filter_, bias = conv.filter, conv.bias
    if len(channels) < conv.out_channels:
        filter_ = op.constant(conv.view.constant("W")[channels], like=filter_, name="weight")
        kept = conv.view.optional_constant("B")
        bias = None if kept is None else op.constant(kept[channels], like=filter_, name="bias")
    return op.Conv(
        conv.data,
        filter_,
        bias,
        group=conv.groups,
        strides=[stride for stride, _ in windows],
        dilations=[window.dilation for window in conv.windows],
        pads=both_sides([pads for _, pads in windows]),
    )


def _cut(window: Window, cut: Cut | None) -> tuple[int, tuple[int, int]]:
    """The stride and the pads that make those outputs alone."""
    if cut is None or cut.whole:
        return window.stride, window.pads
    stride = window.stride * cut.step
    if not window.known:
        to_the_end = Cut(0, cut.stop).whole
        if cut.start < 0 or not (to_the_end or cut.stop < 0):
            raise Refusal("the Slice counts from the other end of a size that is not known")
        begin = window.begin - window.stride * cut.start
        end = window.end if to_the_end else window.end + window.stride * cut.stop
    else:
        kept = cut.of(window.axis.output)
        if not kept:
            raise Refusal("nothing is left")
        begin = window.begin - window.stride * kept.start
        end = Axis(window.axis.input, len(kept), window.taps, 1, stride, begin, window.dilation).pads[1]
        end = max(end, 0) if end > -stride else end
    if begin < 0 or end < 0:
        raise Refusal("more is cropped than padded: a Slice of the input would have to do it")
    return stride, (begin, end)


def _slice(g: CaseBuilder, drawn: DrawnConv, cuts: Mapping[int, Cut]) -> ir.Value:
    return sliced(g, drawn.of(g), cuts)


def _of(x: tuple[int | str, ...], w: tuple[int, ...], cuts: Mapping[int, Cut], **attributes: Any) -> partial[ir.Value]:
    return partial(_slice, drawn=plain_conv(x, w, **attributes), cuts=cuts)


@fold_slice_into_conv.cases
def cases() -> Iterator[Case]:
    # Padded as much as the kernel is long: ONNX's own shape inference aborts on a Slice of a negative size.
    x, w = (1, 2, 6, 5), (4, 2, 3, 3)
    ones: dict[str, Any] = {"pads": [1, 1, 1, 1]}
    end, causal = TO_THE_END, (1, 2, 7)
    yield Case("chomp", _of(causal, (3, 2, 3), {2: Cut(0, -4)}, bias=True, pads=[4, 4], dilations=[2]))
    yield Case("chomp, dynamic", _of(("N", 2, "L"), (3, 2, 2), {2: Cut(0, -1)}, pads=[1, 1]))
    yield Case("every second output", _of(x, w, {2: Cut(0, end, 2), 3: Cut(1, end, 2)}, **ones))
    yield Case("every second, dynamic", _of((1, 2, "H", "W"), w, {2: Cut(1, -1, 2), 3: Cut(0, end, 3)}, **ones))
    yield Case("some channels", _of(x, w, {1: Cut(1, 3)}, bias=True, **ones))
    yield Case("the same of each group", _of(x, (4, 1, 1, 1), {1: Cut(0, 4, 2)}, group=2))
    both = {2: Cut(1, 4), 3: Cut(0, -1)}
    yield Case("strided, both ends", _of((1, 1, 7, 7), (2, 1, 3, 3), both, strides=[2, 2], pads=[2, 1, 2, 2]))
    yield Case(
        "a computed filter",
        lambda g: sliced(g, g.Conv(g.input(1, 2, 5), g.input(4, 2, 1), g.input(4)), {2: Cut(0, TO_THE_END, 2)}),
    )
    yield Case(
        "some channels of a computed filter",
        lambda g: sliced(g, g.Conv(g.input(1, 2, 5), g.input(4, 2, 1)), {1: Cut(0, 2)}),
        refuses="W of Conv is not a constant",
    )
    groups = _of(x, (4, 1, 1, 1), {1: Cut(0, 2)}, group=2)
    yield Case("half of the groups", groups, refuses="the groups would have unequal numbers of channels")
    for name, cut, reason in (
        ("from the end", {3: Cut(4, -9, -1)}, "the Slice turns an axis round"),
        ("the batch", {0: Cut(0, 1)}, "the Slice takes part of the batch"),
        ("everything", {2: Cut(0, end)}, "the Slice takes all"),
        ("nothing", {2: Cut(3, 3)}, "nothing is left"),
        ("too much", {2: Cut(2, 5)}, "more is cropped than padded: a Slice of the input would have to do it"),
    ):
        yield Case(name, _of((2, *x[1:]), w, cut, **ones), refuses=reason)
    yield Case(
        "a dynamic size, from the front",
        _of((1, 2, "L"), (3, 2, 2), {2: Cut(0, 3)}, pads=[1, 1]),
        refuses="the Slice counts from the other end of a size that is not known",
    )


@fold_slice_into_conv.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, kernel=3, strides=2, dilations=2, groups=(1, 1, 1, 2))
    while not _has_outputs(drawn):
        drawn = draw_conv(random, kernel=3, strides=2, dilations=2)
    cuts = {}
    for axis in random.sample(range(1, len(drawn.data)), random.choice((1, 1, 2))):
        stop = random.choice((TO_THE_END, -random.randint(1, 2), random.randint(1, 6)))
        cuts[axis] = Cut(random.choice((0, 0, 1, -3)), stop, random.choice((1, 1, 2, 3)))
    build = partial(_slice, drawn=drawn, cuts=cuts)
    return Case(f"{drawn} {cuts}", build, seed=random.getrandbits(32), oracle=drawn.oracle)


def _has_outputs(drawn: DrawnConv) -> bool:
    """Whether every axis of known size is at least as long as its taps reach: see the cases."""
    sizes = zip(drawn.data[2:], drawn.filter[2:], drawn.attributes["dilations"], strict=True)
    return all(isinstance(size, str) or Axis.conv(size, taps, 1, dilation).output > 0 for size, taps, dilation in sizes)
