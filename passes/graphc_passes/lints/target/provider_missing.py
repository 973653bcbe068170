"""A target whose provider the installed ONNX Runtime does not have.

Why    nothing was analysed for it: which nodes it runs, which types it knows and what is copied, only the build of ONNX
       Runtime that has the provider can tell.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import Problem, Subject, lint
from graphc_passes.lints.target._target import parted, provider


@lint(
    category="target",
    severity="warning",
    help="lint where that build of ONNX Runtime is installed (for CUDA: pip install 'graphc[gpu]')",
)
def provider_missing(subject: Subject) -> Iterator[Problem]:
    name = provider(subject)
    if name is not None and parted(subject) is None:
        yield Problem(f"this ONNX Runtime has no {name}, so nothing is known of the model there")


@provider_missing.bad(target="phone")
def of_a_phone() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
        targets:
          phone: {ep: NnapiExecutionProvider}
    """


@provider_missing.good(target="server")
def of_any_machine() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
        targets:
          server: {ep: CPUExecutionProvider}
    """
