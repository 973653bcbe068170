"""A model that was optimised and not compared with what it was made from.

Why    `graphc build --no-verify` saves seconds, and the proof: its certificate holds no measured error.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import graphc
from graphc import Case, CaseBuilder, Problem, Subject, lint, save


@lint(category="numerics", severity="warning", help="build it again without --no-verify, or run graphc check")
def weak_check(subject: Subject) -> Iterator[Problem]:
    certificate = graphc.certificate_of(subject)
    if certificate is not None and certificate.firings and not certificate.measured:
        count = len(certificate.firings)
        yield Problem(f"{count} rewrite{'s' if count > 1 else ''} fired, and no error was measured", measured=count)


def _chain(g: CaseBuilder) -> object:
    return g.Sigmoid(g.Identity(g.input(1, 16)))


def _built(folder: Path, verify: bool) -> Path:
    made = graphc.compile(Case("a chain", _chain).model(), verify=verify)
    graphc.certify(made, "net.onnx")
    path = folder / "net.onnx"
    save(made.model, path)
    return path


@weak_check.bad
def not_verified(folder: Path) -> Path:
    return _built(folder, verify=False)


@weak_check.good
def verified(folder: Path) -> Path:
    return _built(folder, verify=True)
