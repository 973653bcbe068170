"""Convolutions of every kind: each count is one of the nest's.

The three directions have the same multiply-adds, dense and effective; only the algorithm that stretches an operand
with zeros sees a difference. A bias is one add per output, forward and backward.
"""

from __future__ import annotations

from math import prod

from graphc.convolution import Axis, Convolution, Direction, read_convolution, static_shape
from graphc.costs import ZERO, Cost, macs
from graphc.ops.elementwise import LAWS, Law
from graphc.ops.op import Op, Saved, elements, gradient_traffic, keep, op, operand, optional, traffic
from graphc.ops.quantisation import REQUANTISED, shifts
from graphc.view import View

DATA, FILTER, BIAS = range(3)


@op("Conv", "ConvTranspose")
class Convolutional(Op):
    """X [batch, in, *spatial], W, and an optional B [out]."""

    gradients = frozenset({DATA, FILTER, BIAS})

    def nest(self, view: View) -> Convolution:
        """The nest that the node is."""
        return read_convolution(view)

    def forward(self, view: View) -> Cost:
        nest = self.nest(view)
        bias = Cost(add=prod(nest.out_shape)) if optional(view, BIAS) else ZERO
        return multiply_adds(nest, "forward") + bias + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        nest = self.nest(view)
        if index == BIAS:
            return Cost(add=prod(nest.out_shape)) + gradient_traffic(view, index)
        if index == DATA:
            return multiply_adds(nest, "input_grad") + gradient_traffic(view, index, operand(view, FILTER))
        return multiply_adds(nest, "filter_grad") + gradient_traffic(view, index, operand(view, DATA))

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """Data and filter, whichever gradient is wanted: PyTorch computes them by one formula."""
        return keep(operand(view, DATA), "data") + keep(operand(view, FILTER), "filter")


@op("CausalConvWithState")
class CausalConvolution(Convolutional):
    """A depthwise convolution that sees the present and the past, which is `past_state` or zeros; then a SiLU."""

    def nest(self, view: View) -> Convolution:
        batch, channels, length = static_shape(operand(view, DATA))
        taps = static_shape(operand(view, FILTER))[2]
        real = length if optional(view, 3) is None else length + taps - 1
        axis = Axis.conv(real, taps, pads=(length + taps - 1 - real, 0))
        return Convolution((axis,), channels, channels, channels, batch)

    def forward(self, view: View) -> Cost:
        return super().forward(view) + self._activation(view).each * elements(view.node.outputs[0])

    def shared(self, view: View) -> Cost:
        size = elements(view.node.outputs[0])
        return sum((toward.each * size for toward in self._activation(view).toward if toward), ZERO)

    def _activation(self, view: View) -> Law:
        return Law(ZERO) if view.attr("activation") == "none" else LAWS["Swish"]


@op("DeformConv")
class DeformableConvolution(Convolutional):
    """Each tap lies at an offset of its own, so its sample is interpolated between 2^r neighbours on r axes.

    A sample is 2^r multiply-adds (weights apart, as in Resize), moved by r adds, times its mask if there is one. Back,
    the gradient of the samples is the convolution's (counted with the data's) and is scattered by the same weights; an
    offset's is r differences of 2^r neighbours. Where a sample lies is data: dense and effective are the same.
    """

    gradients = frozenset({0, 1, 2, 3, 4})
    OFFSET, SHIFT, MASK = 2, 3, 4

    def forward(self, view: View) -> Cost:
        shift = Cost(add=elements(view.node.outputs[0])) if optional(view, self.SHIFT) else ZERO
        return self._products(view) + self._samples(view) + shift + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        read = [value for value in view.node.inputs if value is not None]
        if index == self.SHIFT:
            return Cost(add=elements(view.node.outputs[0])) + gradient_traffic(view, index)
        if index == DATA:
            return self._products(view) + self._samples(view) + gradient_traffic(view, index, *read[1:])
        if index == FILTER:
            return self._products(view) + self._samples(view) + gradient_traffic(view, index, *read)
        samples, rank = self._sizes(view)
        if index == self.MASK:
            return Cost(mac=samples) + gradient_traffic(view, index, *read)
        return Cost(mac=rank * 2**rank * samples, mul=rank * samples) + gradient_traffic(view, index, *read)

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        kept = super().saved(view, wanted) + keep(operand(view, self.OFFSET), "offsets")
        return kept + keep(optional(view, self.MASK), "mask")

    def _products(self, view: View) -> Cost:
        return Cost(mac=self.nest(view).macs)

    def _samples(self, view: View) -> Cost:
        samples, rank = self._sizes(view)
        masked = Cost(mul=samples) if optional(view, self.MASK) else ZERO
        return Cost(mac=2**rank * samples, add=elements(operand(view, self.OFFSET))) + masked

    def _sizes(self, view: View) -> tuple[int, int]:
        """(samples, spatial axes): one sample per channel, tap and output position."""
        nest = self.nest(view)
        return nest.batch * nest.in_channels * prod(a.taps * a.output for a in nest.axes), len(nest.axes)


@op("ConvInteger")
class IntegerConvolution(Op):
    """Zero points are taken off data and filter first. Integers have no gradient."""

    gradients = frozenset()

    def forward(self, view: View) -> Cost:
        nest = read_convolution(view, static_shape(operand(view, 0)), static_shape(operand(view, 1)))
        return multiply_adds(nest, "forward") + shifts(view, {2: 0, 3: 1}) + traffic(view)


@op("QLinearConv")
class QuantisedConvolution(Op):
    """As ConvInteger, each output then brought to its own scale."""

    gradients = frozenset()

    def forward(self, view: View) -> Cost:
        nest = read_convolution(view, static_shape(operand(view, 0)), static_shape(operand(view, 3)))
        outputs = prod(nest.out_shape)
        bias = Cost(add=outputs) if optional(view, 8) else ZERO
        work = multiply_adds(nest, "forward") + shifts(view, {2: 0, 5: 3}) + REQUANTISED * outputs
        return work + bias + traffic(view)


def multiply_adds(nest: Convolution, direction: Direction) -> Cost:
    """One direction of a nest, counted in all three ways."""
    return macs(nest.macs, nest.effective_macs, nest.zero_insertion_macs(direction))
