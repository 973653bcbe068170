"""An imported spec that brings a weight file without its SHA-256. The spec's own is security/unpinned-artefact.

Why    a spec is under version control and says what it was; its weights seldom are. Another file of the same shapes,
       retrained, damaged or planted, builds without a word and gives other results.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from graphc import Problem, Subject, lint
from graphc_passes.lints.spec._weights import SLOPES, network, with_weights


@lint(
    on="spec",
    category="spec",
    severity="warning",
    help="pin the file in the imported spec, or give the import pinned weights of its own",
)
def unpinned_import(subject: Subject) -> Iterator[Problem]:
    for source in subject.expanded.weights:
        file, own = source.weights.file, source.where.file == subject.tree.where.file
        if file is not None and source.weights.sha256 is None and not own:
            by = source.prefix.partition("/")[0]
            at = subject.expanded.place("imports", by)
            yield Problem(f"import '{by}' brings '{file[1]}', which is not pinned", at=at)


@unpinned_import.bad
def weights_of_an_import(folder: Path) -> Path:
    with_weights(folder, y__slope=SLOPES)
    network(folder, "{npz: net.npz}")
    return _importing(folder, "net.yaml")


@unpinned_import.good
def pinned_weights(folder: Path) -> Path:
    return with_weights(folder, y__slope=SLOPES)


@unpinned_import.good
def pinned_weights_of_an_import(folder: Path) -> Path:
    with_weights(folder, y__slope=SLOPES)
    return _importing(folder, "net.yaml")


@unpinned_import.good
def an_import_without_a_file(folder: Path) -> Path:
    network(folder, "{seed: 1}")
    return _importing(folder, "net.yaml")


def _importing(folder: Path, spec: str) -> Path:
    path = folder / "whole.yaml"
    path.write_text(
        'graphc: 1\ninputs: {x: "f32[1, 4, 8, 8]"}\noutputs: [y]\n'
        f"imports: {{net: {spec}}}\nnodes:\n  - {{id: y, op: net}}\n"
    )
    return path
