"""Weights that are inputs of the graph as well.

Why    a caller may override such a weight, so no compiler may fold or prepack it: a convolution by a filter that may
       change runs without its fast layout, and no normalisation goes into it. IR versions before 4 wanted weights to be
       inputs; an exporter has `keep_initializers_as_inputs` for them.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import CaseBuilder, Fix, Problem, Subject, lint

FREEZE = "remove-initializers-from-inputs"


@lint(category="graph", severity="warning", help="take them off the inputs, unless callers do override them")
def initializer_is_input(subject: Subject) -> Iterator[Problem]:
    weights = subject.model.graph.initializers
    inputs = [value for value in weights.values() if value.is_graph_input()]
    if len(inputs) > 1 and 2 * len(inputs) > len(weights):  # a few are defaults that are meant to be overridden
        message = f"{len(inputs)} of {len(weights)} weights are inputs of the graph"
        fix = Fix(f"run {FREEZE}", safe=False, passes=(FREEZE,))
        yield Problem(message, measured=len(inputs), fix=fix)


@initializer_is_input.bad
def of_an_old_exporter(g: CaseBuilder) -> object:
    x, weight, bias = g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3), g.weight(4)
    return g.Conv(x, g.overridable(weight), g.overridable(bias))


@initializer_is_input.good
def constants(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3), g.weight(4))


@initializer_is_input.good
def one_default(g: CaseBuilder) -> object:
    return g.Relu(g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3), g.overridable(g.weight(4))))
