"""An input whose size is left open, for a target that wants to know every size.

Why    compilers of accelerators lay out memory and choose kernels for fixed sizes: they refuse such a model, or compile
       it anew for each size that comes.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import NotAsked, Problem, Subject, lint
from graphc_passes.lints.graph._graphs import sizes
from graphc_passes.lints.target._target import file_target


@lint(
    category="target",
    severity="error",
    help="fix the sizes when the model is built: graphc build --dim NAME=SIZE",
    shown_by="tests/test_lints_target.py: a file of a target says that it wants fixed sizes",
)
def dynamic_dim(subject: Subject) -> Iterator[Problem]:
    target = file_target(subject)
    if target is None:
        raise NotAsked
    if target.dynamic:
        return
    for value in subject.model.graph.inputs:
        if not value.is_initializer() and None in (sizes(value) or ()):
            yield Problem(f"input '{value.name}' is {value.shape}, and {target.name} wants every size", at=value)
