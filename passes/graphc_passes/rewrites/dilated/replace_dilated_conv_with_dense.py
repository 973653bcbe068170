"""Replace a dilated convolution with a dense one whose filter has zeros between the taps.

Law    conv(x, w, d) = conv(x, W)     W[d·t] = w[t], zero elsewhere; for finite data: 0·∞ is not a number
Why    For targets without dilation: it costs (d·(k − 1) + 1)/k times the multiplications along each axis, and nothing
       else changes. The other direction of finding zeros in a filter.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Case, Refusal, Tape, View, rewrite
from graphc_passes.nodes.nests import both_sides
from graphc_passes.nodes.windows import WindowedConv
from graphc_passes.sampling.convolutions import draw_conv, plain_conv


@rewrite("Conv", numerics="reassociates")
def replace_dilated_conv_with_dense(root: View, op: Tape) -> ir.Value:
    conv, filter_ = WindowedConv.read(root), root.constant("W")
    if all(window.dilation == 1 for window in conv.windows):
        raise Refusal("it is not dilated")
    dense = np.zeros((*filter_.shape[:2], *(1 + window.reach for window in conv.windows)), filter_.dtype)
    taps = (slice(None, None, window.dilation) for window in conv.windows)
    dense[slice(None), slice(None), *taps] = filter_
    return op.Conv(
        conv.data,
        op.constant(dense, like=conv.filter, name="weight"),
        conv.bias,
        group=conv.groups,
        strides=[window.stride for window in conv.windows],
        pads=both_sides([window.pads for window in conv.windows]),
    )


def _case(name: str, x: tuple[int | str, ...], w: tuple[int, ...], **attributes: Any) -> Case:
    drawn = plain_conv(x, w, **attributes)
    return Case(name, drawn.of, oracle=drawn.oracle)


@replace_dilated_conv_with_dense.cases
def cases() -> Iterator[Case]:
    x, w = (1, 2, 7, 6), (3, 2, 3, 2)
    yield _case("unequal dilations", x, w, bias=True, dilations=(2, 3), pads=(1, 2, 1, 1))
    yield _case("strided, grouped", x, (4, 1, 2, 3), group=2, dilations=(2, 1), strides=(1, 2))
    yield _case("1-D, causal", (1, 2, 7), (2, 2, 3), dilations=(3,), pads=(6, 0))
    yield _case("one tap", (1, 2, 4, 4), (2, 2, 1, 1), dilations=(2, 2), strides=(2, 2))
    yield _case("SAME_UPPER", x, w, dilations=(2, 1), auto_pad="SAME_UPPER")
    yield _case("dynamic sizes", ("N", 2, "H", "W"), w, dilations=(2, 3), pads=(1, 0, 0, 1))
    yield Case(
        "not dilated",
        lambda g: g.Conv(g.input(1, 2, 5, 5), g.weight(3, 2, 2, 2)),
        refuses="it is not dilated",
    )
    yield Case(
        "a filter that is computed",
        lambda g: g.Conv(g.input(1, 2, 7), g.input(3, 2, 2), dilations=(3,)),
        refuses="W of Conv is not a constant",
    )


@replace_dilated_conv_with_dense.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random)
    return Case(str(drawn), drawn.of, seed=random.getrandbits(32), oracle=drawn.oracle)
