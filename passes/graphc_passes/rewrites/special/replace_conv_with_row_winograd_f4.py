"""Replace a dense convolution of three taps along its last axis with Winograd's minimal filtering of its rows: F(4, 3).

Law    Y = Aᵀ[(G g) ⊙ (Bᵀ d)] of each four outputs of a row, summed over channels and other taps: the rows are
       transformed by a depthwise convolution, one convolution of six groups on a quarter of the columns, the outputs by
       a matrix product and a depth to space
Why    6 instead of 12 multiplications for four outputs and a pair of channels, with one transform where F(4×4, 3×3) has
       two (Lavin & Gray, CVPR 2016): less to gain, but roundings weigh 16 times as much instead of 256, and the other
       axes may have any size, stride and dilation. It is for those who ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random
from typing import Any

import onnx_ir as ir

from graphc import Case, CaseBuilder, Tape, View, require, rewrite
from graphc_passes.nodes.winograd import F4, MOST_CHANNELS, read_rows_of_3, row_winograd
from graphc_passes.sampling.convolutions import draw_conv


@rewrite("Conv", numerics="approximates", bound=F4.bound(axes=1), improves=("macs",))
def replace_conv_with_row_winograd_f4(root: View, op: Tape) -> ir.Value:
    conv, pads = read_rows_of_3(root)
    require(
        root.required("X").dtype in (ir.DataType.FLOAT, ir.DataType.DOUBLE),
        "not of float32",
        conservative="the bound is that of float32: a narrower type loses more",
    )
    require(
        conv.filter[0].size <= 9 * MOST_CHANNELS,
        "more terms than the bound is for",
        conservative="the bound grows with the root of their number",
    )
    return row_winograd(op, conv, pads, F4)


def _conv(
    g: CaseBuilder, x: tuple[int | str, ...], w: tuple[int, ...], bias: bool = False, **attributes: Any
) -> ir.Value:
    return g.Conv(g.input(*x), g.weight(*w), g.weight(w[0]) if bias else None, **attributes)


@replace_conv_with_row_winograd_f4.cases
def cases() -> Iterator[Case]:
    conv = partial(partial, _conv)
    other = "not a dense convolution of three taps along its last axis, of stride and dilation 1"
    x, w, small = (1, 16, 6, 8), (16, 16, 3, 3), (3, 2, 3, 3)
    yield Case("padded, biased", conv(x=x, w=w, bias=True, pads=(1, 1, 1, 1)))
    yield Case(
        "strided and dilated along the other axis",
        conv(x=(2, 16, 9, 10), w=(16, 16, 2, 3), strides=(2, 1), dilations=(3, 1), pads=(0, 2, 1, 0)),
    )
    yield Case("1-D", conv(x=(1, 24, 10), w=(24, 24, 3), bias=True, pads=(2, 0)))
    yield Case("3-D", conv(x=(1, 12, 3, 3, 8), w=(12, 12, 3, 3, 3), pads=(1, 1, 1, 1, 1, 1)))
    yield Case("dynamic", conv(x=("N", 2, "H", "W"), w=small, bias=True, pads=(1, 0, 1, 2)), options={"when": "always"})
    yield Case("few channels", conv(x=(1, 2, 4, 4), w=(1, 2, 1, 3)), refuses="it would not be cheaper here")
    yield Case("strided", conv(x=(1, 2, 8, 8), w=small, strides=(1, 2)), refuses=other)
    yield Case("grouped", conv(x=(1, 2, 8, 8), w=(2, 1, 3, 3), group=2), refuses=other)
    yield Case("3 × 1", conv(x=(1, 2, 8, 8), w=(3, 2, 3, 1)), refuses=other)
    yield Case("SAME", conv(x=(1, 2, 8, 8), w=small, auto_pad="SAME_UPPER"), refuses="auto_pad pads it")
    yield Case("float16", conv(x=(1, 2, 8, 8), w=small), dtype=ir.DataType.FLOAT16, refuses="not of float32")
    yield Case("513 channels", conv(x=(1, 513, 3, 3), w=(1, 513, 3, 3)), refuses="more terms than the bound is for")


@replace_conv_with_row_winograd_f4.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, groups=(1,))
    attributes = {**drawn.attributes}
    for name in ("strides", "dilations"):
        attributes[name] = [*attributes[name][:-1], 1]
    channels = random.choice((drawn.filter[1], 16))
    x, w = (drawn.data[0], channels, *drawn.data[2:]), (drawn.filter[0], channels, *drawn.filter[2:-1], 3)
    bias = random.random() < 0.5
    build = partial(_conv, x=x, w=w, bias=bias, **attributes)
    return Case(f"{x} {w} bias={bias} {attributes}", build, seed=random.getrandbits(32))
