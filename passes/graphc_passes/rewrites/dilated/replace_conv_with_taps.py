"""Replace a convolution with the sum of one 1×1 convolution per tap, each of a shifted input.

Law    conv(x, w)[n] = Σ_t w[t] · x[s·n − p + d·t]        one Slice of the padded input and one product per tap
Why    A 1×1 convolution is a matrix product, fast everywhere, at any dilation; nothing is gathered into columns first.
       Where the kernel is large and the taps far apart, that is all there is to do. By default dilated ones only.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from itertools import product
from random import Random
from typing import Any

import onnx_ir as ir

from graphc import Case, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.grouping import piece
from graphc_passes.nodes.padding import zero_padded
from graphc_passes.nodes.slicing import Cut, sliced
from graphc_passes.nodes.windows import WindowedConv
from graphc_passes.sampling.convolutions import draw_conv, plain_conv


@rewrite("Conv", numerics="reassociates")
def replace_conv_with_taps(root: View, op: Tape, *, dilated_only: bool = True) -> ir.Value:
    conv = WindowedConv.read(root)
    windows = conv.windows
    if all(window.taps == 1 for window in windows):
        raise Refusal("it has one tap")
    require(
        not dilated_only or any(window.dilation > 1 for window in windows),
        "no axis is dilated",
        conservative="an ordinary convolution is faster whole",
    )
    padded = zero_padded(op, conv.data, [window.begin for window in windows], [window.end for window in windows])
    terms: list[ir.Value] = []
    for taps in product(*(range(window.taps) for window in windows)):
        reads = {2 + axis: window.reads(tap) for axis, (window, tap) in enumerate(zip(windows, taps, strict=True))}
        term = op.Conv(
            sliced(op, padded, {axis: cut for axis, cut in reads.items() if not cut.whole}),
            piece(op, conv.filter, {2 + axis: Cut(tap, tap + 1) for axis, tap in enumerate(taps)}),
            None if terms else conv.bias,
            group=conv.groups,
        )
        terms.append(term)
    return reduce(op.Add, terms)


def _case(name: str, x: tuple[int | str, ...], w: tuple[int, ...], **attributes: Any) -> Case:
    drawn = plain_conv(x, w, **attributes)
    return Case(name, drawn.of, oracle=drawn.oracle)


@replace_conv_with_taps.cases
def cases() -> Iterator[Case]:
    x, w = (1, 2, 6, 7), (3, 2, 2, 2)
    yield _case("dilated", x, w, bias=True, dilations=(2, 3), pads=(1, 2, 1, 1))
    yield _case("strided, depthwise", (2, 2, 6, 7), (2, 1, 2, 3), group=2, dilations=(2, 2), strides=(1, 2))
    yield _case("1-D, causal", (1, 2, 7), (2, 2, 3), bias=True, dilations=(3,), pads=(6, 0))
    yield _case("dynamic sizes", ("N", 2, "H", "W"), w, dilations=(2, 1), strides=(2, 1), pads=(1, 0, 0, 1))
    yield Case("a filter that is computed", lambda g: g.Conv(g.input(1, 2, 7), g.input(3, 2, 2), dilations=(3,)))
    yield Case(
        "any convolution",
        lambda g: g.Conv(g.input(1, 2, 5, 5), g.weight(3, 2, 2, 2), pads=(1, 1, 0, 0)),
        options={"dilated_only": False},
    )
    yield Case(
        "not dilated",
        lambda g: g.Conv(g.input(1, 2, 5, 5), g.weight(3, 2, 2, 2), pads=(1, 1, 0, 0)),
        refuses="no axis is dilated",
    )
    yield Case(
        "one tap",
        lambda g: g.Conv(g.input(1, 2, 5, 5), g.weight(3, 2, 1, 1), strides=(2, 2)),
        options={"dilated_only": False},
        refuses="it has one tap",
    )


@replace_conv_with_taps.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, kernel=3)
    every = {"dilated_only": random.random() < 0.5}
    return Case(str(drawn), drawn.of, options=every, seed=random.getrandbits(32), oracle=drawn.oracle)
