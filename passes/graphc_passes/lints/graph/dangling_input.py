"""A node takes, or the graph gives, a value that nothing makes.

Why    it is no model: nothing can run it. A tool that cut a part out, or renamed a value on one side only, leaves one.
"""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from graphc import Case, CaseBuilder, reported, save

dangling_input = reported("graph/dangling-input", help="the model was cut or renamed badly: export it again")


def _written(folder: Path, cut: str = "") -> Path:
    """Two nodes in a row, the second of which reads `cut` instead of the first."""
    model = Case("two nodes", lambda g: g.Neg(g.Relu(g.input(1, 3, 8, 8)))).model()
    path = folder / "net.onnx"
    if cut:
        model.graph[0].outputs[0].name = "renamed"
        model.graph[1].replace_input_with(0, ir.val(cut, ir.DataType.FLOAT, [1, 3, 8, 8]))
        model.graph.remove(model.graph[0])
    save(model, path)
    return path


@dangling_input.bad
def renamed_on_one_side(folder: Path) -> Path:
    return _written(folder, cut="elsewhere")


@dangling_input.good
def connected(folder: Path) -> Path:
    return _written(folder)


@dangling_input.good
def an_input_left_out(g: CaseBuilder) -> object:
    return g.Clip(g.input(1, 3, 8, 8), None, g.weight(low=1))
