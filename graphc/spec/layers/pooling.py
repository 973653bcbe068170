"""Pooling: the maximum or the mean over windows, over everything, or down to a given size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import onnx_ir as ir

from graphc.axis import Axis
from graphc.spec.layers import Field, Layer, PerAxis
from graphc.spec.layers._window import Dilation, Kernel, Pad, Window, per_axis, spatial_rank, window

if TYPE_CHECKING:
    from graphc.spec.emit import Emitter

PoolStride = Annotated[
    PerAxis | None, Field(alias="s", description="step of the window, one per axis; default: the kernel")
]
CeilMode = Annotated[bool, Field(description="round the output size up: a last window may hang over the padded input")]


class MaxPool(Layer):
    """The maximum over a sliding window of [N, C, spatial...]; padding never wins."""

    primary: ClassVar = "kernel"
    kernel: Kernel = (2,)
    stride: PoolStride = None
    pad: Pad = 0
    dilation: Dilation = (1,)
    ceil_mode: CeilMode = False

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        view = _pool_window(g, x, self)
        return g.op(
            "MaxPool",
            x,
            kernel_shape=view.kernel,
            strides=view.stride,
            pads=view.pads,
            dilations=view.dilation,
            ceil_mode=int(self.ceil_mode),
        )


class AvgPool(Layer):
    """The mean over a sliding window of [N, C, spatial...]. A dilation other than 1 needs opset 19."""

    primary: ClassVar = "kernel"
    kernel: Kernel = (2,)
    stride: PoolStride = None
    pad: Pad = 0
    dilation: Dilation = (1,)
    ceil_mode: CeilMode = False
    count_include_pad: bool = Field(False, description="count padding as zeros instead of leaving it out")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        view = _pool_window(g, x, self)
        if g.opset < 19 and set(view.dilation) != {1}:
            g.fail(f"AveragePool has dilations from opset 19, this network uses {g.opset}", hint="raise 'opset'")
        return g.op(
            "AveragePool",
            x,
            kernel_shape=view.kernel,
            strides=view.stride,
            pads=view.pads,
            dilations=view.dilation if g.opset >= 19 else None,
            ceil_mode=int(self.ceil_mode),
            count_include_pad=int(self.count_include_pad),
        )


class GlobalAvgPool(Layer):
    """The mean of each channel: [N, C, spatial...] to [N, C, 1...]."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        spatial_rank(g, x)
        return g.op("GlobalAveragePool", x)


class GlobalMaxPool(Layer):
    """The maximum of each channel: [N, C, spatial...] to [N, C, 1...]."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        spatial_rank(g, x)
        return g.op("GlobalMaxPool", x)


class AdaptiveAvgPool(Layer):
    """The mean over bins that cut each spatial axis into `size` parts: [N, C, spatial...] to [N, C, size...].

    Bin i of n over L elements is floor(i L / n) up to ceil((i + 1) L / n). Bins of one length are an
    AveragePool; others are a product with a constant matrix per axis. Sizes must be fixed unless `size` is 1.
    """

    primary: ClassVar = "size"
    size: PerAxis = Field(description="output size: one integer, or one per spatial axis")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        rank = spatial_rank(g, x)
        wanted = per_axis(g, "size", self.size, rank)
        if set(wanted) == {1}:
            return g.op("GlobalAveragePool", x)
        given = tuple(g.size(x, axis) for axis in range(2, rank + 2))
        if given == wanted:
            return g.op("Identity", x)
        if all(size % n == 0 for size, n in zip(given, wanted, strict=True)):
            kernel = tuple(size // n for size, n in zip(given, wanted, strict=True))
            return g.op("AveragePool", x, kernel_shape=kernel, strides=kernel)
        for axis, bins in enumerate(wanted, start=2):
            x = _average_bins(g, x, axis, bins, name=None if axis == rank + 1 else f"axis{axis}")
        return x


def _pool_window(g: Emitter, x: ir.Value, pool: MaxPool | AvgPool) -> Window:
    view = window(
        g,
        x,
        kernel=pool.kernel,
        stride=pool.stride or pool.kernel,
        dilation=pool.dilation,
        pad=pool.pad,
    )
    for sizes in g.sizes(x):
        _check_padding(g, view, view.axes(sizes[2:], ceil_mode=pool.ceil_mode), pool.ceil_mode)
    return view


def _check_padding(g: Emitter, view: Window, axes: tuple[Axis, ...], ceil_mode: bool) -> None:
    """Every window must hold input; ONNX and its runtimes disagree about windows that do not."""
    for axis, begin, end in zip(axes, view.begin, view.end, strict=True):
        pad = max(begin, end)
        if pad >= axis.taps or (pad and axis.step > axis.input):
            g.fail(
                f"pads {view.pads} let windows of {view.kernel} taps hold nothing but padding",
                hint="pad less than the kernel, and dilate less than the input",
            )
        if ceil_mode and axis.pads[1] < end:  # the window that would reach the end is left out
            g.fail(
                f"ceil_mode adds a window that starts behind the input of {axis.input}",
                hint="leave ceil_mode out, or pad less at the end",
            )


def _average_bins(g: Emitter, x: ir.Value, axis: int, bins: int, name: str | None) -> ir.Value:
    """`x` with `axis` averaged into `bins` parts, as a product with a constant matrix."""
    size, last = g.size(x, axis), g.rank(x) - 1
    matrix = np.zeros((size, bins))
    for i in range(bins):
        start, end = i * size // bins, -(-(i + 1) * size // bins)
        matrix[start:end, i] = 1 / (end - start)
    if axis == last:
        return g.op("MatMul", x, g.constant(matrix), name=name)
    swap = list(range(last + 1))
    swap[axis], swap[last] = last, axis
    turned = g.op("Transpose", x, name=f"{name}_last", perm=swap)
    return g.op("Transpose", g.op("MatMul", turned, g.constant(matrix), name=name), name=f"{name}_back", perm=swap)
