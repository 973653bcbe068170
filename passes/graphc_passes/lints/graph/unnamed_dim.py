"""An input with a dimension that is neither a size nor a name.

Why    a name says which sizes are one: two inputs [N, 3] and [N, 5] agree in their batch. A dimension without one can
       be anything, so no shape behind it is known, no cost can be computed for a size of it, and no budget holds it.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import CaseBuilder, Problem, Subject, lint


@lint(category="graph", severity="info", help="name the dimension, as `dynamic_axes` of an export does")
def unnamed_dim(subject: Subject) -> Iterator[Problem]:
    for value in subject.model.graph.inputs:
        if value.is_initializer() or value.shape is None:
            continue
        unnamed = [index for index, size in enumerate(value.shape) if not isinstance(size, int) and size.value is None]
        if unnamed:
            axes = ", ".join(map(str, unnamed))
            plural = "axes" if len(unnamed) > 1 else "axis"
            yield Problem(f"input '{value.name}' has no size and no name on {plural} {axes}", at=value)


@unnamed_dim.bad
def of_the_batch(g: CaseBuilder) -> object:
    return g.Relu(g.input(None, 3, 8, 8))


@unnamed_dim.good
def it_has_a_name(g: CaseBuilder) -> object:
    return g.Relu(g.input("N", 3, 8, 8))
