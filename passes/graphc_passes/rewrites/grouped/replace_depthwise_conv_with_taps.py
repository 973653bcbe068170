"""Replace a depthwise convolution with a sum over its taps of shifted data times one number per channel.

Law    conv(x, w, b, g = Cin)[k, o] = b[k] + Σ over t of pad(x)[k // m, s·o + d·t] · w[k, t]     m = Cout / Cin
       a shift and a stride are a Slice, a multiplier m > 1 repeats channels; sizes may be dynamic, the weights computed
Why    a target without grouped convolutions has Slice, Mul and Add.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from itertools import product
from math import prod
from random import Random

import onnx_ir as ir

from graphc import Case, Tape, View, constant, require, rewrite
from graphc_passes.nodes.broadcasting import per_channel_shape
from graphc_passes.nodes.grouping import piece
from graphc_passes.nodes.padding import zero_padded
from graphc_passes.nodes.rearranging import repeat_channels
from graphc_passes.nodes.slicing import Cut, sliced
from graphc_passes.nodes.windows import WindowedConv
from graphc_passes.sampling.convolutions import conv_sample, draw_conv


@rewrite("Conv", numerics="reassociates")
def replace_depthwise_conv_with_taps(root: View, op: Tape, *, most_taps: int = 25) -> ir.Value:
    conv = WindowedConv.read(root)
    windows, groups = conv.windows, conv.groups
    require(conv.in_channels == groups, "each output mixes several channels")
    require(groups > 1, "there is only one channel", conservative="that is a dense convolution")
    require(
        prod(window.taps for window in windows) <= most_taps,
        "there are many taps",
        conservative="each is a pass over the output",
    )
    padded = zero_padded(op, conv.data, [window.begin for window in windows], [window.end for window in windows])
    data = repeat_channels(op, padded, groups, conv.out_channels // groups)
    terms = []
    for taps in product(*(range(window.taps) for window in windows)):
        reads = {2 + axis: window.reads(tap) for axis, (window, tap) in enumerate(zip(windows, taps, strict=True))}
        shifted = sliced(op, data, {axis: cut for axis, cut in reads.items() if not cut.whole})
        terms.append(op.Mul(shifted, _weights(root, op, taps)))
    if conv.bias is not None:
        terms.append(per_channel_shape(op, conv.bias, 2 + len(windows)))
    return reduce(op.Add, terms)


def _weights(root: View, op: Tape, taps: tuple[int, ...]) -> ir.Value:
    """The filter at these taps, [1, Cout, 1, ...]."""
    filter_ = root.required("W")
    content = constant(filter_)
    if content is not None:
        at = content[(slice(None), slice(None), *(slice(tap, tap + 1) for tap in taps))]
        return op.constant(at.swapaxes(0, 1), like=filter_, name="weight")
    at_taps = piece(op, filter_, {2 + axis: Cut(tap, tap + 1) for axis, tap in enumerate(taps)})
    return op.Transpose(at_taps, perm=[1, 0, *range(2, 2 + len(taps))])


@replace_depthwise_conv_with_taps.cases
def cases() -> Iterator[Case]:
    yield Case(
        "3x2, bias",
        lambda g: g.Conv(g.input(1, 2, 4, 5), g.weight(2, 1, 3, 2), g.weight(2), group=2, pads=(1, 0, 2, 1)),
    )
    yield Case(
        "1-D, strided and dilated, computed weights, any size",
        lambda g: g.Conv(
            g.input("N", 2, "L"), g.input(2, 1, 3), g.input(2), group=2, strides=(2,), dilations=(2,), pads=(2, 3)
        ),
    )
    yield Case(
        "a multiplier",
        lambda g: g.Conv(g.input(2, 3, 4, 3), g.weight(6, 1, 2, 1), g.weight(6), group=3, strides=(1, 2)),
    )
    yield Case(
        "a multiplier, any size",
        lambda g: g.Conv(g.input("N", 2, "H", "W"), g.input(6, 1, 1, 2), group=2, pads=(0, 0, 0, 1)),
    )
    yield Case(
        "3-D, auto_pad",
        lambda g: g.Conv(g.input(1, 2, 3, 2, 2), g.weight(2, 1, 2, 1, 2), group=2, auto_pad="SAME_LOWER"),
    )
    yield Case("opset 9", lambda g: g.Conv(g.input(1, 2, 4), g.input(2, 1, 2), group=2, pads=(1, 0)), opset=9)
    yield Case(
        "a group of two channels",
        lambda g: g.Conv(g.input("N", 4, "L"), g.weight(4, 2, 3), group=2),
        refuses="each output mixes several channels",
    )
    yield Case(
        "one channel",
        lambda g: g.Conv(g.input(1, 1, 4), g.weight(2, 1, 3)),
        refuses="there is only one channel",
    )
    yield Case(
        "more taps than wanted",
        lambda g: g.Conv(g.input(1, 2, 4), g.weight(2, 1, 3), group=2),
        options={"most_taps": 2},
        refuses="there are many taps",
    )
    yield Case(
        "auto_pad and any size",
        lambda g: g.Conv(g.input(1, 2, "L"), g.weight(2, 1, 3), group=2, strides=(2,), auto_pad="SAME_UPPER"),
        refuses="auto_pad with a stride over a size that is not known",
    )


@replace_depthwise_conv_with_taps.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, groups=(2, 3), inner=(1,), kernel=3)
    return conv_sample(random, drawn, options={"most_taps": 27})
