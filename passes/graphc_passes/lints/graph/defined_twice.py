"""Two initializers of one graph, or two functions of a model, that have the same name.

Why    which of them a node means is open. ONNX Runtime refuses two functions, and two initializers in a branch or of
       other shapes; of others it takes one without a word. Two models that were merged have such names.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir

from graphc import Case, CaseBuilder, reported

defined_twice = reported("graph/defined-twice", help="remove the one that is not meant, or rename it where it is read")


def _model() -> onnx.ModelProto:
    """Two weights, and two functions that nothing calls, of their own names."""

    def scaled(g: CaseBuilder) -> object:
        return g.Add(g.Mul(g.input(1, 3), g.weight(3)), g.weight(3))

    model = Case("scaled", scaled).model()
    model.graph.opset_imports["own"] = 1
    for name in ("f", "g"):
        x = ir.val("x")
        node = ir.node("Relu", [x])
        node.outputs[0].name = "y"
        body = ir.Graph([x], node.outputs, nodes=[node], opset_imports={"": 20})
        function = ir.Function("own", name, graph=body, attributes=[])
        model.functions[function.identifier()] = function
    return ir.to_proto(model)


def _written(folder: Path, model: onnx.ModelProto) -> Path:
    path = folder / "net.onnx"
    onnx.save(model, path)
    return path


@defined_twice.bad
def two_weights(folder: Path) -> Path:
    model = _model()
    one, other = model.graph.initializer
    other.name = model.graph.node[1].input[1] = one.name
    return _written(folder, model)


@defined_twice.bad
def two_functions(folder: Path) -> Path:
    model = _model()
    model.functions[1].name = model.functions[0].name
    return _written(folder, model)


@defined_twice.good
def names_of_their_own(folder: Path) -> Path:
    return _written(folder, _model())


@defined_twice.good
def two_overloads(folder: Path) -> Path:
    model = _model()
    model.functions[1].name = model.functions[0].name
    model.functions[1].overload = "other"
    return _written(folder, model)
