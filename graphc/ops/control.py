"""Control flow and calls: what a body costs, as often as it runs.

A Loop with a known trip count and a Scan cost so many bodies; an If costs its dearest branch, unless the condition is a
constant; a call costs the function's body at the shapes of the call. Where the number of runs is known only at run
time the node is uncosted. The whole backward pass of a body counts as shared: towards everything that comes in, be it
an input or captured from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from graphc.convolution import static_shape
from graphc.costs import ZERO, Cost
from graphc.inference import UNKNOWN, Operand, operand_of
from graphc.ops.bodies import Body, Scope, look, of_call, of_subgraph
from graphc.ops.lookup import op_of
from graphc.ops.op import Op, Saved, floating, op
from graphc.view import Refusal, View, constant


@dataclass(frozen=True)
class Runs:
    """A body, and how often it runs."""

    body: Body
    times: int = 1


class Enclosing(Op):
    """An operator that runs bodies."""

    def __init__(self, scope: Scope | None = None) -> None:
        self.scope = scope or Scope()

    def within(self, scope: Scope) -> Op:
        return type(self)(scope)

    def runs(self, view: View) -> Runs:
        """The body that counts."""
        raise NotImplementedError

    def forward(self, view: View) -> Cost:
        runs = self.runs(view)
        return self.body_cost(view, runs.body) * runs.times

    def body_cost(self, view: View, body: Body) -> Cost:
        """One run of a body. Raises Refusal when anything in it is uncosted."""
        return sum((known.forward(inner) for inner, known in self._known(body, self.inner(view))), ZERO)

    def toward(self, view: View, index: int) -> Cost:
        return ZERO

    def shared(self, view: View) -> Cost:
        runs, total = self.runs(view), ZERO
        for inner, known, wanted in self._backward(view, runs.body):
            total += known.shared(inner)
            for index in wanted:
                total += known.toward(inner, index)
        return total * runs.times

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """What the body keeps, for each of its runs; what it captures is kept once."""
        runs = self.runs(view)
        kept = [
            saved for inner, known, needed in self._backward(view, runs.body) for saved in known.saved(inner, needed)
        ]
        unique = {saved.value: saved for saved in kept if saved.value is not None}
        outside = runs.body.captured
        captured = [
            Saved(outside[value], saved.bytes, saved.what) for value, saved in unique.items() if value in outside
        ]
        inside = sum(saved.bytes for value, saved in unique.items() if value not in outside)
        buffers = inside + sum(saved.bytes for saved in kept if saved.value is None)
        every = (Saved(None, buffers * runs.times, "kept by every run of the body"),) if buffers else ()
        return (*captured, *every)

    def inner(self, view: View) -> Scope:
        """The scope of a body. Raises Refusal when bodies lie too deep."""
        return self.scope.inner()

    def _known(self, body: Body, scope: Scope) -> Iterator[tuple[View, Op]]:
        for node in body.graph:
            try:
                yield View(node, body.opset), op_of(node, scope)
            except Refusal as refusal:
                raise Refusal(f"in its body: {refusal.reason}") from None

    def _backward(self, view: View, body: Body) -> Iterator[tuple[View, Op, frozenset[int]]]:
        """Each node that a gradient flows through, and towards which of its inputs."""
        flowing = {value for value in (*body.graph.inputs, *body.captured) if floating(value) and not value.const_value}
        for inner, known in self._known(body, self.inner(view)):
            values = enumerate(inner.node.inputs)
            wanted = frozenset(i for i, v in values if v in flowing and known.differentiable(inner, i))
            if wanted:
                flowing.update(filter(floating, inner.node.outputs))
                yield inner, known, wanted


class Call(Enclosing):
    """A call of one of the model's functions. Calls that look alike are counted once."""

    def inner(self, view: View) -> Scope:
        return self.scope.inner(view.node)

    def runs(self, view: View) -> Runs:
        return Runs(of_call(view.node, _operands(view, 0), self.scope))

    def forward(self, view: View) -> Cost:
        return self._once("forward", view, super().forward)

    def shared(self, view: View) -> Cost:
        return self._once("shared", view, super().shared)

    def _once(self, facet: str, view: View, count: Callable[[View], Cost]) -> Cost:
        key = (facet, look(view.node, _operands(view, 0)))
        if key not in self.scope.costs:
            self.scope.costs[key] = count(view)
        return self.scope.costs[key]


