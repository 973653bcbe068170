"""Convolution and its transpose: every count is one of the nest's.

The three directions have the same multiply-adds, dense and effective; only the algorithm that stretches an operand
with zeros sees a difference. A bias is one add per output, forward and backward.
"""

from __future__ import annotations

from math import prod

from graphc.convolution import Convolution, Direction, read_convolution
from graphc.costs import Cost, macs
from graphc.ops.op import Op, Saved, gradient_traffic, keep, op, traffic
from graphc.view import View

DATA, FILTER, BIAS = range(3)


@op("Conv", "ConvTranspose")
class Convolutional(Op):
    """X [batch, in, *spatial], W, and an optional B [out]."""

    gradients = frozenset({DATA, FILTER, BIAS})

    def forward(self, view: View) -> Cost:
        nest = read_convolution(view)
        bias = prod(nest.out_shape) if view.input("B") else 0
        return multiply_adds(nest, "forward") + Cost(add=bias) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        nest = read_convolution(view)
        if index == BIAS:
            return Cost(add=prod(nest.out_shape)) + gradient_traffic(view, index)
        if index == DATA:
            return multiply_adds(nest, "input_grad") + gradient_traffic(view, index, view.input("W"))
        return multiply_adds(nest, "filter_grad") + gradient_traffic(view, index, view.input("X"))

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """Data and filter, whichever gradient is wanted: PyTorch computes them by one formula."""
        return keep(view.input("X"), "data") + keep(view.input("W"), "filter")


def multiply_adds(nest: Convolution, direction: Direction) -> Cost:
    """One direction of a nest, counted in all three ways."""
    return macs(nest.macs, nest.effective_macs, nest.zero_insertion_macs(direction))
