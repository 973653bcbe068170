"""A model that was made with approximations: its certificate allows more than rounding.

Why    a Winograd form or a folded approximation is opted into once, in a pipeline, and then travels in the file;
       whoever deploys it should know by how much the outputs may differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import graphc
from graphc import Case, CaseBuilder, Problem, Subject, lint, save


@lint(category="numerics", severity="info", help="suppress this where the approximation is wanted")
def loosened_tolerance(subject: Subject) -> Iterator[Problem]:
    certificate = graphc.certificate_of(subject)
    if certificate is None:
        return
    laws = {name: law for name, law in certificate.laws.items() if law.numerics == "approximates"}
    bound = sum(laws[firing.rewrite].bound for firing in certificate.firings if firing.rewrite in laws)
    if laws:
        yield Problem(f"{', '.join(sorted(laws))} may change outputs by {bound:.2g} of their largest", measured=bound)


def _conv(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 16, 32, 32), g.weight(16, 16, 3, 3), pads=(1, 1, 1, 1))


def _built(folder: Path, passes: str) -> Path:
    made = graphc.compile(Case("a convolution", _conv).model(), pipeline=passes)
    graphc.certify(made, "net.onnx")
    path = folder / "net.onnx"
    save(made.model, path)
    return path


@loosened_tolerance.bad
def winograd(folder: Path) -> Path:
    return _built(folder, "replace-conv-with-winograd-f2{when=always}")


@loosened_tolerance.good
def the_usual_passes(folder: Path) -> Path:
    return _built(folder, "inference")