@op("If")
class If(Enclosing):
    """The branch that a constant condition takes, else the one with the most flops, then bytes."""

    def runs(self, view: View) -> Runs:
        return Runs(self._branch(view)[0])

    def forward(self, view: View) -> Cost:
        return self._branch(view)[1]

    def _branch(self, view: View) -> tuple[Body, Cost]:
        """The branch that counts, and its cost."""
        decided = constant(view.required("cond"))
        names = ["then_branch", "else_branch"]
        if decided is not None:
            names = names[:1] if decided else names[1:]
        graphs = [view.node.attributes[name].as_graph() for name in names]
        bodies = [of_subgraph(graph, [], view.opset, self.scope.inner()) for graph in graphs]
        costed = [(body, self.body_cost(view, body)) for body in bodies]
        return max(costed, key=lambda each: (each[1].flops, each[1].bytes))


@op("Loop")
class Loop(Enclosing):
    """Trip count × body. States keep their shape, and nothing in the body may end the loop early."""

    def runs(self, view: View) -> Runs:
        graph = view.node.attributes["body"].as_graph()
        states = _operands(view, 2)
        scalar = ir.Shape([])
        counter = [Operand(ir.TensorType(ir.DataType.INT64), scalar), Operand(ir.TensorType(ir.DataType.BOOL), scalar)]
        body = of_subgraph(graph, [*counter, *states], view.opset, self.scope.inner())
        _same_states(body.graph.outputs[1 : 1 + len(states)], states)
        return Runs(body, self._trips(view, body))

    def _trips(self, view: View, body: Body) -> int:
        count, condition = view.input("M"), view.input("cond")
        start = None if condition is None else constant(condition)
        if start is not None and not start:
            return 0
        goes_on = _always_true(body.graph.outputs[0], body.graph.inputs[1], condition is None or start is not None)
        known = None if count is None else constant(count)
        if known is None or not goes_on:
            raise Refusal("how often the loop runs is known only at run time")
        return max(0, int(known.item()))


@op("Scan")
class Scan(Enclosing):
    """Length of the scanned inputs × body."""

    def runs(self, view: View) -> Runs:
        if view.opset < 9:
            raise Refusal("before opset 9 a Scan runs over batches of sequences")
        scanned = view.attr("num_scan_inputs")
        states = len(view.node.inputs) - scanned
        axes = view.attr("scan_input_axes") or (0,) * scanned
        operands = _operands(view, 0)
        slices, lengths = [], []
        for operand, value, axis in zip(operands[states:], view.node.inputs[states:], axes, strict=True):
            shape = [] if value is None else list(static_shape(value))
            lengths.append(shape.pop(axis))
            slices.append(Operand(operand.type, ir.Shape(shape)))
        graph = view.node.attributes["body"].as_graph()
        body = of_subgraph(graph, [*operands[:states], *slices], view.opset, self.scope.inner())
        _same_states(body.graph.outputs[:states], operands[:states])
        return Runs(body, lengths[0])


def _operands(view: View, first: int) -> list[Operand]:
    return [UNKNOWN if value is None else _varying(value) for value in view.node.inputs[first:]]


def _varying(value: ir.Value) -> Operand:
    """Type and shape; the content of a state changes from run to run."""
    known = operand_of(value)
    return Operand(known.type, known.shape)


def _same_states(after: Sequence[ir.Value], before: Sequence[Operand]) -> None:
    for value, operand in zip(after, before, strict=True):
        known = value.shape is not None and value.shape.is_static() and operand.shape is not None
        if known and value.shape != operand.shape:
            raise Refusal(f"'{value.name}' changes its shape from run to run")


def _always_true(value: ir.Value, condition: ir.Value, initially: bool) -> bool:
    """Whether a loop's condition stays true: a constant, or the incoming one handed on."""
    node = value.producer()
    while node is not None and node.op_type == "Identity" and not node.domain and node.inputs[0] is not None:
        value = node.inputs[0]
        node = value.producer()
    if value is condition:
        return initially
    known = constant(value)
    return known is not None and bool(known)
