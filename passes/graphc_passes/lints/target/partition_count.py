"""A graph that the target's provider runs in many parts, with others between them.

Why    each part starts and ends with the accelerator waiting. A provider that compiles what it gets (TensorRT, NNAPI)
       compiles, stores and starts each part by itself, and fuses nothing across.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import Problem, Subject, lint
from graphc_passes.lints.target._target import placed

MOST = 4  # a few heads and tails are what most models keep on the CPU


@lint(
    category="target",
    severity="info",
    help="move or replace the nodes between the parts",
    shown_by="tests/test_lints_target.py: which kernels there are depends on the installed ONNX Runtime",
)
def partition_count(subject: Subject) -> Iterator[Problem]:
    found = placed(subject)
    if found.count > MOST:
        yield Problem(f"{found.provider} runs it in {found.count} parts", measured=found.count, limit=MOST)
