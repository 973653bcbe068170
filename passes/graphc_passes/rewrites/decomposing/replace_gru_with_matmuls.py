"""Replace a GRU over a sequence of known length with its steps.

Law    h' = (1 − z) ∘ n + z ∘ h      z, r = σ(x·Wᵀ + h·Rᵀ + b)      n = tanh(x·Wᵀ + r ∘ (h·Rᵀ) + b), or (r ∘ h)·Rᵀ
Why    a target without recurrent operators has products and pointwise ones (Cho et al., EMNLP 2014). The products with
       the data are one for all steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, constant, require, rewrite
from graphc_passes.nodes.reshaping import squeeze, unsqueeze
from graphc_passes.nodes.slicing import Cut, sliced

STEEP = 10.0  # the largest weight
GATES = 3  # update (z), reset (r) and the new state, in this order


@rewrite("GRU", numerics="reassociates")
def replace_gru_with_matmuls(gru: View, op: Tape, *, most_steps: int = 64) -> dict[ir.Value, ir.Value]:
    data, layout = gru.required("X"), gru.attr("layout")
    steps = _steps(data)
    require(not layout, "the batch comes first", conservative="no exporter writes it")
    require(gru.input("sequence_lens") is None, "the sequences differ in length")
    require(gru.attr("clip") is None, "the gates are clipped")
    require(
        all(_is_moderate(gru.input(name)) for name in ("W", "R", "B")),
        "the gates are steep",
        conservative="where they are steps, rounding decides between two states",
    )
    require(steps <= most_steps, "there are many steps", conservative="each is a dozen nodes")
    for name in ("activations", "activation_alpha", "activation_beta"):
        if gru.attr(name):
            raise Refusal(f"{name} of GRU are not the default ones")
    directions = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[gru.attr("direction")]
    outputs = [_direction(gru, op, data, steps, index, reverse) for index, reverse in enumerate(directions)]
    all_states = op.Concat(*(unsqueeze(op, states, [1]) for states, _ in outputs), axis=1)
    last = op.Concat(*(unsqueeze(op, state, [0]) for _, state in outputs), axis=0)
    stated = {"Y": all_states, "Y_h": last}
    return {value: made for name, made in stated.items() if (value := gru.output(name)) is not None}


def _is_moderate(weights: ir.Value | None) -> bool:
    """Whether constant weights do not take the rounding of a state across a gate."""
    content = constant(weights) if weights is not None else None
    return content is None or float(np.abs(content).max(initial=0)) <= STEEP


def _steps(data: ir.Value) -> int:
    steps = data.shape[0] if data.shape is not None else None
    if 0 in (data.shape or ()):
        raise Refusal("the data is empty")
    if not isinstance(steps, int):
        raise Refusal("the length of the sequence is not known")
    return steps


@dataclass(frozen=True)
class Cell:
    """One direction: the filters of the state, [H, 2·H] of both gates and [H, H] of the new state, and its bias."""

    op: Tape
    size: int
    gates: ir.Value
    new: ir.Value
    bias: ir.Value | None
    reset_after: bool

    def step(self, fed: ir.Value, state: ir.Value | None) -> ir.Value:
        """The next state; `fed` [N, 3·H] is what the data gives. No state is a state of zeros."""
        op, size = self.op, self.size
        parts = [sliced(op, fed, {1: Cut(index * size, (index + 1) * size)}) for index in range(GATES)]
        update, reset = parts[:2]
        if state is not None:
            both = op.MatMul(state, self.gates)
            update = op.Add(update, sliced(op, both, {1: Cut(0, size)}))
            reset = op.Add(reset, sliced(op, both, {1: Cut(size, 2 * size)}))
        update, reset = op.Sigmoid(update), op.Sigmoid(reset)
        new = op.Tanh(self._new(parts[2], reset, state))
        made = op.Sub(new, op.Mul(update, new))
        return made if state is None else op.Add(made, op.Mul(update, state))

    def _new(self, fed: ir.Value, reset: ir.Value, state: ir.Value | None) -> ir.Value:
        """What the new state is the hyperbolic tangent of."""
        op, recurrent = self.op, self.bias
        if state is not None and self.reset_after:
            product = op.MatMul(state, self.new)
            recurrent = product if self.bias is None else op.Add(product, self.bias)
        elif state is not None:
            product = op.MatMul(op.Mul(reset, state), self.new)
            recurrent = product if self.bias is None else op.Add(product, self.bias)
        if recurrent is None:
            return fed
        return op.Add(fed, op.Mul(reset, recurrent) if self.reset_after else recurrent)


def _direction(gru: View, op: Tape, data: ir.Value, steps: int, index: int, reverse: bool) -> tuple[ir.Value, ir.Value]:
    """(all states [steps, N, H], the last one [N, H]) of one direction."""
    size = _size(gru)
    own = {0: Cut(index, index + 1)}
    weights, recurrent = (
        op.Transpose(squeeze(op, sliced(op, gru.required(name), own), [0]), perm=[1, 0]) for name in ("W", "R")
    )
    fed, bias = op.MatMul(data, weights), None
    if gru.input("B") is not None:
        stated = squeeze(op, sliced(op, gru.required("B"), own), [0])
        of_data, of_state = (sliced(op, stated, {0: Cut(begin, begin + GATES * size)}) for begin in (0, GATES * size))
        gates = sliced(op, of_state, {0: Cut(0, 2 * size)})
        bias = sliced(op, of_state, {0: Cut(2 * size, GATES * size)})
        head, tail = (sliced(op, of_data, {0: cut}) for cut in (Cut(0, 2 * size), Cut(2 * size, GATES * size)))
        fed = op.Add(fed, op.Concat(op.Add(head, gates), tail, axis=0))
    cell = Cell(
        op,
        size,
        sliced(op, recurrent, {1: Cut(0, 2 * size)}),
        sliced(op, recurrent, {1: Cut(2 * size, GATES * size)}),
        bias,
        bool(gru.attr("linear_before_reset")),
    )
    initial = gru.input("initial_h")
    state = None if initial is None else squeeze(op, sliced(op, initial, own), [0])
    states: dict[int, ir.Value] = {}
    for step in reversed(range(steps)) if reverse else range(steps):
        state = cell.step(squeeze(op, sliced(op, fed, {0: Cut(step, step + 1)}), [0]), state)
        states[step] = state
    assert state is not None
    return op.Concat(*(unsqueeze(op, states[step], [0]) for step in range(steps)), axis=0), state


def _size(gru: View) -> int:
    shape = gru.required("R").shape
    size = shape[2] if shape is not None and len(shape) == 3 else None
    if not isinstance(size, int):
        raise Refusal("the size of the state is not known")
    if gru.attr("hidden_size") not in (None, size):
        raise Refusal("hidden_size is not that of R")
    return size


def _gru(
    g: CaseBuilder,
    *,
    steps: int | str = 3,
    batch: int | str = 2,
    size: int = 2,
    direction: str = "forward",
    bias: bool = True,
    initial: bool = False,
    **attributes: object,
) -> tuple[ir.Value, ...]:
    count = 2 if direction == "bidirectional" else 1
    made = g.GRU(
        g.input(steps, batch, 3),
        g.weight(count, GATES * size, 3),
        g.weight(count, GATES * size, size),
        g.weight(count, 2 * GATES * size) if bias else None,
        None,
        g.input(count, batch, size) if initial else None,
        hidden_size=size,
        direction=direction,
        outputs=2,
        **attributes,
    )
    assert isinstance(made, tuple)
    return made


@replace_gru_with_matmuls.cases
def cases() -> Iterator[Case]:
    yield Case("forward", partial(_gru, batch="N"))
    yield Case(
        "both ways, reset after, initial state",
        partial(_gru, direction="bidirectional", initial=True, linear_before_reset=1),
    )
    yield Case("backward, no bias", partial(_gru, direction="reverse", bias=False))
    yield Case("the last state alone", _last_alone)
    yield Case("a sequence of any length", partial(_gru, steps="T"), refuses="the length of the sequence is not known")
    yield Case("many steps", partial(_gru, steps=4), options={"most_steps": 3}, refuses="there are many steps")
    yield Case("steep", _steep, refuses="the gates are steep")
    yield Case("clipped", partial(_gru, clip=0.1), refuses="the gates are clipped")
    yield Case("batch first", _batch_first, refuses="the batch comes first")
    yield Case("sequences of two lengths", _ragged, refuses="the sequences differ in length")


def _last_alone(g: CaseBuilder) -> ir.Value:
    """Y is left out, as its name says."""
    every, last = _gru(g)
    every.name = ""
    return last


def _steep(g: CaseBuilder) -> ir.Value:
    weights = g.constant(np.full((1, 6, 2), 1.01 * STEEP, np.float32))
    made = g.GRU(g.input(2, 1, 3), g.weight(1, 6, 3), weights, hidden_size=2, outputs=2)
    assert isinstance(made, tuple)
    return made[1]


def _batch_first(g: CaseBuilder) -> ir.Value:
    made = g.GRU(g.input(2, 3, 3), g.weight(1, 6, 3), g.weight(1, 6, 2), hidden_size=2, layout=1, outputs=2)
    assert isinstance(made, tuple)
    return made[1]


def _ragged(g: CaseBuilder) -> ir.Value:
    lengths = g.Cast(g.constant([1, 3]), to=ir.DataType.INT32)
    made = g.GRU(g.input(3, 2, 3), g.weight(1, 6, 3), g.weight(1, 6, 2), None, lengths, hidden_size=2, outputs=2)
    assert isinstance(made, tuple)
    return made[0]


@replace_gru_with_matmuls.samples
def samples(random: Random) -> Case:
    given: dict[str, Any] = {
        "steps": random.randint(1, 4),
        "batch": random.choice((1, 2, "N")),
        "size": random.randint(1, 3),
        "direction": random.choice(("forward", "reverse", "bidirectional")),
        "bias": random.random() < 0.5,
        "initial": random.random() < 0.5,
        "linear_before_reset": random.randint(0, 1),
    }
    return Case(str(given), partial(_gru, **given), seed=random.getrandbits(32))
