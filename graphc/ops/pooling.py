"""Pooling over windows, dense (a tap on padding counts), and over whole maps."""

from __future__ import annotations

from math import prod

from graphc.convolution import pool_axes, static_shape
from graphc.costs import Cost
from graphc.ops.op import op, traffic
from graphc.view import View


@op("MaxPool")
def max_pool(view: View) -> Cost:
    """Comparisons among the window of each output."""
    outputs, window = _windows(view)
    return Cost(cmp=outputs * (window - 1)) + traffic(view)


@op("AveragePool")
def average_pool(view: View) -> Cost:
    """Adds over the window of each output, and one division."""
    outputs, window = _windows(view)
    return Cost(add=outputs * (window - 1), div=outputs) + traffic(view)


@op("GlobalMaxPool")
def global_max_pool(view: View) -> Cost:
    """Comparisons among each whole map."""
    maps, size = _maps(view)
    return Cost(cmp=maps * max(0, size - 1)) + traffic(view)


@op("GlobalAveragePool")
def global_average_pool(view: View) -> Cost:
    """Adds over each whole map, and one division."""
    maps, size = _maps(view)
    return Cost(add=maps * max(0, size - 1), div=maps) + traffic(view)


def _windows(view: View) -> tuple[int, int]:
    """(outputs, taps of a window)"""
    batch, channels, *sizes = static_shape(view.required("X"))
    axes = pool_axes(view, sizes)
    return batch * channels * prod(axis.output for axis in axes), prod(axis.taps for axis in axes)


def _maps(view: View) -> tuple[int, int]:
    """(how many maps, elements of a map)"""
    batch, channels, *sizes = static_shape(view.required("X"))
    return batch * channels, prod(sizes)
