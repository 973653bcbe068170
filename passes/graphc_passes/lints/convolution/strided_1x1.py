"""A convolution that strides further than its filter reaches, over data that nothing else reads in full.

Why    a 1×1 with stride 2 reads one position of four: what the layers before computed at the others is thrown away. The
       bottlenecks of ResNet (He et al., CVPR 2016) did so, and are half a percent better with the stride at the 3×3
       behind. A shortcut beside a branch that reads the rest loses nothing.
"""

from __future__ import annotations

from functools import reduce
from math import prod

import numpy as np
import onnx_ir as ir

from graphc import Axis, CaseBuilder, Refusal, View, lint

LARGEST = 1 << 16  # positions of a period; what strides further is a mistake, or meant to fill the memory


@lint(
    "Conv",
    category="convolution",
    severity="warning",
    help="stride at a convolution that reads every position, or pool before",
)
def strided_1x1(conv: View) -> str | None:
    data, strides = conv.input("X"), conv.attr("strides") or ()
    if data is None or data.is_graph_output() or max(strides, default=1) < 2:
        return None
    readers = list(data.consumers())
    if readers[0] is not conv.node or any(not _strides(reader, data, conv) for reader in readers):
        return None
    read = np.logical_or.reduce([_positions(View(reader, conv.opset), data) for reader in readers])
    if read.all():
        return None
    return f"{(~read).sum()} of {read.size} positions of what it reads are read by nothing"


def _strides(reader: ir.Node, data: ir.Value, conv: View) -> bool:
    """Whether it is a convolution with the strides of `conv`, over the data and nothing else."""
    if reader.op_type != "Conv" or reader.domain or [value is data for value in reader.inputs].index(True):
        return False
    return bool(View(reader, conv.opset).attr("strides") == conv.attr("strides"))


def _positions(conv: View, data: ir.Value) -> np.ndarray:
    """Which positions of one period it reads, of those that the data has."""
    filter_, sizes = conv.required("W").shape, data.shape
    strides, kernel = conv.attr("strides"), conv.attr("kernel_shape") or (filter_[2:] if filter_ is not None else ())
    rank = len(kernel)
    dilations, pads = conv.attr("dilations") or (1,) * rank, conv.attr("pads") or (0,) * (2 * rank)
    if not len(strides) == len(dilations) == len(pads) / 2 == rank or prod(strides) > LARGEST:
        raise Refusal("its kernel, strides, dilations and pads do not go together, or are not known")
    along = []
    for index, (taps, stride, dilation, pad) in enumerate(zip(kernel, strides, dilations, pads[:rank], strict=True)):
        if not all(isinstance(number, int) and number > 0 for number in (taps, stride, dilation)):
            raise Refusal("its kernel, strides and dilations are not all known, and at least 1")
        if taps * stride > LARGEST:
            raise Refusal(f"kernel times stride is more than {LARGEST}")
        table = Axis.conv(1, taps, stride, dilation, (pad, 0)).phases().table
        size = sizes[2 + index] if sizes is not None and len(sizes) == 2 + rank else None
        along.append(np.any(table >= 0, axis=(0, 2))[: size if isinstance(size, int) and size > 0 else None])
    return reduce(np.logical_and.outer, along)


@strided_1x1.bad
def of_everything_before(g: CaseBuilder) -> object:
    x = g.Relu(g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3), pads=(1, 1, 1, 1)))
    return g.Conv(x, g.weight(8, 4, 1, 1), strides=(2, 2))


@strided_1x1.bad
def both_branches_of_a_bottleneck(g: CaseBuilder) -> object:
    x = g.Relu(g.input(1, 4, 8, 8))
    branch = g.Relu(g.Conv(x, g.weight(2, 4, 1, 1), g.weight(2), strides=(2, 2)))
    return g.Add(
        g.Relu(g.Conv(branch, g.weight(8, 2, 3, 3), pads=(1,) * 4)), g.Conv(x, g.weight(8, 4, 1, 1), strides=(2, 2))
    )


@strided_1x1.bad
def taps_that_fall_on_each_other(g: CaseBuilder) -> object:
    return g.Conv(g.Relu(g.input(1, 4, 9)), g.weight(4, 4, 3), strides=(2,), dilations=(2,))


@strided_1x1.good
def a_shortcut(g: CaseBuilder) -> object:
    x = g.Relu(g.input(1, 4, 8, 8))
    branch = g.Relu(g.Conv(x, g.weight(8, 4, 3, 3), strides=(2, 2), pads=(1, 1, 1, 1)))
    return g.Add(branch, g.Conv(x, g.weight(8, 4, 1, 1), strides=(2, 2)))


@strided_1x1.good
def patches(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 3, 8, 8), g.weight(8, 3, 4, 4), strides=(4, 4))


@strided_1x1.good
def over_one_position(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 4, 1, 1), g.weight(8, 4, 1, 1), strides=(2, 2))
