"""Nodes that leave the target's provider, for it has no kernel for them, and run on the CPU.

Why    each stands between the accelerator's kernels: what it reads is copied to the CPU and what it makes back, and the
       accelerator waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from graphc import Problem, Subject, lint
from graphc_passes.lints.target._target import placed


@lint(
    category="target",
    severity="warning",
    help="write them by operators, versions and types that the provider has",
    shown_by="tests/test_lints_target.py: which kernels there are depends on the installed ONNX Runtime",
)
def provider_fallback(subject: Subject) -> Iterator[Problem]:
    found = placed(subject)
    if not found.left:
        return
    counts = Counter(each.lack.what for each in found.left if each.lack is not None)
    reasons = ", ".join(f"{what} ({count})" if count > 1 else what for what, count in counts.most_common())
    total = len(found.placed)
    message = f"{len(found.left)} of {total} nodes leave {found.provider} for the CPU: {reasons}"
    yield Problem(message, at=found.left[0].node, measured=len(found.left))
