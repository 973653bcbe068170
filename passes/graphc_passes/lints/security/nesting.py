"""Graphs in graphs in graphs: branches and loop bodies nested far deeper than any model needs.

Why    every reader of them recurses: protobuf gives up at about 33 levels, others end the process.
"""

from __future__ import annotations

from pathlib import Path

import onnx

from graphc import reported

nesting = reported("security/nesting", help="do not run this model, and ask where it comes from")


def _branches(folder: Path, depth: int) -> Path:
    """If in If, that deep."""
    inner = onnx.GraphProto(name="leaf")
    inner.node.add(op_type="Relu", input=["x"], output=["y"])
    inner.output.add(name="y").type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    for _ in range(depth):
        outer = onnx.GraphProto(name="g")
        node = outer.node.add(op_type="If", name="if", input=["c"], output=["y"])
        for branch in ("then_branch", "else_branch"):
            held = node.attribute.add(name=branch, type=onnx.AttributeProto.GRAPH).g
            held.CopyFrom(inner) if branch == "then_branch" else held.CopyFrom(_leaf())
        outer.output.add(name="y").type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        inner = outer
    model = onnx.ModelProto(ir_version=8, graph=inner)
    model.opset_import.add(version=20)
    for name, kind in (("x", onnx.TensorProto.FLOAT), ("c", onnx.TensorProto.BOOL)):
        declared = model.graph.input.add(name=name).type.tensor_type
        declared.elem_type = kind
        if name == "x":
            declared.shape.dim.add(dim_value=2)
        else:
            declared.shape.SetInParent()
    model.graph.output[0].type.tensor_type.shape.dim.add(dim_value=2)
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def _leaf() -> onnx.GraphProto:
    leaf = onnx.GraphProto(name="leaf")
    leaf.node.add(op_type="Sigmoid", name="s", input=["x"], output=["y"])
    leaf.output.add(name="y").type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    return leaf


@nesting.bad
def branches_20_deep(folder: Path) -> Path:
    return _branches(folder, 20)


@nesting.good
def a_branch_in_a_branch(folder: Path) -> Path:
    return _branches(folder, 2)
