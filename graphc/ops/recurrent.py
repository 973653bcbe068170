"""Recurrent networks: in each step the gates' products, then element-wise work on the hidden state.

Counted for the whole length; `sequence_lens` may end a sequence earlier.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.convolution import static_shape
from graphc.costs import ZERO, Cost
from graphc.ops.elementwise import PER_ELEMENT
from graphc.ops.op import op, traffic
from graphc.view import Refusal, View


@dataclass(frozen=True)
class Cell:
    """One step of one element of the hidden state.

    `activations` are the defaults of one direction with how often each is used, in ONNX's order (f, g, h);
    `mixing` is what combines gates and state.
    """

    gates: int
    activations: tuple[tuple[str, int], ...]
    mixing: Cost


CELLS = {
    "RNN": Cell(1, (("Tanh", 1),), ZERO),
    "GRU": Cell(3, (("Sigmoid", 2), ("Tanh", 1)), Cost(mul=3, add=2)),  # r·h, (1 − z)·n + z·h
    "LSTM": Cell(4, (("Sigmoid", 3), ("Tanh", 1), ("Tanh", 1)), Cost(mul=3, add=1)),  # f·c + i·g, o·h(c)
}


@op(*CELLS)
def recurrent(view: View) -> Cost:
    """X [length, batch, input] (layout 1: batch first), R [directions, gates·hidden, hidden]."""
    cell = CELLS[view.op_type]
    length, batch, inputs = static_shape(view.required("X"))  # layout 1 swaps the first two: the product is the same
    directions, _, hidden = static_shape(view.required("R"))
    each = Cost(mac=cell.gates * (inputs + hidden)) + cell.mixing
    if view.input("B"):
        each += Cost(add=cell.gates)
    if view.attr("clip") is not None:
        each += Cost(cmp=cell.gates)
    if view.op_type == "LSTM" and view.input("P"):
        each += Cost(mac=3)  # peepholes from the cell to the input, output and forget gates
    per_step = each * directions + _activations(view, cell, directions)
    return per_step * (length * batch * hidden) + traffic(view)


def _activations(view: View, cell: Cell, directions: int) -> Cost:
    """All activations of one step and element, over the directions."""
    uses = [times for _, times in cell.activations] * directions
    stated = view.attr("activations") or [name for name, _ in cell.activations] * directions
    names = stated[: len(uses)]  # the schema's default for an RNN is one for each of two directions
    if len(names) < len(uses) or not set(names) <= PER_ELEMENT.keys():
        raise Refusal(f"the cost of the activations {', '.join(stated)} is not known")
    return sum((PER_ELEMENT[name] * times for name, times in zip(names, uses, strict=True)), ZERO)
