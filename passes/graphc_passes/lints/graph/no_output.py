"""A model that gives nothing: its graph has no output.

Why    ONNX's checker and ONNX Runtime load it, and no run of it can return anything; removing what leads to no output
       would leave nothing at all. The outputs were lost when it was cut or merged.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
import onnx_ir as ir

from graphc import Case, Problem, Subject, lint


@lint(category="graph", severity="error", help="name the values that it should give, or export the model again")
def no_output(subject: Subject) -> Iterator[Problem]:
    if subject.is_model and not subject.model.graph.outputs:
        yield Problem("the graph has no output")


def _written(folder: Path, *, outputs: bool) -> Path:
    model = ir.to_proto(Case("one node", lambda g: g.Relu(g.input(1, 3, 8, 8))).model())
    if not outputs:
        del model.graph.output[:]
    path = folder / "net.onnx"
    onnx.save(model, path)
    return path


@no_output.bad
def cut_off(folder: Path) -> Path:
    return _written(folder, outputs=False)


@no_output.good
def one_output(folder: Path) -> Path:
    return _written(folder, outputs=True)
