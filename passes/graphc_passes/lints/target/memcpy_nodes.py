"""Values that are copied between the target's provider and the CPU in every run.

Why    a copy waits for what makes the value, and what reads it waits for the copy: a queue of kernels that the
       accelerator works off by itself becomes one that stops and starts. ONNX Runtime warns when it opens one.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import Problem, Subject, lint
from graphc_passes.lints.graph._graphs import some
from graphc_passes.lints.target._target import placed


@lint(
    category="target",
    severity="warning",
    help="keep the nodes that make and read them on one provider",
    shown_by="tests/test_lints_target.py: which kernels there are depends on the installed ONNX Runtime",
)
def memcpy_nodes(subject: Subject) -> Iterator[Problem]:
    found = placed(subject)
    if found.copies:
        names = some([value.name or "" for value in found.copies])
        count = len(found.copies)
        message = f"{count} values are copied between {found.provider} and the CPU in every run: {names}"
        yield Problem(message, at=found.copies[0].producer(), measured=count)
