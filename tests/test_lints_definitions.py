"""What stands in branches, is defined twice, or is of a domain that nobody imports, as ONNX Runtime has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import onnxruntime  # noqa: TID251 - the oracle of these tests
import pytest
from test_lints_operands import IMAGE, model_of, of

from graphc import GraphcError, findings, lints, load
from graphc.runtime.session import session

BRANCHES = """<ir_version: 8, opset_import: ["" : 20]>
net (float[1, 4, 8, 8] x, float[3, 3] x3, bool c) => (float[n, m, h, w] y) {{
  [if] y = If (c) <then_branch = t () => (float[n, m, h, w] a) {{ [inside] a = {node} }},
                   else_branch = e () => (float[n, m, h, w] b) {{ [other] b = Relu (x) }}>
}}"""


@pytest.mark.parametrize(
    ("lint", "node"),
    [
        ("graph/unknown-mode", 'DepthToSpace <blocksize = 2, mode = "foo"> (x)'),
        ("graph/unknown-op", "com.example.Foo (x)"),
        ("graph/operands-disagree", "LRN <size = 2> (x)"),
        ("graph/checker-error", "MatMul (x, x3)"),
        ("graph/checker-error", "Softmax <axis = 7> (x)"),
    ],
)
def test_what_is_wrong_in_a_branch_is_told_of_there_and_not_at_the_node_that_holds_it(lint: str, node: str) -> None:
    model = ir.from_proto(onnx.parser.parse_model(BRANCHES.format(node=node)))
    with pytest.raises(GraphcError), session(model) as run:
        run.run({"x": of(*IMAGE), "x3": of(3, 3), "c": np.array(True)})
    assert [(each.lint, each.node) for each in findings(model) if each.severity == "error"] == [(lint, "inside")]


GROWING = """<ir_version: 8, opset_import: ["" : 20]>
net (float[1, 3] x, int64 count, bool go) => (float[n, 3] y) {
  y = Loop (count, go, x) <body = b (int64 i, bool on, float[1, 3] rows) => (bool onwards, float[m, 3] longer) {
    onwards = Identity (on)
    longer = Concat <axis = 0> (rows, rows)
  }>
}"""


def test_what_a_loop_hands_over_may_change_its_size() -> None:
    model = ir.from_proto(onnx.parser.parse_model(GROWING))
    with session(model) as run:
        (made,) = run.run({"x": of(1, 3), "count": np.array(3), "go": np.array(True)}).values()
    assert made.shape == (8, 3)
    assert not [each for each in findings(model) if each.severity == "error"]


DOMAINS = (
    "com.microsoft",
    "com.microsoft.dml",
    "com.microsoft.own",
    "com.microsoftish",
    "com.example",
    "ai.onnx.contrib",
)


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_that_is_not_imported_is_an_error_where_onnx_runtime_has_none(domain: str) -> None:
    model = model_of("Gelu", [of(2, 3)], {})
    (node,) = model.graph
    node.domain = domain
    opened, told = True, {each.lint for each in findings(model) if each.severity == "error"}
    try:
        with session(model):
            pass
    except GraphcError:
        opened = False
    assert told == (set() if opened else {"graph/unknown-op"})


@pytest.mark.parametrize("name", ["two weights", "two functions"])
def test_what_is_defined_twice_is_refused(name: str, tmp_path: Path) -> None:
    lint = lints()["graph/defined-twice"]
    path = next(case for case in lint.bad_cases if case.name == name).write(tmp_path)
    assert [each.lint for each in findings(path)] == ["graph/defined-twice"]
    with pytest.raises(GraphcError) as refused:
        load(path)
    assert refused.value.code == "graph/defined-twice"


def test_two_weights_of_other_shapes_are_refused_by_onnx_runtime_too(tmp_path: Path) -> None:
    proto = ir.to_proto(model_of("Add", [of(2, 3), of(3)], {}))
    proto.graph.initializer.append(ir.to_proto(ir.tensor(of(2, 3), name=proto.graph.initializer[0].name)))
    path = tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(Exception, match="does not match"):
        onnxruntime.InferenceSession(path)
    assert [each.lint for each in findings(path)] == ["graph/defined-twice"]


def test_an_attribute_given_twice_is_found(tmp_path: Path) -> None:
    """Of two attributes of one name onnx_ir would keep one, and ONNX Runtime refuses the model."""
    proto = ir.to_proto(model_of("Softmax", [of(2, 3)], {"axis": 1}))
    proto.graph.node[0].attribute.add(name="axis", type=onnx.AttributeProto.INT, i=0)
    path = tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    (found,) = findings(path)
    assert (found.lint, found.node) == ("graph/checker-error", "node")
    assert found.message == "node 'node' (Softmax) has the attribute 'axis' twice"
