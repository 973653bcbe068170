"""Walks find what stands in subgraphs and in functions, as often as the protobuf holds it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir

from graphc import walk

TEXT = """<ir_version: 8, opset_import: ["" : 20, "d" : 1]>
g (float[2] x, bool c) => (float[2] y) <float[2] w = {1, 2}> {
  n0 = Add(x, w)
  n1 = If (c) <then_branch = t () => (t1) <float[2] u = {3, 4}> {
                 t0 = Mul(n0, u)
                 t1 = If (c) <then_branch = tt () => (tt0) { tt0 = Abs(t0) },
                              else_branch = te () => (te0) { te0 = Neg(t0) }>
               },
               else_branch = e () => (e0) { e0 = Exp(n0) }>
  n2 = d.f(n1)
  y = d.f(n2)
}
<domain: "d", opset_import: ["" : 18]>
f (a) => (b) {
  f0 = Constant <value: tensor = bool {1}> ()
  b = If (f0) <then_branch = ft () => (ft0) <float[2] v = {5, 6}> { ft0 = Div(a, v) },
               else_branch = fe () => (fe0) { fe0 = Log(a) }>
}
"""


def model() -> ir.Model:
    return ir.from_proto(onnx.parser.parse_model(TEXT))


def protos(nodes: list[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            yield from protos(attribute.g.node)


def test_every_node_is_walked_once() -> None:
    proto = onnx.parser.parse_model(TEXT)
    expected = [node.output[0] for body in (proto.graph, *proto.functions) for node in protos(body.node)]
    found = [node.outputs[0].name for node in walk.nodes(model())]
    assert sorted(found) == sorted(expected)


def test_every_initializer_is_walked_once() -> None:
    found = {value.name: value.const_value.numpy() for value in walk.initializers(model())}
    expected = {"w": [1, 2], "u": [3, 4], "v": [5, 6]}
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in found)


def test_a_graph_has_the_opset_that_its_function_imports() -> None:
    opsets = {graph.name: opset for graph, opset in walk.graphs(model())}
    assert opsets == {"g": 20, "t": 20, "tt": 20, "te": 20, "e": 20, "f": 18, "ft": 18, "fe": 18}
