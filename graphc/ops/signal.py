"""Fourier transforms by the mixed-radix algorithm of Cooley and Tukey.

A length n = p₁·p₂·… takes n·(p₁ + p₂ + …) complex multiply-adds, which is n² where n is prime. A complex multiply-add
is four real ones; real data is counted as complex. The transform is linear, so its gradient is a transform too.
"""

from __future__ import annotations

from math import prod

from graphc.convolution import static_shape
from graphc.costs import ZERO, Cost
from graphc.ops.op import Op, elements, gradient_traffic, op, operand, optional, traffic
from graphc.view import Refusal, View, constant

LONGEST = 10**10  # beyond it, finding prime factors takes too long


@op("DFT")
class FourierTransform(Op):
    """[..., n, ..., 1 or 2] along one axis; an inverse divides each output by n."""

    gradients = frozenset({0})

    def forward(self, view: View) -> Cost:
        return self._work(view) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        return self._work(view) + gradient_traffic(view, index)

    def _work(self, view: View) -> Cost:
        shape, out = static_shape(operand(view, 0)), view.node.outputs[0]
        axis = _number(view, 2, -2) if view.opset >= 20 else view.attr("axis")
        axis = axis % len(shape) if axis < 0 else axis
        length = _number(view, 1, shape[axis])
        others = prod(size for place, size in enumerate(shape[:-1]) if place != axis)
        return transforms(others, length) + (Cost(div=elements(out)) if view.attr("inverse") else ZERO)


@op("STFT")
class ShortTimeTransform(Op):
    """Frames of the signal, each times a window and then transformed."""

    gradients = frozenset({0})

    def forward(self, view: View) -> Cost:
        return self._work(view) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        """Frames overlap: each of their elements is added to its place."""
        frames, length = self._sizes(view)
        return self._work(view) + Cost(add=frames * length) + gradient_traffic(view, index, optional(view, 2))

    def _work(self, view: View) -> Cost:
        frames, length = self._sizes(view)
        windowed = Cost(mul=frames * length) if optional(view, 2) else ZERO
        return windowed + transforms(frames, length)

    def _sizes(self, view: View) -> tuple[int, int]:
        """(frames of the whole batch, length of each)"""
        batch, frames, *_ = static_shape(view.node.outputs[0])
        window = optional(view, 2)
        whole = static_shape(operand(view, 0))[1] if window is None else static_shape(window)[0]
        return batch * frames, _number(view, 3, whole)


def transforms(count: int, length: int) -> Cost:
    """That many transforms of that length."""
    return Cost(mac=4 * count * length * sum(prime_factors(length)))


def prime_factors(number: int) -> list[int]:
    """With their multiplicities, in order; empty for 1. Raises Refusal for a number beyond LONGEST."""
    if number > LONGEST:
        raise Refusal(f"a transform of length {number} is not factored")
    factors, factor = [], 2
    while factor * factor <= number:
        while number % factor == 0:
            factors.append(factor)
            number //= factor
        factor += 1
    return [*factors, number] if number > 1 else factors


def _number(view: View, index: int, default: int) -> int:
    """A constant scalar operand, or the default where it is absent. Raises Refusal when it is not a constant."""
    value = optional(view, index)
    if value is None:
        return default
    known = constant(value)
    if known is None:
        raise Refusal(f"input {index} of {view.op_type} is not a constant")
    return int(known.item())
