"""Convolutions over the equation of `graphc.axis`: what they cost, how they run, how ONNX nodes state them.

A convolution adds data[n, c, i] · filter[k, c, t] into out[n, k, o] for every (i, o, t) that satisfies the
equation on every axis, c and k in the same group. Strides, dilations and pads become axes here and nowhere
else.

There is one filter layout, [out_channels, in_channels/groups, *taps], tap t of the equation at index t. That
is the layout of a Conv node. A ConvTranspose node has [in_channels, out_channels/groups, *taps], and
`transpose_filter` goes from either to the other; no tap is mirrored, for the sign of `step` says that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np
import onnx_ir as ir

from graphc.axis import Array, Axis, Direction, Phases, extent, same_pads
from graphc.errors import GraphcError
from graphc.view import Refusal, View, constant_tensor

__all__ = [
    "Axis",
    "Convolution",
    "Direction",
    "Phases",
    "channel_conflict",
    "pool_axes",
    "read_convolution",
    "static_shape",
    "transpose_filter",
]


@dataclass(frozen=True)
class Convolution:
    """A convolution over any number of axes; over none, a fully connected layer. Channels are of all groups.

    Raises ValueError when `groups` does not divide the channels.
    """

    axes: tuple[Axis, ...]
    groups: int
    in_channels: int
    out_channels: int
    batch: int = 1

    def __post_init__(self) -> None:
        if self.groups < 1 or self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(f"{self.groups} groups do not divide the channels of {self}")

    # ---------------------------------------------------------------- shapes

    @property
    def data_shape(self) -> tuple[int, ...]:
        """[batch, in_channels, *input]"""
        return (self.batch, self.in_channels, *(axis.input for axis in self.axes))

    @property
    def filter_shape(self) -> tuple[int, ...]:
        """[out_channels, in_channels/groups, *taps], the one layout of this module."""
        return (self.out_channels, self.in_channels // self.groups, *(axis.taps for axis in self.axes))

    @property
    def out_shape(self) -> tuple[int, ...]:
        """[batch, out_channels, *output]"""
        return (self.batch, self.out_channels, *(axis.output for axis in self.axes))

    # ---------------------------------------------------------------- counts

    @property
    def macs(self) -> int:
        """Dense multiply-adds, without bias. Equal in all three directions."""
        return self._pairs * prod(axis.macs for axis in self.axes)

    @property
    def effective_macs(self) -> int:
        """Multiply-adds on real elements, without bias. Equal in all three directions."""
        return self._pairs * prod(axis.effective_macs for axis in self.axes)

    def zero_insertion_macs(self, direction: Direction = "forward") -> int:
        """Multiply-adds of that direction as a stride-1 convolution over an operand stretched with zeros."""
        return self._pairs * prod(axis.zero_insertion_macs(direction) for axis in self.axes)

    @property
    def _pairs(self) -> int:
        """How many (input channel, output channel) pairs meet, over the whole batch."""
        return self.batch * self.out_channels * (self.in_channels // self.groups)

    # ---------------------------------------------------------------- the same operator otherwise

    def toward(self, direction: Direction) -> Convolution:
        """The convolution that computes that direction: what the methods of that name run."""
        turned = replace(self, axes=tuple(axis.toward(direction) for axis in self.axes))
        if direction == "input_grad":
            return replace(turned, in_channels=self.out_channels, out_channels=self.in_channels)
        if direction == "filter_grad":
            return replace(turned, in_channels=self.groups * self.batch, batch=self.in_channels // self.groups)
        return turned

    def split_groups(self) -> tuple[Convolution, ...]:
        """One convolution per group, in the order of the channels."""
        inner, outer = self.in_channels // self.groups, self.out_channels // self.groups
        return (replace(self, groups=1, in_channels=inner, out_channels=outer),) * self.groups

    def lowered(self, phases: Sequence[Phases]) -> Convolution:
        """The stride-1 convolution between phases, one `Phases` per axis; its filter: `lowered_filter`."""
        return replace(
            self,
            axes=tuple(phase.axis for phase in phases),
            in_channels=self.in_channels * prod(phase.P for phase in phases),
            out_channels=self.out_channels * prod(phase.Q for phase in phases),
        )

    def lowered_filter(self, filter: Array, phases: Sequence[Phases]) -> Array:
        """The filter of `lowered`: [out_channels·ΠQ, in_channels/groups·ΠP, *widths], zero where no tap is.

        Output channel k·ΠQ + r and input channel c·ΠP + q, with r and q row-major over the axes. That is the
        order of `DepthToSpace(mode="CRD")`, and the one that keeps groups contiguous. The dtype stays.
        Raises ValueError unless `filter` has this convolution's `filter_shape`.
        """
        _expect("filter", filter, self.filter_shape)
        rank = len(self.axes)
        lowered = np.pad(filter, [(0, 0)] * 2 + [(0, 1)] * rank)  # so that tap −1 is a zero
        for axis in reversed(range(rank)):
            lowered = lowered[(slice(None),) * (2 + axis) + (phases[axis].table,)]
        r, q, j = (range(2 + part, 2 + 3 * rank, 3) for part in range(3))
        return lowered.transpose(0, *r, 1, *q, *j).reshape(self.lowered(phases).filter_shape)

    # ---------------------------------------------------------------- the executable nest

    def run(self, data: Array, filter: Array, bias: Array | None = None) -> Array:
        """The operator itself in float64, from `data` of `data_shape` to `out_shape`.

        `filter` has this module's layout. For each choice of taps, every product goes where the equation
        sends it: plain rather than fast, because all else here is held against it. Raises ValueError for
        other shapes.
        """
        _expect("data", data, self.data_shape)
        _expect("filter", filter, self.filter_shape)
        if bias is not None:
            _expect("bias", bias, (self.out_channels,))
        one = self.split_groups()[0]
        x: Array = data.astype(np.float64).reshape(self.batch, self.groups, *one.data_shape[1:])
        w: Array = filter.astype(np.float64).reshape(self.groups, *one.filter_shape)
        w = np.moveaxis(w, (0, 1, 2), (-3, -2, -1))
        y: Array = np.zeros((self.batch, self.groups, *one.out_shape[1:]))
        triples = [axis.triples() for axis in self.axes]
        for taps in product(*(range(axis.taps) for axis in self.axes)):
            here = [found[found[:, 2] == tap] for found, tap in zip(triples, taps, strict=True)]
            inputs, outputs = (np.ix_(*(found[:, column] for found in here)) for column in (0, 1))
            y[(..., *outputs)] += np.einsum("ngc...,gkc->ngk...", x[(..., *inputs)], w[taps])
        out: Array = y.reshape(self.out_shape)
        return out if bias is None else out + bias.reshape(-1, *(1 for _ in self.axes))

    def input_grad(self, grad: Array, filter: Array) -> Array:
        """∂L/∂data from ∂L/∂out and the filter, through the same nest."""
        return self.toward("input_grad").run(grad, transpose_filter(filter, self.groups))

    def filter_grad(self, data: Array, grad: Array) -> Array:
        """∂L/∂filter from the data and ∂L/∂out, through the same nest: batch and channels trade places."""
        turned = self.toward("filter_grad")
        x = data.reshape(self.batch, self.groups, turned.batch, *self.data_shape[2:])
        x = x.swapaxes(0, 2).reshape(turned.data_shape)
        return turned.run(x, grad.swapaxes(0, 1)).swapaxes(0, 1)


def transpose_filter(filter: Array, groups: int = 1) -> Array:
    """[a, b/groups, *taps] to [b, a/groups, *taps]: between the layouts of Conv and ConvTranspose."""
    outer, inner, *taps = filter.shape
    grouped = filter.reshape(groups, outer // groups, inner, *taps)
    return grouped.swapaxes(1, 2).reshape(groups * inner, outer // groups, *taps)


# ---------------------------------------------------------------- reading ONNX nodes


def read_convolution(
    node: View | ir.Node, data: Sequence[int] | None = None, filter: Sequence[int] | None = None
) -> Convolution:
    """The convolution that a Conv or ConvTranspose node is, or one of their kind: integer, quantised, deformable.

    `data` and `filter` are the shapes of X and W, by default those that the graph states (a kind that names its inputs
    otherwise needs them). Raises Refusal when a shape is not known, GraphcError (graph/conv-channel-mismatch,
    graph/checker-error) when the node contradicts itself.
    """
    view = node if isinstance(node, View) else View(node)
    x = static_shape(view.required("X")) if data is None else tuple(data)
    w = static_shape(view.required("W")) if filter is None else tuple(filter)
    groups, transposed = view.attr("group"), view.op_type == "ConvTranspose"
    if len(x) != len(w) or len(x) < 2:
        raise _contradiction(view, f"data {list(x)} and filter {list(w)} differ in rank")
    in_channels, out_channels = (w[0], w[1] * groups) if transposed else (w[1] * groups, w[0])
    conflict = channel_conflict(view.op_type, x[1], w, groups)
    if conflict is not None:
        raise GraphcError(
            f"{view.op_type} '{view.node.name}': {conflict}",
            code="graph/conv-channel-mismatch",
            hint="Conv takes a filter [out, in/groups, *kernel], ConvTranspose [in, out/groups, *kernel]",
        )
    axes = (_transposed_axes if transposed else _axes)(view, x[2:], w[2:])
    return Convolution(axes, groups, in_channels, out_channels, x[0])


def channel_conflict(
    op_type: str, channels: int | None, filter: Sequence[int | None], groups: int, bias: int | None = None
) -> str | None:
    """How the channels of data, of a filter in the node's own layout and of a bias contradict each other, None if not.

    A size of None is not known, and goes with any.
    """
    outer, inner, *_ = filter
    transposed = op_type == "ConvTranspose"
    if groups < 1:
        return f"{groups} is no number of groups"
    spread = None if inner is None else inner * groups
    taken, made = (outer, spread) if transposed else (spread, outer)
    shown = f"the filter {['?' if size is None else size for size in filter]}".replace("'", "")
    split = f" in {groups} groups" if groups > 1 else ""
    if channels is not None and taken is not None and channels != taken:
        return f"the data has {channels} channels, and {shown}{split} takes {taken}"
    if outer is not None and outer % groups:
        return f"{groups} groups do not divide the {outer} {'inputs' if transposed else 'outputs'} of {shown}"
    if bias is not None and made is not None and bias != made:
        return f"the bias has {bias} numbers, and {shown}{split} makes {made} channels"
    return None


def pool_axes(view: View, input: Sequence[int]) -> tuple[Axis, ...]:
    """The axes of a pooling node over these spatial sizes. Raises GraphcError (graph/checker-error)."""
    ceil_mode = view.attr("ceil_mode") == 1  # as ONNX and ONNX Runtime read other numbers
    return _axes(view, input, view.attr("kernel_shape"), ceil_mode=ceil_mode)


def static_shape(value: ir.Value) -> tuple[int, ...]:
    """The sizes of a value. Raises Refusal when one is unknown or symbolic."""
    if value.shape is not None and value.shape.is_static():
        return tuple(value.shape.numpy())
    tensor = constant_tensor(value)
    if tensor is None:
        raise Refusal(f"the shape of '{value.name}' is not static")
    return tuple(tensor.shape.numpy())


class _Window(NamedTuple):
    """What a node states of one axis, in the order in which the constructors of `Axis` take it."""

    input: int
    kernel: int
    stride: int
    dilation: int
    pads: tuple[int, int]


def _windows(view: View, input: Sequence[int], kernel: Sequence[int]) -> list[_Window]:
    rank, attr = len(input), view.attr
    strides, dilations = attr("strides") or (1,) * rank, attr("dilations") or (1,) * rank
    pads, stated = attr("pads") or (0,) * (2 * rank), attr("kernel_shape") or tuple(kernel)
    if (len(strides), len(dilations), len(pads), stated) != (rank, rank, 2 * rank, tuple(kernel)):
        raise _contradiction(view, f"its attributes do not go with {rank} axes and kernel {list(kernel)}")
    if min(*strides, *dilations, *kernel, 1) < 1:
        raise _contradiction(view, "strides, dilations and kernel sizes are at least 1")
    if _auto_pad(view) != "NOTSET" and any(pads):
        raise _contradiction(view, "pads and auto_pad exclude each other")
    begin_end = zip(pads[:rank], pads[rank:], strict=True)
    return [_Window(*each) for each in zip(input, kernel, strides, dilations, begin_end, strict=True)]


def _axes(view: View, input: Sequence[int], kernel: Sequence[int], *, ceil_mode: bool = False) -> tuple[Axis, ...]:
    """SAME wants ⌈input/stride⌉ outputs; computed pads are not negative."""
    mode, axes = _auto_pad(view), []
    for window in _windows(view, input, kernel):
        if mode.startswith("SAME"):
            span = (-(-window.input // window.stride) - 1) * window.stride
            total = span + extent(window.kernel, window.dilation) - window.input
            window = window._replace(pads=same_pads(total, mode))
        axes.append(Axis.conv(*window, ceil_mode=ceil_mode))
    return tuple(axes)


def _transposed_axes(view: View, input: Sequence[int], kernel: Sequence[int]) -> tuple[Axis, ...]:
    """SAME wants input·stride outputs, `output_shape` says how many; computed pads are not negative.

    Where `output_shape` is longer than what the taps reach, the rest lies at its end. Where SAME falls short
    (extent + output_padding < stride), it stays short. So do ONNX's shape inference and ONNX Runtime;
    `onnx.reference` lets SAME pads be negative instead.
    """
    rank, mode, axes = len(input), view.attr("auto_pad"), []
    paddings = view.attr("output_padding") or (0,) * rank
    outputs = view.attr("output_shape") or (None,) * rank
    if len(paddings) != rank or len(outputs) != rank:
        raise _contradiction(view, f"output_padding and output_shape have one size for each of {rank} axes")
    for window, padding, output in zip(_windows(view, input, kernel), paddings, outputs, strict=True):
        whole = Axis.conv_transpose(*window._replace(pads=(0, 0)), padding)
        if output is not None:
            axes.append(replace(whole, output=output, pad=-same_pads(whole.output - output, mode)[0]))
            continue
        if mode.startswith("SAME"):
            window = window._replace(pads=same_pads(whole.output - window.input * window.stride, mode))
        axes.append(Axis.conv_transpose(*window, padding))
    return tuple(axes)


def _auto_pad(view: View) -> str:
    """How pads are found; a DeformConv only states them."""
    return "NOTSET" if view.op_type == "DeformConv" else view.attr("auto_pad")


def _contradiction(view: View, message: str) -> GraphcError:
    return GraphcError(f"{view.op_type} '{view.node.name}': {message}", code="graph/checker-error")


def _expect(name: str, array: Array, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"the {name} has shape {array.shape}, not {shape}")
