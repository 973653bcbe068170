"""Weights that no node reads.

Why    they are stored, loaded and counted as parameters for nothing. A fine-tuned model keeps those of the head that
       was cut off, a converter those that it has folded.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from graphc import CaseBuilder, Fix, Problem, Subject, lint
from graphc_passes.lints.graph._graphs import some
from graphc_passes.lints.graph.initializer_is_input import FREEZE

REMOVE = "remove-unused-nodes"


@lint(category="graph", severity="warning", help="remove them")
def unused_initializer(subject: Subject) -> Iterator[Problem]:
    found: list[ir.Value] = []
    for graph, _ in subject.graphs:
        if isinstance(graph, ir.Graph) and subject.is_model:
            found += [each for each in graph.initializers.values() if not each.uses() and not each.is_graph_output()]
    if found:
        size = sum(each.const_value.nbytes for each in found if each.const_value is not None)
        names = some([each.name or "" for each in found])
        yield Problem(f"nothing reads {names}: {size} bytes", at=found[0], measured=size, fix=_fix(found))


def _fix(unused: list[ir.Value]) -> Fix:
    """One that is an input as well stays until it is taken off the inputs, which callers may notice."""
    if any(value.is_graph_input() for value in unused):
        return Fix(f"run {FREEZE}, {REMOVE}", safe=False, passes=(FREEZE, REMOVE))
    return Fix(f"run {REMOVE}", passes=(REMOVE,))


@unused_initializer.bad
def of_a_head_that_was_cut_off(g: CaseBuilder) -> object:
    g.weight(10, 4)
    return g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3))


@unused_initializer.bad
def one_that_is_an_input_too(g: CaseBuilder) -> object:
    g.overridable(g.weight(10, 4))
    return g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3))


@unused_initializer.good
def all_are_read(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3), g.weight(4))


@unused_initializer.good
def one_is_an_output(g: CaseBuilder) -> object:
    return g.Relu(g.input(1, 3, 8, 8)), g.weight(4)
