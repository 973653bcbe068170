"""A weight file without a SHA-256.

Why    the weights are most of what a model does, and nobody sees that they were exchanged: the spec, and the review of
       it, stay the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from graphc import Problem, Subject, lint
from graphc_passes.lints.security._specs import good_weights, with_weights


@lint(on="spec", category="security", severity="info", help="add its `sha256:`, which sha256sum prints")
def unpinned_artefact(subject: Subject) -> Iterator[Problem]:
    if subject.errors:
        return
    for source in subject.expanded.weights:
        own = source.where.file == subject.tree.where.file  # an import's is spec/unpinned-import
        if own and source.weights.file is not None and source.weights.sha256 is None:
            kind, name = source.weights.file
            yield Problem(f"the {kind} file '{name}' is not pinned", at=source.where)


@unpinned_artefact.bad
def weights_by_name_alone(folder: Path) -> Path:
    return with_weights(folder, good_weights(), pin="")


@unpinned_artefact.good
def pinned_weights(folder: Path) -> Path:
    return with_weights(folder, good_weights())


@unpinned_artefact.good
def weights_that_are_initialised() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, conv: {out: 2, k: 1}}
        weights: {init: he_normal, seed: 1}
    """
