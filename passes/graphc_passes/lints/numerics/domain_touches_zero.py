"""A logarithm or a divisor that some input makes 0.

Why    the result is infinite or not a number, and so is what it reaches. By intervals: what follows a Relu, a Softmax,
       a square, a length is 0 for some input. With --run the model is also run on zeros, ones and large numbers, and
       each output that is not finite is told.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

import graphc
from graphc import CaseBuilder, NotAsked, Problem, Subject, lint

DIVISOR = {"Log": 0, "Reciprocal": 0, "Div": 1}  # the input that is not to be 0


@lint(
    category="numerics",
    severity="warning",
    help="add a small constant, or use the operator that does both, LogSoftmax",
)
def domain_touches_zero(subject: Subject) -> Iterator[Problem]:
    fed = _fed(subject)
    for node, _ in subject.nodes(*DIVISOR):
        position = DIVISOR[node.op_type]
        value = node.inputs[position] if len(node.inputs) > position else None
        if value is None or value not in fed or not _is_floating(value):
            continue
        found = subject.intervals.get(value)
        if found is not None and found.is_bounded_below and 0.0 in found:
            what = "logarithm" if node.op_type == "Log" else "divisor"
            maker = value.producer()
            by = f"{maker.op_type} '{maker.name}'" if maker is not None else f"'{value.name}'"
            yield Problem(f"its {what} comes from {by}, which reaches 0", at=node)
    if not subject.settings.run:
        raise NotAsked  # for what only a run shows
    bad: dict[str, list[str]] = {}
    for kind, output in graphc.extremes(subject):
        bad.setdefault(output, []).append(kind)
    for output, kinds in bad.items():
        help = "find the first value that is not finite, and keep its operator's input in its domain"
        yield Problem(f"run on {', '.join(kinds)}, output '{output}' is not finite", help=help)


def _fed(subject: Subject) -> set[ir.Value]:
    """The values that nodes make of inputs; those of weights alone are the same on every run."""
    found: set[ir.Value] = set()
    for graph, _ in subject.graphs:
        inputs = set(graph.inputs)
        for node in graph:
            taken = [value for value in node.inputs if value is not None]
            if any(v in inputs or v in found or (v.producer() is None and not v.is_initializer()) for v in taken):
                found.update(node.outputs)
    return found


def _is_floating(value: ir.Value) -> bool:
    return value.dtype is not None and value.dtype.is_floating_point()


@domain_touches_zero.bad
def a_logarithm_of_a_softmax(g: CaseBuilder) -> object:
    return g.Log(g.Softmax(g.input(2, 10)))


@domain_touches_zero.bad
def a_vector_by_its_length(g: CaseBuilder) -> object:
    x = g.input(2, 10)
    return g.Div(x, g.ReduceL2(x, g.constant([-1], name="axes")))


@domain_touches_zero.bad(run=True)
def a_quotient_of_inputs(g: CaseBuilder) -> object:
    return g.Div(g.input(2, 10), g.input(2, 10))


@domain_touches_zero.good
def a_length_with_an_epsilon(g: CaseBuilder) -> object:
    x = g.input(2, 10)
    length = g.ReduceL2(x, g.constant([-1], name="axes"))
    return g.Div(x, g.Add(length, g.constant(np.float32(1e-6), name="eps")))


@domain_touches_zero.good
def a_softmax_written_out(g: CaseBuilder) -> object:
    x = g.input(2, 10)
    exp = g.Exp(g.Sub(x, g.ReduceMax(x, g.constant([-1], name="axis"))))
    return g.Div(exp, g.ReduceSum(exp, g.constant([-1], name="axes")))


@domain_touches_zero.good(run=True)
def finite_on_whatever_is_fed(g: CaseBuilder) -> object:
    return g.Sigmoid(g.input(2, 10))
