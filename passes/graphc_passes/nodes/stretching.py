"""Reading what stretches data with zeros: Reshape, Pad, Reshape, or a depthwise ConvTranspose that only moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from graphc import Axis, Refusal, View
from graphc_passes.nodes.nests import read_nest
from graphc_passes.nodes.padding import Padding
from graphc_passes.nodes.stated import ANY_SIZE

UNLIKE = "it does not stretch the data with zeros"


@dataclass(frozen=True)
class Line:
    """One axis: element i of `input` lies at stride·i + begin of `length`. A size that is not known is ANY_SIZE."""

    input: int
    stride: int
    begin: int
    length: int

    def under(self, conv: Axis) -> Axis:
        """The transposed axis that the Conv axis `conv` over the stretched data is; its taps run the other way."""
        pad = conv.pad + self.begin - conv.step * (conv.taps - 1)
        return Axis(self.input, conv.output, conv.taps, self.stride, 1, pad, -conv.step)


def stretching_reshape(joined: View) -> tuple[ir.Value, list[Line], Padding]:
    """(data, its lines, the Pad) of [N, C, L...] with an axis behind each spatial one, padded and joined again.

    Raises Refusal where it is another thing. What the Pad fills with is for the caller to see.
    """
    pad = joined.producer("data", "Pad")
    apart = pad.producer("data", "Reshape", "Unsqueeze")
    data, padding = apart.required("data"), Padding.read(pad)
    if data.shape is None or padding.rank != 2 * len(data.shape) - 2 or not _puts_apart(apart, data.shape):
        raise Refusal(UNLIKE)
    beside = range(3, padding.rank, 2)
    elsewhere = [axis for axis in range(padding.rank) if axis not in beside]
    if padding.crops or padding.before[elsewhere].any() or padding.after[elsewhere].any():
        raise Refusal(UNLIKE)
    lines = []
    for size, axis in zip(data.shape[2:], beside, strict=True):
        input, begin, end = size if isinstance(size, int) else ANY_SIZE, int(padding.before[axis]), padding.after[axis]
        stride = 1 + begin + int(end)
        lines.append(Line(input, stride, begin, input * stride))
    if not _joins(joined, data.shape, lines):
        raise Refusal(UNLIKE)
    return data, lines, padding


def _puts_apart(apart: View, sizes: ir.Shape) -> bool:
    """Whether the node makes [N, C, L, 1, L, 1, ...] of [N, C, L, L, ...]."""
    rank = len(sizes) - 2
    if apart.op_type == "Unsqueeze":
        axes = np.reshape(apart.attr("axes") if apart.opset < 13 else apart.constant("axes"), -1)
        return sorted((axes % (2 + 2 * rank)).tolist()) == list(range(3, 3 + 2 * rank, 2))
    apart.input("shape"), apart.attr("allowzero")  # the shape that comes out says it all
    wanted = [sizes[1], *(size for length in sizes[2:] for size in (length, 1))]
    return _rest(apart.node.outputs[0]) == wanted and all(isinstance(size, int) and size for size in wanted)


def _joins(joined: View, sizes: ir.Shape, lines: Sequence[Line]) -> bool:
    """Whether the Reshape makes [N, C, L·stride...]; an L that is not known may be what is left over (−1)."""
    joined.attr("allowzero")
    target = joined.input("shape")
    lengths = [size * line.stride if isinstance(size, int) else -1 for size, line in zip(sizes[2:], lines, strict=True)]
    wanted = [sizes[1], *lengths]
    if -1 not in wanted:
        return _rest(joined.node.outputs[0]) == wanted and 0 not in wanted
    if target is None or joined.attr("allowzero"):
        return False
    stated = joined.constant("shape").tolist()
    return stated[0] == 0 and stated[1] in (0, sizes[1]) and stated[2:] == lengths


def _rest(value: ir.Value) -> list[int | ir.SymbolicDim]:
    """All sizes but that of the batch, which follows from them."""
    return list(value.shape or ())[1:]


def stretching_conv(delta: View) -> tuple[ir.Value, list[Line]]:
    """(data, its lines) of a depthwise ConvTranspose with a kernel of a single 1.

    Raises Refusal where it is another thing, or loses some of the data. A bias is for the caller to see.
    """
    content, nest = delta.constant("W"), read_nest(delta)
    places = np.argwhere(content[0, 0])
    if nest.groups != nest.in_channels or content.shape[1] != 1 or len(places) != 1:
        raise Refusal(UNLIKE)
    if (content != content[:1]).any() or content[0, 0][tuple(places[0])] != 1:
        raise Refusal(UNLIKE)
    lines = []
    for axis, tap in zip(nest.axes, places[0].tolist(), strict=True):
        line = Line(axis.input, axis.up, axis.pad - axis.step * tap, axis.output)
        if line.begin < 0 or line.stride * (line.input - 1) + line.begin >= line.length:
            raise Refusal("the stretched data lacks some of the data")
        lines.append(line)
    return delta.required("X"), lines
