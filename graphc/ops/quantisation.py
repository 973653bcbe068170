"""Integers for numbers: x ≈ scale·(q − zero point). Rounding and clipping are one comparison each.

Steps have no gradient: none flows through an integer, only towards the scale of a DequantizeLinear.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphc.costs import ZERO, Cost
from graphc.ops.op import Op, Saved, elements, gradient_traffic, keep, op, operand, optional, traffic
from graphc.view import View

REQUANTISED = Cost(mul=1, add=1, cmp=2)  # an integer sum, brought to another scale and zero point
SCALE, ZERO_POINT = 1, 2


@op("QuantizeLinear")
class Quantize(Op):
    """x / scale, rounded, plus the zero point, clipped."""

    gradients = frozenset()

    def forward(self, view: View) -> Cost:
        each = Cost(div=1, cmp=2, add=1 if optional(view, ZERO_POINT) else 0)
        return each * elements(operand(view, 0)) + traffic(view)


@op("DequantizeLinear")
class Dequantize(Op):
    """(q − zero point)·scale; back, the scale's gradient is a sum of products."""

    gradients = frozenset({SCALE})

    def forward(self, view: View) -> Cost:
        size = elements(operand(view, 0))
        return Cost(mul=size) + shifts(view, {ZERO_POINT: 0}) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        size = elements(operand(view, 0))
        again = shifts(view, {ZERO_POINT: 0})
        return Cost(mul=size, add=size) + again + gradient_traffic(view, index, operand(view, 0))

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        return keep(operand(view, 0), "integers") if wanted else ()


@op("DynamicQuantizeLinear")
class DynamicQuantize(Op):
    """Scale and zero point from the least and the largest of the data, then as QuantizeLinear."""

    gradients = frozenset()

    def forward(self, view: View) -> Cost:
        size = elements(operand(view, 0))
        extremes = Cost(cmp=2 * size)  # the range always holds 0, so there are as many comparisons as elements
        parameters = Cost(add=2, div=2, cmp=2)  # (largest − least) / 255; −least / scale, rounded, clipped
        return extremes + parameters + Cost(div=1, add=1, cmp=2) * size + traffic(view)


def shifts(view: View, zero_points: Mapping[int, int]) -> Cost:
    """Zero points taken off their operands, one add per element: index of the zero point -> of the operand."""
    present = (elements(operand(view, of)) for point, of in zero_points.items() if optional(view, point))
    return sum((Cost(add=size) for size in present), ZERO)
