"""Replace a convolution of float64 numbers with a matrix product over its unfolded data.

Law    conv(x, w)[n, k, o] = Σ w[k, c, t]·x̄[n, (c, t), o]      x̄[·, (c, t), o] = x padded, at s·o + d·t: one Slice a tap
Why    ONNX Runtime has no Conv of doubles, but a MatMul: models of physics and tests of gradients are in doubles. A
       transposed convolution becomes a convolution first (its phases).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from math import prod
from random import Random
from typing import Any

import onnx_ir as ir

from graphc import Axis, Case, CaseBuilder, Tape, View, require, rewrite
from graphc_passes.nodes.nests import read_nest
from graphc_passes.nodes.padding import padded
from graphc_passes.nodes.rearranging import with_spatial_of
from graphc_passes.nodes.slicing import TO_THE_END, Cut, sliced
from graphc_passes.nodes.stated import known_sizes
from graphc_passes.sampling.convolutions import draw_conv


@rewrite("Conv", numerics="reassociates")
def replace_double_conv_with_matmul(root: View, op: Tape) -> ir.Value:
    data, weights, bias = root.required("X"), root.required("W"), root.input("B")
    require(
        weights.dtype == ir.DataType.DOUBLE,
        "not of float64",
        conservative="ONNX Runtime has a kernel for every other type",
    )
    axes, filter_ = _read(root)
    rank, group, taps = len(axes), root.attr("group"), prod(filter_[2:])
    pads = root.attr("pads") or [0] * (2 * rank)
    frame = padded(op, data, [0, 0, *pads[:rank]], [0, 0, *pads[rank:]])
    reads = [sliced(op, frame, _cuts(axes, tap)) for tap in product(*map(range, filter_[2:]))]
    length = _length(reads[0])
    apart = op.constant([0, group, filter_[1], 1, length])
    columns = op.Concat(*(op.Reshape(read, apart) for read in reads), axis=3) if taps > 1 else reads[0]
    columns = op.Reshape(columns, op.constant([0, group, filter_[1] * taps, length]))
    rows = op.Reshape(weights, op.constant([group, filter_[0] // group, filter_[1] * taps]))
    result = with_spatial_of(op, op.MatMul(rows, columns), filter_[0], reads[0])
    if bias is None:
        return result
    return op.Add(result, op.Reshape(bias, op.constant([-1, *[1] * rank])))


def _read(root: View) -> tuple[Sequence[Axis], Sequence[int]]:
    """The axes, where sizes that are not known stand at ANY_SIZE, and the shape of the filter."""
    nest, sizes = read_nest(root), known_sizes(root.required("W"))
    require(
        root.attr("auto_pad") in ("NOTSET", "VALID"),
        "auto_pad pads it",
        conservative="replace-auto-pad-with-pads makes the pads explicit first",
    )
    require(
        all(nest.out_shape) and all(sizes),
        "the output or the filter is empty",
        conservative="nothing is to be computed",
    )
    return nest.axes, sizes


def _cuts(axes: Sequence[Axis], tap: Sequence[int]) -> dict[int, Cut]:
    """What a tap reads of each padded axis: from step·t on, and the last as far from the end as taps follow."""
    cuts = {}
    for index, (axis, t) in enumerate(zip(axes, tap, strict=True)):
        left = axis.step * (axis.taps - 1 - t)
        cut = Cut(axis.step * t, -left or TO_THE_END, axis.down)
        if not cut.whole:
            cuts[2 + index] = cut
    return cuts


def _length(read: ir.Value) -> int:
    """How many outputs there are in one channel, -1 where it is not known."""
    sizes = list(read.shape or [])[2:]
    known = [size for size in sizes if isinstance(size, int)]
    return prod(known) if len(known) == len(sizes) else -1


def _conv(
    g: CaseBuilder,
    x: tuple[int | str, ...],
    w: tuple[int, ...],
    bias: bool = False,
    computed: bool = False,
    **more: Any,
) -> ir.Value:
    filter_ = g.input(*w) if computed else g.weight(*w)
    return g.Conv(g.input(*x), filter_, g.weight(w[0]) if bias else None, **more)


@replace_double_conv_with_matmul.cases
def cases() -> Iterator[Case]:
    double = partial(Case, dtype=ir.DataType.DOUBLE, oracle="reference")
    conv = partial(partial, _conv)
    x, w = (1, 2, 5, 6), (3, 2, 3, 2)
    yield double("padded, biased", conv(x=x, w=w, bias=True, pads=(1, 0, 1, 2)))
    yield double(
        "strided, dilated, grouped", conv(x=(2, 4, 7, 6), w=(4, 2, 2, 3), group=2, strides=(2, 3), dilations=(3, 1))
    )
    yield double("dynamic", conv(x=("N", 2, "H", "W"), w=w, strides=(2, 1), pads=(1, 0, 1, 2), bias=True))
    yield double("one tap", conv(x=x, w=(3, 2, 1, 1), bias=True))
    yield double("1-D, depthwise, VALID", conv(x=(1, 3, 6), w=(6, 1, 3), group=3, auto_pad="VALID"))
    yield double("3-D", conv(x=(1, 2, 3, 4, 3), w=(2, 2, 2, 2, 2), pads=(1, 0, 0, 0, 1, 0)))
    yield double("a filter that is computed", conv(x=x, w=w, computed=True))
    yield Case("float32", conv(x=x, w=w), refuses="not of float64")
    yield double("SAME", conv(x=x, w=w, auto_pad="SAME_UPPER"), refuses="auto_pad pads it")
    yield double("larger than its data", conv(x=(1, 2, 2, 2), w=w), refuses="the output or the filter is empty")


@replace_double_conv_with_matmul.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random)
    return Case(str(drawn), drawn.of, dtype=ir.DataType.DOUBLE, seed=random.getrandbits(32), oracle="reference")
