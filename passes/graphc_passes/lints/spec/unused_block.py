"""A block or an import that nothing calls.

Why    it is read, checked and kept up to date for nothing; most often a call that was meant is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from graphc import Problem, Subject, lint
from graphc_passes.lints.spec._unused import unused


@lint(on="spec", category="spec", severity="warning", help="remove it, or call it where it was meant")
def unused_block(subject: Subject) -> Iterator[Problem]:
    yield from unused(subject, "block", "import")


@unused_block.bad
def left_over() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        blocks:
          soft: {do: [{leaky_relu: 0.2}]}
          hard: {do: [relu]}
        nodes:
          - {id: y, op: hard}
    """


@unused_block.bad
def name_of_an_argument() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        blocks:
          norm: {do: [{lrn: {size: 5}}]}
        nodes:
          - {id: y, conv: {out: 4, bias: false, norm: batch_norm}}
    """


@unused_block.bad
def an_import(folder: Path) -> Path:
    return _importing(folder, "relu")


@unused_block.good
def an_import_that_is_called(folder: Path) -> Path:
    return _importing(folder, "tail")


def _importing(folder: Path, called: str) -> Path:
    head = 'graphc: 1\ninputs: {x: "f32[1, 4, 8, 8]"}\noutputs: [y]\n'
    (folder / "tail.yaml").write_text(head + "nodes:\n  - {id: y, op: tanh}\n")
    spec = folder / "net.yaml"
    spec.write_text(head + f"imports: {{tail: tail.yaml}}\nnodes:\n  - {{id: y, op: {called}}}\n")
    return spec


@unused_block.good
def called_where_it_may_not_be_wanted() -> str:
    return """
        graphc: 1
        params: {soft: false}
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        blocks:
          unit: {do: [{leaky_relu: 0.2}]}
        nodes:
          - {when: =soft, op: unit}
          - {id: y, branch: {paths: [[tanh], [{repeat: 0, do: [unit]}]], merge: add}}
    """
