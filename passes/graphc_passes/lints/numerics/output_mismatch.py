"""An optimised model that does not compute what the original does.

Why    a rewrite that is wrong here, in graphc or in a plugin: never deploy it. `graphc build` writes nothing then; this
       look builds what a spec or a model would become and compares. It runs both, so it is made with --run only.
"""

from __future__ import annotations

from collections.abc import Iterator

import graphc
from graphc import GraphcError, Problem, Subject, lint


@lint(
    category="numerics",
    severity="error",
    help="find the pass: graphc build --dump-after-each, then graphc check; and report it",
    runs=True,
    shown_by="tests/test_lints_numerics.py: a rewrite that is wrong is none of those that ship",
)
def output_mismatch(subject: Subject) -> Iterator[Problem]:
    passes = subject.network.spec.passes if subject.network is not None else None
    try:
        graphc.compile(subject.weighted, pipeline=passes, limits=subject.limits)
    except GraphcError as error:
        if error.code != "numerics/output-mismatch":
            raise
        yield Problem(error.message)
