"""Recurrent networks: in each step the gates' products, then element-wise work on the hidden state.

Counted for the whole length; `sequence_lens` may end a sequence earlier. Back, the gradient of the hidden state runs
through time (`shared`): element-wise work and the product of the gates' gradients with R. The gradients of X, W and R
are a product each of the forward one's size, so that all together are twice the forward pass.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.convolution import static_shape
from graphc.costs import ZERO, Cost
from graphc.ops.elementwise import LAWS
from graphc.ops.op import Op, Saved, buffer, gradient_traffic, keep, op, operand, optional, traffic
from graphc.view import Refusal, View

DATA, INPUT_WEIGHTS, RECURRENCE, BIAS, LENGTHS, STATE, CELL, PEEPHOLES = range(8)


@dataclass(frozen=True)
class Cell:
    """One step of one element of the hidden state.

    `activations` are the defaults of one direction with how often each is used, in ONNX's order (f, g, h); `mixing` is
    what combines gates and state, `unmixing` the same backward: two products for each, and sums of what meets.
    """

    gates: int
    activations: tuple[tuple[str, int], ...]
    mixing: Cost
    unmixing: Cost


CELLS = {
    "RNN": Cell(1, (("Tanh", 1),), ZERO, ZERO),
    # r·h, (1 − z)·n + z·h
    "GRU": Cell(3, (("Sigmoid", 2), ("Tanh", 1)), Cost(mul=3, add=2), Cost(mul=6, add=3)),
    # f·c + i·g, o·h(c)
    "LSTM": Cell(4, (("Sigmoid", 3), ("Tanh", 1), ("Tanh", 1)), Cost(mul=3, add=1), Cost(mul=6, add=1)),
}


@dataclass(frozen=True)
class _Sizes:
    steps: int  # over length, batch and directions, of one element of the hidden state
    inputs: int
    hidden: int
    directions: int
    gates: int


@op(*CELLS)
class Recurrent(Op):
    """X [length, batch, input] (layout 1: batch first), W [directions, gates·hidden, input], R [.., hidden]."""

    gradients = frozenset({DATA, INPUT_WEIGHTS, RECURRENCE, BIAS, STATE, CELL, PEEPHOLES})

    def forward(self, view: View) -> Cost:
        cell, sizes = CELLS[view.op_type], _sizes(view)
        each = Cost(mac=cell.gates * (sizes.inputs + sizes.hidden)) + cell.mixing
        if optional(view, BIAS):
            apart = view.op_type == "GRU" and view.attr("linear_before_reset")  # else the two biases of a gate are one
            each += Cost(add=cell.gates + bool(apart))
        if view.attr("clip") is not None:
            each += Cost(cmp=cell.gates)
        if optional(view, PEEPHOLES):
            each += Cost(mul=3, add=3)  # from the cell to the input, output and forget gates
        return each * sizes.steps + self._activations(view, sizes) + traffic(view)

    def shared(self, view: View) -> Cost:
        cell, sizes = CELLS[view.op_type], _sizes(view)
        each = Cost(mac=cell.gates * sizes.hidden) + cell.unmixing
        if view.attr("clip") is not None:
            each += Cost(cmp=cell.gates)
        if optional(view, PEEPHOLES):
            each += Cost(mul=3, add=3)
        return each * sizes.steps + self._activations(view, sizes, backward=True)

    def toward(self, view: View, index: int) -> Cost:
        sizes = _sizes(view)
        gates = sizes.steps * sizes.gates
        work = {
            DATA: Cost(mac=gates * sizes.inputs),
            INPUT_WEIGHTS: Cost(mac=gates * sizes.inputs),
            RECURRENCE: Cost(mac=gates * sizes.hidden),
            BIAS: Cost(add=gates),
            PEEPHOLES: Cost(mul=3, add=3) * sizes.steps,
        }  # the initial states' gradients are what is left at the end of `shared`
        other = {DATA: INPUT_WEIGHTS, INPUT_WEIGHTS: DATA}.get(index)
        read = [] if other is None else [operand(view, other)]
        return work.get(index, ZERO) + gradient_traffic(view, index, *read)

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """The data and the weights; every step's gates, hidden state and, in an LSTM, cell."""
        if not wanted:
            return ()
        data, sizes = operand(view, DATA), _sizes(view)
        operands = (data, operand(view, INPUT_WEIGHTS), operand(view, RECURRENCE))
        kept = tuple(saved for value in operands for saved in keep(value, "operand"))
        states = sizes.gates + (2 if view.op_type == "LSTM" else 1)
        bits = 0 if data.dtype is None else data.dtype.bitwidth
        return kept + buffer(sizes.steps * states * bits // 8, "gates and states of every step")

    def _activations(self, view: View, sizes: _Sizes, *, backward: bool = False) -> Cost:
        """All activations of all steps, over the directions."""
        cell = CELLS[view.op_type]
        uses = [times for _, times in cell.activations] * sizes.directions
        stated = view.attr("activations") or [name for name, _ in cell.activations] * sizes.directions
        names = stated[: len(uses)]  # the schema's default for an RNN is one for each of two directions
        if len(names) < len(uses) or not set(names) <= LAWS.keys():
            raise Refusal(f"the cost of the activations {', '.join(stated)} is not known")
        each = (_activation(name, backward) * times for name, times in zip(names, uses, strict=True))
        return sum(each, ZERO) * (sizes.steps // sizes.directions)


def _activation(name: str, backward: bool) -> Cost:
    law = LAWS[name]
    if not backward:
        return law.each
    (toward,) = law.toward
    if toward is None:
        raise Refusal(f"{name} has no gradient")
    return toward.each


def _sizes(view: View) -> _Sizes:
    length, batch, inputs = static_shape(operand(view, DATA))  # layout 1 swaps the first two: the same product
    directions, _, hidden = static_shape(operand(view, RECURRENCE))
    gates = CELLS[view.op_type].gates
    return _Sizes(length * batch * directions * hidden, inputs, hidden, max(1, directions), gates)
