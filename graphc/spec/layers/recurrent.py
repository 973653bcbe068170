"""Recurrent layers over batch-first sequences [N, T, C]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import onnx_ir as ir

from graphc.spec.layers import Field, Layer

if TYPE_CHECKING:
    from graphc.spec.emit import Emitter

Hidden = Annotated[int, Field(gt=0, description="size H of the state")]
Bidirectional = Annotated[bool, Field(description="run backwards as well; directions are concatenated")]
Returns = Annotated[
    Literal["sequence", "last", "both"],
    Field(description="every state [N, T, D H], the last [N, D H], or members `sequence` and `last`"),
]


class Gru(Layer):
    """Gated recurrent units (Cho et al. 2014) over [N, T, C], with D directions.

    The reset gate acts behind the recurrent product (linear_before_reset), as in cuDNN and PyTorch. Optional
    second input: the first state [N, D H]. Weights lie as in ONNX, gates ordered update, reset, candidate:
    weight [D, 3 H, C], recurrence [D, 3 H, H], bias [D, 6 H] (input biases, then recurrent ones).
    """

    primary: ClassVar = "hidden"
    hidden: Hidden
    bidirectional: Bidirectional = False
    returns: Returns = "sequence"
    bias: bool = Field(True, description="add biases to the gates")

    def emit(self, g: Emitter, x: ir.Value, state: ir.Value | None = None) -> ir.Value | dict[str, ir.Value]:
        _expect_sequence(g, x)
        directions = 1 + self.bidirectional
        states, last = g.op(
            "GRU",
            g.op("Transpose", x, name="time_first", perm=[1, 0, 2]),
            *_weights(g, g.size(x, 2), self.hidden, gates=3, directions=directions, bias=self.bias),
            None,
            _start(g, x, state, self.hidden, directions, "state"),
            outputs=2,
            hidden_size=self.hidden,
            linear_before_reset=1,
            direction="bidirectional" if self.bidirectional else None,
        )
        return _results(g, self.returns, states, last, directions * self.hidden)


class Lstm(Layer):
    """Long short-term memory (Hochreiter and Schmidhuber 1997) over [N, T, C], D directions, no peepholes.

    Optional inputs: the first state and the first cell, [N, D H] each. Weights lie as in ONNX, gates in the
    order input, output, forget, cell: weight [D, 4 H, C], recurrence [D, 4 H, H], bias [D, 8 H].
    """

    primary: ClassVar = "hidden"
    hidden: Hidden
    bidirectional: Bidirectional = False
    returns: Returns = "sequence"
    bias: bool = Field(True, description="add biases to the gates")

    def emit(
        self, g: Emitter, x: ir.Value, state: ir.Value | None = None, cell: ir.Value | None = None
    ) -> ir.Value | dict[str, ir.Value]:
        _expect_sequence(g, x)
        directions = 1 + self.bidirectional
        states, last, _ = g.op(
            "LSTM",
            g.op("Transpose", x, name="time_first", perm=[1, 0, 2]),
            *_weights(g, g.size(x, 2), self.hidden, gates=4, directions=directions, bias=self.bias),
            None,
            _start(g, x, state, self.hidden, directions, "state"),
            _start(g, x, cell, self.hidden, directions, "cell"),
            outputs=3,
            hidden_size=self.hidden,
            direction="bidirectional" if self.bidirectional else None,
        )
        return _results(g, self.returns, states, last, directions * self.hidden)


class GruCell(Layer):
    """One step of a GRU: input [N, C] and state [N, H] give the next state [N, H].

    The same equations and weights as `gru` with one direction; H is the state's size.
    """

    bias: bool = Field(True, description="add biases to the gates")

    def emit(self, g: Emitter, x: ir.Value, state: ir.Value) -> ir.Value:
        for value in (x, state):
            if g.rank(value) != 2:
                g.fail(f"expected [N, size], was given {g.show(value)}", code="spec/shape-mismatch")
        hidden = g.size(state, 1)
        axis = g.constant([0])
        _, last = g.op(
            "GRU",
            g.op("Unsqueeze", x, axis, name="time_first"),
            *_weights(g, g.size(x, 1), hidden, gates=3, directions=1, bias=self.bias),
            None,
            g.op("Unsqueeze", state, axis, name="state"),
            name="step",
            outputs=2,
            hidden_size=hidden,
            linear_before_reset=1,
        )
        return g.op("Squeeze", last, axis)


def _expect_sequence(g: Emitter, x: ir.Value) -> None:
    if g.rank(x) != 3:
        g.fail(f"expected [N, T, C], was given {g.show(x)}", code="spec/shape-mismatch")


def _weights(
    g: Emitter, size: int, hidden: int, *, gates: int, directions: int, bias: bool
) -> tuple[ir.Value, ir.Value, ir.Value | None]:
    """The W, R and B of ONNX's recurrent operators."""
    rows = gates * hidden
    return (
        g.parameter("weight", (directions, rows, size), fan_in=size, fan_out=hidden),
        g.parameter("recurrence", (directions, rows, hidden), "recurrent", fan_in=hidden, fan_out=hidden),
        g.parameter("bias", (directions, 2 * rows), "bias") if bias else None,
    )


def _start(g: Emitter, x: ir.Value, state: ir.Value | None, hidden: int, directions: int, name: str) -> ir.Value | None:
    """[N, D H] as ONNX wants it, [D, N, H]."""
    if state is None:
        return None
    wanted = [(sizes[0], directions * hidden) for sizes in g.sizes(x)]
    if list(g.sizes(state)) != wanted:
        g.fail(
            f"the first {name} of {g.show(x)} is [N, {directions * hidden}], was given {g.show(state)}",
            code="spec/shape-mismatch",
        )
    cut = g.op("Reshape", state, g.constant([0, directions, hidden]), name=f"{name}_directions")
    return g.op("Transpose", cut, name=f"{name}_first", perm=[1, 0, 2])


def _results(g: Emitter, returns: str, states: ir.Value, last: ir.Value, width: int) -> ir.Value | dict[str, ir.Value]:
    """`states` [T, D, N, H] and `last` [D, N, H], batch first and with the directions merged."""
    found = {}
    if returns != "last":
        turned = g.op("Transpose", states, name="batch_first", perm=[2, 0, 1, 3])
        found["sequence"] = g.op("Reshape", turned, g.constant([0, 0, width]), name="sequence")
    if returns != "sequence":
        turned = g.op("Transpose", last, name="last_batch_first", perm=[1, 0, 2])
        found["last"] = g.op("Reshape", turned, g.constant([0, width]), name="last")
    return found if returns == "both" else found[returns]
