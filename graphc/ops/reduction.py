"""Reductions: work per input element, one combination less than elements per output, work per output."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import onnx_ir as ir

from graphc.convolution import static_shape
from graphc.costs import ZERO, Cost
from graphc.ops.op import Op, Saved, elements, gradient_traffic, keep, op, operand, traffic
from graphc.view import View

_ADD, _MUL, _CMP, _DIV, _FUNCTION = Cost(add=1), Cost(mul=1), Cost(cmp=1), Cost(div=1), Cost(transcendental=1)


@dataclass(frozen=True)
class Reduction:
    """`prepare` each input, `combine` it with what came before, `finish` each output.

    Back, with g the output's gradient: `spread` is work per input, `scale` per output; `reads` holds `a`, the data,
    and `y`, the output, as they are needed. `spread` is None where there is no gradient.
    """

    combine: Cost
    prepare: Cost = ZERO
    finish: Cost = ZERO
    spread: Cost | None = None
    scale: Cost = ZERO
    reads: str = ""


REDUCTIONS = {
    "ArgMax": Reduction(_CMP),
    "ArgMin": Reduction(_CMP),
    "ReduceMax": Reduction(_CMP, spread=_CMP, reads="ay"),  # g where x = y
    "ReduceMin": Reduction(_CMP, spread=_CMP, reads="ay"),
    "ReduceSum": Reduction(_ADD, spread=ZERO),
    "ReduceProd": Reduction(_MUL, spread=_DIV, scale=_MUL, reads="ay"),  # g·y / x
    "ReduceMean": Reduction(_ADD, finish=_DIV, spread=ZERO, scale=_DIV),
    "ReduceL1": Reduction(_ADD, prepare=_CMP, spread=_CMP + _MUL, reads="a"),  # g·sign(x)
    "ReduceL2": Reduction(ZERO, prepare=_MUL + _ADD, finish=_FUNCTION, spread=_MUL, scale=_DIV, reads="ay"),  # g/y·x
    "ReduceSumSquare": Reduction(ZERO, prepare=_MUL + _ADD, spread=_MUL, scale=_MUL, reads="a"),  # 2g·x
    "ReduceLogSum": Reduction(_ADD, finish=_FUNCTION, spread=ZERO, scale=_FUNCTION + _DIV, reads="y"),  # g / exp(y)
    # with the largest taken out first: max + log Σ exp(x − max);  g·exp(x − y)
    "ReduceLogSumExp": Reduction(
        _ADD + _CMP,
        prepare=_ADD + _FUNCTION,
        finish=_FUNCTION + _ADD,
        spread=_ADD + _FUNCTION + _MUL,
        reads="ay",
    ),
}


@op(*REDUCTIONS)
class Reduced(Op):
    """Over whichever axes: how many elements go in and how many come out says it all."""

    def forward(self, view: View) -> Cost:
        law = REDUCTIONS[view.op_type]
        into, out = self._sizes(view)
        return law.prepare * into + law.combine * max(0, into - out) + law.finish * out + traffic(view)

    def differentiable(self, view: View, index: int) -> bool:
        gradient = index == 0 and REDUCTIONS[view.op_type].spread is not None
        return gradient and super().differentiable(view, index)

    def toward(self, view: View, index: int) -> Cost:
        law = REDUCTIONS[view.op_type]
        into, out = self._sizes(view)
        if law.spread is None:
            return super().toward(view, index)
        return law.spread * into + law.scale * out + gradient_traffic(view, index, *self._read(view))

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        return tuple(saved for value in self._read(view) for saved in keep(value, "operand")) if wanted else ()

    def _sizes(self, view: View) -> tuple[int, int]:
        return elements(operand(view, 0)), elements(view.node.outputs[0])

    def _read(self, view: View) -> list[ir.Value]:
        where = {"a": operand(view, 0), "y": view.node.outputs[0]}
        return [where[letter] for letter in REDUCTIONS[view.op_type].reads]


@op("Softmax", "LogSoftmax")
class Softmax(Op):
    """exp(x − max) / Σ along rows; before opset 13 a row is everything from `axis` on.

    LogSoftmax subtracts log Σ instead of dividing by Σ. Back y·(g − Σ g·y), or g − exp(y)·Σ g.
    """

    gradients = frozenset({0})

    def forward(self, view: View) -> Cost:
        size, rows = self._sizes(view)
        return softmax(size, rows, logarithm=view.op_type == "LogSoftmax") + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        size, rows = self._sizes(view)
        read = gradient_traffic(view, index, view.node.outputs[0])
        return softmax_gradient(size, rows, logarithm=view.op_type == "LogSoftmax") + read

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        return keep(view.node.outputs[0], "output") if wanted else ()

    def _sizes(self, view: View) -> tuple[int, int]:
        shape, axis = static_shape(operand(view, 0)), view.attr("axis")
        row = shape[axis] if view.opset >= 13 else prod(shape[axis:])
        return prod(shape), prod(shape) // max(row, 1)


def softmax(size: int, rows: int, *, logarithm: bool = False) -> Cost:
    """Over `rows` equal rows of `size` elements in all."""
    common = Cost(cmp=1, add=1) * (size - rows) + Cost(add=1, transcendental=1) * size
    return common + (Cost(add=size, transcendental=rows) if logarithm else Cost(div=size))


def softmax_gradient(size: int, rows: int, *, logarithm: bool = False) -> Cost:
    """2n multiplications and 2n − 1 adds in a row of n; of the logarithm a function for one of the products."""
    adds = Cost(add=2 * size - rows)
    return adds + (Cost(mul=size, transcendental=size) if logarithm else Cost(mul=2 * size))


@op("Hardmax")
class Hardmax(Op):
    """1 at the largest, else 0: comparisons, and no gradient."""

    gradients = frozenset()

    def forward(self, view: View) -> Cost:
        shape, axis = static_shape(operand(view, 0)), view.attr("axis")
        row = shape[axis] if view.opset >= 13 else prod(shape[axis:])
        return Cost(cmp=prod(shape) - prod(shape) // max(row, 1)) + traffic(view)


@op("CumSum")
class CumulativeSum(Op):
    """At most one add per element; back, a cumulative sum from the other end."""

    gradients = frozenset({0})

    def forward(self, view: View) -> Cost:
        return Cost(add=elements(operand(view, 0))) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        return Cost(add=elements(operand(view, 0))) + gradient_traffic(view, index)


@op("CumProd")
class CumulativeProduct(Op):
    """At most one multiplication per element; back Σ g·y from the other end, divided by x."""

    gradients = frozenset({0})

    def forward(self, view: View) -> Cost:
        return Cost(mul=elements(operand(view, 0))) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        data, out = operand(view, 0), view.node.outputs[0]
        return Cost(mul=1, add=1, div=1) * elements(data) + gradient_traffic(view, index, data, out)

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        return keep(operand(view, 0), "data") + keep(view.node.outputs[0], "output") if wanted else ()


@op("TopK")
class Largest(Op):
    """The k largest of n in order, by a tournament: n − k + (k − 1)·⌈log₂(n − k + 2)⌉ comparisons (Knuth, The Art of
    Computer Programming 3, 5.3.3). Back, each gradient goes where its element was."""

    gradients = frozenset({0})

    def forward(self, view: View) -> Cost:
        shape, axis = static_shape(operand(view, 0)), view.attr("axis")
        size, chosen = shape[axis], static_shape(view.node.outputs[0])[axis]
        rounds = (size - chosen + 1).bit_length()  # ⌈log₂(n − k + 2)⌉
        each = size - chosen + (chosen - 1) * rounds if chosen else 0
        return Cost(cmp=prod(shape) // max(1, size) * each) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        return gradient_traffic(view, index, view.node.outputs[1])

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        return keep(view.node.outputs[1], "indices") if wanted else ()
