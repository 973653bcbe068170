"""Reductions: work per input element, one combination less than elements per output, work per output."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from graphc.convolution import static_shape
from graphc.costs import ZERO, Cost
from graphc.ops.op import elements, op, traffic
from graphc.view import View

_ADD, _CMP, _DIV, _FUNCTION = Cost(add=1), Cost(cmp=1), Cost(div=1), Cost(transcendental=1)


@dataclass(frozen=True)
class Reduction:
    """`prepare` each input, `combine` it with what came before, `finish` each output."""

    combine: Cost
    prepare: Cost = ZERO
    finish: Cost = ZERO


REDUCTIONS = {
    "ArgMax": Reduction(_CMP),
    "ArgMin": Reduction(_CMP),
    "ReduceMax": Reduction(_CMP),
    "ReduceMin": Reduction(_CMP),
    "ReduceSum": Reduction(_ADD),
    "ReduceProd": Reduction(Cost(mul=1)),
    "ReduceMean": Reduction(_ADD, finish=_DIV),
    "ReduceL1": Reduction(_ADD, prepare=_CMP),
    "ReduceL2": Reduction(ZERO, prepare=Cost(mac=1), finish=_FUNCTION),
    "ReduceSumSquare": Reduction(ZERO, prepare=Cost(mac=1)),
    "ReduceLogSum": Reduction(_ADD, finish=_FUNCTION),
    # with the largest taken out first: max + log Σ exp(x − max)
    "ReduceLogSumExp": Reduction(_ADD + _CMP, prepare=_ADD + _FUNCTION, finish=_FUNCTION + _ADD),
}


@op(*REDUCTIONS)
def reduction(view: View) -> Cost:
    """Over whichever axes: how many elements go in and how many come out says it all."""
    law = REDUCTIONS[view.op_type]
    into, out = elements(view.required("data")), elements(view.node.outputs[0])
    return law.prepare * into + law.combine * max(0, into - out) + law.finish * out + traffic(view)


@op("Softmax", "LogSoftmax")
def softmax(view: View) -> Cost:
    """exp(x − max) / Σ along rows; before opset 13 a row is everything from `axis` on.

    LogSoftmax subtracts log Σ instead of dividing by Σ.
    """
    shape, axis = static_shape(view.required("input")), view.attr("axis")
    size = prod(shape)
    row = shape[axis] if view.opset >= 13 else prod(shape[axis:])
    rows = size // max(row, 1)
    common = Cost(cmp=1, add=1) * (size - rows) + Cost(add=1, transcendental=1) * size
    last = Cost(add=size, transcendental=rows) if view.op_type == "LogSoftmax" else Cost(div=size)
    return common + last + traffic(view)


@op("CumSum")
def cumulative_sum(view: View) -> Cost:
    """At most one add per element."""
    return _ADD * elements(view.required("x")) + traffic(view)
