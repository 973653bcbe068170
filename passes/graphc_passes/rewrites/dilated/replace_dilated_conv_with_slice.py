"""Replace a convolution whose stride and dilation share a factor with one over the part of its input that is read.

Law    With g = gcd(s, d):   s·n − p + d·t = g·(s/g·n + d/g·t) − p
       every tap reads the same phase of the input, so conv(x, s, d) = conv(x[f::g], s/g, d/g) with f = −p mod g
Why    Where the dilation divides the stride the convolution becomes dense at no cost: no multiplication more, and only
       the elements that are used are touched. It is the one-phase case of space-to-batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from random import Random
from typing import Any

import onnx_ir as ir

from graphc import Axis, Case, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.nests import both_sides
from graphc_passes.nodes.padding import zero_padded
from graphc_passes.nodes.slicing import TO_THE_END, Cut, sliced
from graphc_passes.nodes.windows import Window, WindowedConv
from graphc_passes.sampling.convolutions import draw_conv, plain_conv


@rewrite("Conv", numerics="reassociates")
def replace_dilated_conv_with_slice(root: View, op: Tape) -> ir.Value:
    conv = WindowedConv.read(root)
    if all(_shared(window) == 1 for window in conv.windows):
        raise Refusal("no stride and dilation share a factor")
    thinned = [_thinned(window) for window in conv.windows]
    padded = zero_padded(op, conv.data, [each.padded[0] for each in thinned], [each.padded[1] for each in thinned])
    cuts = {2 + axis: each.cut for axis, each in enumerate(thinned) if each.cut is not None}
    return op.Conv(
        sliced(op, padded, cuts),
        conv.filter,
        conv.bias,
        group=conv.groups,
        strides=[window.stride // _shared(window) for window in conv.windows],
        dilations=[window.dilation // _shared(window) for window in conv.windows],
        pads=both_sides([each.pads for each in thinned]),
    )


@dataclass(frozen=True)
class _Thinned:
    """One axis: zeros put around the data first, what is taken of that, and the pads of the convolution."""

    padded: tuple[int, int]
    cut: Cut | None
    pads: tuple[int, int]


def _shared(window: Window) -> int:
    return gcd(window.stride, window.dilation)


def _thinned(window: Window) -> _Thinned:
    """Only over a known size is it known how many pads are left after the Slice."""
    step = _shared(window)
    if step == 1:
        return _Thinned((0, 0), None, window.pads)
    if not window.known:
        return _Thinned((window.begin, window.end), Cut(0, TO_THE_END, step), (0, 0))
    begin = -(-window.begin // step)
    first, axis = begin * step - window.begin, window.axis
    require(first < axis.input, "all that is read is padding", conservative="it would be a convolution of nothing")
    taken = len(range(first, axis.input, step))
    low = Axis(taken, axis.output, axis.taps, 1, axis.down // step, begin, axis.step // step)
    used = taken + min(0, low.pads[1])
    stop = TO_THE_END if used == taken else first + used * step
    return _Thinned((0, 0), Cut(first, stop, step), (begin, max(0, low.pads[1])))


def _case(name: str, x: tuple[int | str, ...], w: tuple[int, ...], **attributes: Any) -> Case:
    drawn = plain_conv(x, w, **attributes)
    return Case(name, drawn.of, oracle=drawn.oracle)


@replace_dilated_conv_with_slice.cases
def cases() -> Iterator[Case]:
    x, w = (1, 2, 8, 7), (3, 2, 3, 3)
    yield _case("the dilation is the stride", x, w, bias=True, strides=(2, 2), dilations=(2, 2), pads=(2, 2, 2, 2))
    yield _case("the dilation divides the stride", x, (3, 2, 2, 2), strides=(4, 4), dilations=(2, 2), pads=(1, 3, 0, 2))
    yield _case(
        "one of two axes, grouped", x, (4, 1, 2, 2), group=2, strides=(3, 2), dilations=(3, 1), pads=(1, 0, 1, 1)
    )
    yield _case("only a factor is shared", x, (3, 2, 2, 1), strides=(2, 1), dilations=(4, 1), pads=(3, 0, 2, 0))
    yield _case("the end is not read", (1, 2, 8), (3, 2, 1), strides=(6,), dilations=(2,))
    yield _case("3-D", (1, 1, 4, 3, 5), (1, 1, 2, 1, 2), strides=(2, 1, 2), dilations=(2, 1, 2))
    yield _case("dynamic sizes", ("N", 2, "H", "W"), w, strides=(2, 1), dilations=(2, 1), pads=(1, 1, 2, 1))
    yield Case(
        "coprime",
        lambda g: g.Conv(g.input(1, 2, 7, 7), g.weight(3, 2, 2, 2), strides=(2, 3), dilations=(3, 2)),
        refuses="no stride and dilation share a factor",
    )
    yield Case(
        "padding only",
        lambda g: g.Conv(g.input(1, 2, 1), g.weight(3, 2, 2), strides=(3,), dilations=(3,), pads=(1, 3)),
        refuses="all that is read is padding",
    )


@replace_dilated_conv_with_slice.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, strides=4, dilations=4)
    return Case(str(drawn), drawn.of, seed=random.getrandbits(32), oracle=drawn.oracle)
