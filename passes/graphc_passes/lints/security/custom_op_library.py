"""A spec that asks for a library of operators, which is native code.

Why    whoever opens the session runs it; a spec is data, and is reviewed and shared as data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from graphc import Problem, Subject, lint

LIBRARY = re.compile(r"\.(so(\.[0-9]+)*|dll|dylib)$", re.IGNORECASE)


@lint(
    on="spec",
    category="security",
    severity="error",
    help="load it in the program that runs the model, where its reviewers see it",
)
def custom_op_library(subject: Subject) -> Iterator[Problem]:
    for name, target in subject.expanded.spec.targets.items():
        for key, value in target.session.items():
            if isinstance(value, str) and LIBRARY.search(value.strip()):
                where = subject.expanded.place("targets", name, "session", key)
                yield Problem(f"target '{name}' loads the library '{value}'", at=where)


SPEC = """
        graphc: 1
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, relu: {}}
        targets: {cpu: {session: {%s}}}
    """


@custom_op_library.bad
def in_a_session() -> str:
    return SPEC % "session.custom_ops: ./libops.so.1"


@custom_op_library.good
def other_session_entries() -> str:
    return SPEC % 'session.intra_op.allow_spinning: "0"'
