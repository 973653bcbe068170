"""A model that ONNX Runtime refuses to load, or to run on ordinary inputs.

Why    it is broken, whatever the lints of the graph could tell: an index that leaves the data only when it runs, a
       kernel that is not there. It takes a run, so this look is made with --run only; looks that run the model as well
       say nothing more of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

import graphc
from graphc import CaseBuilder, Problem, Subject, lint


@lint(
    category="run",
    severity="error",
    help="mend the node that it names, or run the model on inputs that it takes",
    runs=True,
)
def session_failed(subject: Subject) -> Iterator[Problem]:
    failure = graphc.session_failure(subject)
    if failure is not None:
        yield Problem(failure.message, help=failure.hint)


def _row(g: CaseBuilder, index: int) -> object:
    """A row of eight that is computed from an input, so that only a run knows which."""
    none = g.Mul(g.input(1, dtype=ir.DataType.INT64), g.constant(np.zeros(1, np.int64)))
    return g.Gather(g.input(8, 4), g.Add(none, g.constant(np.array([index]))))


@session_failed.bad(run=True)
def a_row_that_is_not_there(g: CaseBuilder) -> object:
    return _row(g, 8)


@session_failed.good(run=True)
def the_last_row(g: CaseBuilder) -> object:
    return _row(g, 7)
