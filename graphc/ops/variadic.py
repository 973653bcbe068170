"""Operators that combine any number of operands element by element, and those that choose between them."""

from __future__ import annotations

from graphc.convolution import static_shape
from graphc.costs import ZERO, Cost
from graphc.ops.op import Op, Saved, broadcast_adds, elements, gradient_traffic, keep, op, operand, traffic
from graphc.view import View

_STEP = {"Sum": Cost(add=1), "Max": Cost(cmp=1), "Min": Cost(cmp=1), "Mean": Cost(add=1)}
_CHOICES = ("Max", "Min")


@op(*_STEP)
class Variadic(Op):
    """One step per further operand; a Mean divides at the end. Back, Max and Min choose, a Mean divides."""

    def forward(self, view: View) -> Cost:
        each = _STEP[view.op_type] * (len(view.inputs()) - 1)
        if view.op_type == "Mean":
            each += Cost(div=1)
        return each * elements(view.node.outputs[0]) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        own, out = operand(view, index), view.node.outputs[0]
        sums = broadcast_adds(view, index)
        if view.op_type in _CHOICES:
            return Cost(cmp=elements(out)) + sums + gradient_traffic(view, index, own, out)
        if view.op_type == "Mean":
            return Cost(div=elements(own)) + sums + gradient_traffic(view, index)
        return ZERO if static_shape(own) == static_shape(out) else sums + gradient_traffic(view, index)

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """Every operand of a choice."""
        if view.op_type not in _CHOICES:
            return ()
        return tuple(saved for value in view.inputs() for saved in keep(value, "operand"))


@op("Where")
class Where(Op):
    """One choice per element; each gradient takes the chosen part of the output's."""

    gradients = frozenset({1, 2})

    def forward(self, view: View) -> Cost:
        return Cost(cmp=elements(view.node.outputs[0])) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        choice = Cost(cmp=elements(view.node.outputs[0]))
        return choice + broadcast_adds(view, index) + gradient_traffic(view, index, view.input("condition"))

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        return keep(view.input("condition"), "condition") if wanted else ()
