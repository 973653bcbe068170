"""Replace a convolution with few outputs by one that keeps the rows of its kernel apart, and a sum of shifted rows.

Law    conv(x, w)[o, y] = Σ_t (row t of w over x)[o, s·y − p + d·t]
       a convolution with one output for each row t of the kernel, then one in Cout groups whose filter is 1 at (t, t)
Why    Kernels compute outputs in lanes of 8 or 16: three outputs leave most idle, three times as many rows fill them.
       The multiplications stay but for one in Cin·l. On ONNX Runtime (AVX-512, 2 threads) 9×9 to 3 channels runs 5
       times as fast, 3×3 to 3 and to 8 channels 1.9 and 1.4 times. Shorter sums, or more outputs, do not pay.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Case, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.nests import both_sides
from graphc_passes.nodes.windows import WindowedConv
from graphc_passes.sampling.convolutions import draw_conv, plain_conv


@rewrite("Conv", numerics="reassociates")
def replace_narrow_conv_with_row_split(
    root: View, op: Tape, *, most_outputs: int = 8, most_stride: int = 2, least_sum: int = 8
) -> ir.Value:
    conv, content = WindowedConv.read(root), root.constant("W")
    rows, outputs = conv.windows[0], conv.out_channels
    shifts = _shifts(outputs, rows.taps, content.ndim)
    if rows.taps == 1 or np.array_equal(content, shifts):
        raise Refusal("the kernel has one row, or only shifts them")
    require(outputs <= most_outputs, "it has many outputs", conservative="it would be slower: its lanes are full")
    require(rows.stride <= most_stride, "it skips rows", conservative="it would be slower: all rows are computed")
    require(
        prod(content.shape[1:]) // rows.taps >= least_sum * max(outputs, 2),
        "the sums along a row are short",
        conservative="it would be slower: the second convolution costs as much as is saved",
    )
    apart = np.moveaxis(content, 2, 1).reshape(outputs * rows.taps, content.shape[1], 1, *content.shape[3:])
    along, none = conv.windows[1:], [(0, 0)] * (content.ndim - 3)
    each = op.Conv(
        conv.data,
        op.constant(apart, like=conv.filter, name="weight"),
        group=conv.groups,
        strides=[1, *(window.stride for window in along)],
        dilations=[1, *(window.dilation for window in along)],
        pads=both_sides([(0, 0), *(window.pads for window in along)]),
    )
    return op.Conv(
        each,
        op.constant(shifts, like=conv.filter, name="shifts"),
        conv.bias,
        group=outputs,
        strides=[rows.stride, *(1 for _ in along)],
        dilations=[rows.dilation, *(1 for _ in along)],
        pads=both_sides([rows.pads, *none]),
    )


def _shifts(outputs: int, taps: int, rank: int) -> np.ndarray:
    """The filter [outputs, taps, taps, 1, ...] that is 1 where tap t meets row t."""
    return np.tile(np.eye(taps).reshape(1, taps, taps, *[1] * (rank - 3)), (outputs, *[1] * (rank - 1)))


@replace_narrow_conv_with_row_split.cases
def cases() -> Iterator[Case]:
    x, w = (1, 8, 5, 4), (2, 8, 3, 2)
    yield Case("kernel 3", plain_conv(x, w, bias=True, pads=[1, 1, 1, 0]).of)
    several: dict[str, Any] = {"group": 2, "strides": [2, 1], "dilations": [2, 3], "pads": [2, 2, 0, 1]}
    yield Case("strided, dilated, grouped", plain_conv((2, 16, 6, 5), w, **several).of)
    yield Case("1-D", plain_conv((1, 16, 6), (1, 16, 3), pads=[2, 0]).of)
    yield Case("3-D", plain_conv((1, 4, 3, 3, 3), (1, 4, 2, 2, 2), bias=True).of)
    yield Case("dynamic sizes", plain_conv(("N", 8, "H", "W"), w, pads=[1, 0, 0, 1]).of)
    for name, drawn, reason in (
        ("many outputs", plain_conv(x, (9, 8, 3, 3)), "it has many outputs"),
        ("a large stride", plain_conv(x, w, strides=[3, 1]), "it skips rows"),
        ("few inputs", plain_conv((1, 3, 5, 4), (1, 3, 3, 3)), "the sums along a row are short"),
        ("one row", plain_conv(x, (2, 8, 1, 3)), "the kernel has one row, or only shifts them"),
    ):
        yield Case(name, drawn.of, refuses=reason)


@replace_narrow_conv_with_row_split.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random)
    anything = {"most_outputs": 100, "most_stride": 100, "least_sum": 0}
    return Case(str(drawn), drawn.of, options=anything, seed=random.getrandbits(32), oracle=drawn.oracle)
