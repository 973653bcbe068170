"""Lints of the graph: broken models are told of at the right node, and what is said of a valid one is so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest

from graphc import Case, CaseBuilder, Finding, build, findings, infer_anew, lints, save
from graphc.model import read

SPEC = """\
graphc: 1
name: net
inputs: {x: "f32[1, 3, 16, 16]"}
outputs: [y]
nodes:
  - {id: first, conv: 8}
  - {id: second, conv: {out: 8, act: relu}}
  - {id: y, op: sigmoid}
"""


def found(source: ir.Model | str | Path) -> list[Finding]:
    """What the lints of the graph say."""
    path = str(source) if isinstance(source, Path) else source
    return [each for each in findings(path) if each.lint.startswith("graph/")]


def names(source: ir.Model | Path) -> set[str]:
    return {each.lint for each in found(source)}


# ---------------------------------------------------------------- three defects that other tools miss or place badly


def pruned(proto: onnx.ModelProto) -> None:
    """The filter of the second convolution takes 5 channels of the 8 there are."""
    node = named(proto, "second")
    weights = next(each for each in proto.graph.initializer if each.name == node.input[1])
    content = ir.from_proto(weights).numpy()[:, :5]
    weights.CopyFrom(ir.to_proto(ir.tensor(np.ascontiguousarray(content), name=weights.name)))


def misspelt(proto: onnx.ModelProto) -> None:
    named(proto, "second").op_type = "Convolution"


def cut(proto: onnx.ModelProto) -> None:
    named(proto, "second").input[0] = "elsewhere"


def named(proto: onnx.ModelProto, name: str) -> onnx.NodeProto:
    """The convolution of an item of the spec."""
    return next(node for node in proto.graph.node if node.name.startswith(name) and node.op_type == "Conv")


BROKEN: dict[str, tuple[Callable[[onnx.ModelProto], None], str]] = {
    "graph/conv-channel-mismatch": (pruned, "the data has 8 channels, and the filter [8, 5, 3, 3] takes 5"),
    "graph/unknown-op": (misspelt, "'Convolution' is no operator of ai.onnx"),
    "graph/dangling-input": (cut, "'elsewhere', which nothing produces"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_model_is_told_of_at_its_node_and_at_the_line_of_its_spec(name: str, tmp_path: Path) -> None:
    spec, path = tmp_path / "net.yaml", tmp_path / "net.onnx"
    spec.write_text(SPEC)
    proto = ir.to_proto(build(spec))
    change, message = BROKEN[name]
    change(proto)
    onnx.save(proto, path)
    node = next(each.name for each in proto.graph.node if each.name.startswith("second"))
    (only,) = [each for each in found(path) if each.severity == "error"]
    assert (only.lint, only.severity, only.node) == (name, "error", node)
    assert message in only.message
    assert only.where is not None
    assert (Path(only.where.file).name, only.where.line) == ("net.yaml", 7)
    assert "id: second" in only.where.text


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_model_in_memory_is_told_of_too(name: str, tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(SPEC)
    proto = ir.to_proto(build(spec))
    BROKEN[name][0](proto)
    assert {each.lint for each in found(ir.from_proto(proto)) if each.severity == "error"} == {name}


def test_weights_are_read_as_they_are_stored_and_not_as_the_file_states_them(tmp_path: Path) -> None:
    spec, path = tmp_path / "net.yaml", tmp_path / "net.onnx"
    spec.write_text(SPEC)
    proto = ir.to_proto(build(spec))
    pruned(proto)
    onnx.save(proto, path)
    (stated,) = [each for each in proto.graph.value_info if each.name == "second/weight"]
    assert [size.dim_value for size in stated.type.tensor_type.shape.dim] == [8, 8, 3, 3]
    assert read(path).graph.initializers["second/weight"].shape == ir.Shape([8, 5, 3, 3])


# ---------------------------------------------------------------- graphs inside of graphs


NESTED = """<ir_version: 8, opset_import: ["" : 20, "d" : 1]>
net (float[1, 3, 8, 8] x, float[4, 5, 3, 3] w, bool c) => (float[1, 4, 6, 6] y) {
  [if] y = If (c) <then_branch = t () => (float[1, 4, 6, 6] a) { [inside] a = Conv (x, w) },
                   else_branch = e () => (float[1, 4, 6, 6] b) { [call] b = d.conv (x, w) }>
}
<domain: "d", opset_import: ["" : 20]>
conv (x, w) => (y) { [body] z = Sgmoid (x)  [rest] y = Conv (z, w) }
"""


def test_nodes_of_branches_and_functions_are_looked_at() -> None:
    told = {(each.lint, each.node) for each in found(ir.from_proto(onnx.parser.parse_model(NESTED)))}
    assert ("graph/conv-channel-mismatch", "inside") in told
    assert ("graph/unknown-op", "body") in told
    assert not [lint for lint, node in told if node == "call"], "it calls a function of the model"


CYCLE = """<ir_version: 8, opset_import: ["" : 20]>
net (float[2] x) => (float[2] y) { [a] h = Add (x, y)  [b] y = Relu (h) }
"""
CAPTURED = """<ir_version: 8, opset_import: ["" : 20]>
net (float[2] x, bool c) => (float[2] y) {
  [if] y = If (c) <then_branch = t () => (float[2] a) { [in] a = Neg (h) },
                   else_branch = e () => (float[2] b) { [out] b = Relu (x) }>
  [late] h = Relu (x)
}
"""


@pytest.mark.parametrize(("text", "node"), [(CYCLE, "a"), (CAPTURED, "if")], ids=["a circle", "captured in a branch"])
def test_what_has_no_order(text: str, node: str) -> None:
    told = [each for each in found(ir.from_proto(onnx.parser.parse_model(text))) if each.lint == "graph/unsorted"]
    assert [each.node for each in told] == [node]


def test_what_only_a_branch_reads_is_not_dead() -> None:
    text = CAPTURED.replace("[late] h = Relu (x)\n", "").replace("  [if]", "  [early] h = Relu (x)\n  [if]")
    assert "graph/dead-node" not in names(ir.from_proto(onnx.parser.parse_model(text)))


# ---------------------------------------------------------------- what the checker says


def test_each_node_that_the_checker_refuses_is_told_of() -> None:
    text = """<ir_version: 8, opset_import: ["" : 20]>
    net (float[2] x) => (float[2] z) { [a] y = Relu <slope = 1.0> (x)  [b] z = Add (y) }"""
    told = {each.node: each.message for each in found(ir.from_proto(onnx.parser.parse_model(text)))}
    assert set(told) == {"a", "b"}
    assert "slope" in told["a"]
    assert all("\n" not in message for message in told.values())


def test_sizes_that_do_not_go_together_are_told_of_where_they_meet_and_nowhere_else() -> None:
    text = """<ir_version: 8, opset_import: ["" : 20]>
    net (float[2, 3] x, float[4, 5] w) => (float[2, 5] z) <float[2, 5] y> {
      [a] y = MatMul (x, w)  [b] z = Relu (y)
    }"""
    told = [(each.lint, each.node) for each in found(ir.from_proto(onnx.parser.parse_model(text)))]
    assert told == [("graph/checker-error", "a")]


def test_a_wrong_shape_is_told_of_once_and_not_where_it_is_read() -> None:
    text = """<ir_version: 8, opset_import: ["" : 20]>
    net (float[2, 3] x, float[3, 5] w) => (float[2, 5] z) <float[2, 7] y> {
      [a] y = MatMul (x, w)  [b] z = Relu (y)
    }"""
    (only,) = found(ir.from_proto(onnx.parser.parse_model(text)))
    assert (only.lint, only.node) == ("graph/declared-shape-contradicts", "a")
    assert "stated to be [2,7], and this MatMul makes [2,5]" in only.message


def test_an_output_without_a_rank() -> None:
    text = """<ir_version: 8, opset_import: ["" : 20]>
    net (float[2] x, int64[r] s) => (float y) { [a] y = Reshape (x, s) }"""
    proto = onnx.parser.parse_model(text)
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    told = [each for each in found(ir.from_proto(proto)) if each.lint == "graph/checker-error"]
    assert [each.message for each in told] == ["'y' has no shape: ONNX wants the rank of each input and output"]


def test_weights_are_not_handed_to_the_checker() -> None:
    """A model of 8 GB, none of which is there to be read."""

    class Unreadable(ir.Tensor):
        def numpy(self) -> np.ndarray:
            raise AssertionError("it was read")

        tobytes = numpy  # type: ignore[assignment]

    model = Case("large", lambda g: g.MatMul(g.input(1, 4), g.weight(4, 4))).model()
    (value,) = model.graph.initializers.values()
    large = np.broadcast_to(np.float32(0), (4, 1 << 29))
    value.const_value, value.shape = Unreadable(large, name=value.name), ir.Shape(large.shape)
    for node in model.graph:
        node.outputs[0].shape = None
    assert not findings(model, "graph/checker-error", "graph/declared-shape-contradicts")


def test_a_parameter_of_a_function_where_there_is_no_function() -> None:
    """An operator of constants, which inference would compute, with an attribute that has no value."""

    def shape(g: CaseBuilder) -> ir.Value:
        made: ir.Value = g.Reshape(g.input(2, 3), g.Cast(g.constant([3, 2]), to=ir.DataType.INT64))
        return made

    model = Case("a parameter", shape).model()
    model.graph[0].attributes["to"] = ir.RefAttr("to", "type", ir.AttributeType.INT)
    assert "run/plugin-failed" not in {each.lint for each in findings(model)}


# ---------------------------------------------------------------- opsets and domains


def test_nodes_of_a_domain_that_is_not_imported() -> None:
    model = Case("none", lambda g: g.Relu(g.input(2))).model()
    del model.graph.opset_imports[""]
    (only,) = [each for each in found(model) if each.severity == "error"]
    assert only.lint == "graph/opset-out-of-range"
    assert "no opset of the domain 'ai.onnx' is imported" in only.message


def test_shapes_of_another_domain_are_inferred_under_its_own_opset() -> None:
    """LabelEncoder of opset 2 of ai.onnx.ml has attributes that opset 4 lacks."""
    text = """<ir_version: 8, opset_import: ["" : 20, "ai.onnx.ml" : 2]>
    net (string[2] x) => (int64[2] y) {
      [a] y = ai.onnx.ml.LabelEncoder <keys_strings = ["a"], values_int64s = [1]> (x)
    }"""
    model = ir.from_proto(onnx.parser.parse_model(text))
    ((_, made),) = infer_anew(model)
    assert isinstance(made, list)
    assert not found(model)


# ---------------------------------------------------------------- weights


def test_equal_weights_in_external_files_are_found(tmp_path: Path) -> None:
    def tied(g: CaseBuilder) -> ir.Value:
        content = g.random.standard_normal((128, 128)).astype(np.float32)
        made: ir.Value = g.MatMul(g.Relu(g.MatMul(g.input(1, 128), g.constant(content))), g.constant(content))
        return made

    path = tmp_path / "net.onnx"
    proto = ir.to_proto(Case("tied", tied).model())
    onnx.save(proto, path, save_as_external_data=True, location="net.onnx.data", size_threshold=0)
    assert names(path) == {"graph/duplicate-initializer"}


def test_weights_that_begin_alike_are_not_equal() -> None:
    def alike(g: CaseBuilder) -> ir.Value:
        content = np.zeros((128, 128), np.float32)
        other = content.copy()
        other[-1, -1] = 1
        made: ir.Value = g.MatMul(g.Relu(g.MatMul(g.input(1, 128), g.constant(content))), g.constant(other))
        return made

    assert not found(Case("alike", alike).model())


def test_taking_weights_off_the_inputs_is_asked_for_and_not_safe() -> None:
    model = lints()["graph/initializer-is-input"].bad_cases[0].model()
    (only,) = found(model)
    assert only.fix is not None
    assert not only.fix.safe


def test_a_large_constant_beside_an_addition_is_not_looked_into() -> None:
    """What is added per element is a weight; a zero or a one for each channel is small."""
    zeros = np.zeros((1, 8, 64, 64), np.float32)
    model = Case(
        "bias", lambda g: g.Neg(g.Add(g.Add(g.input(1, 8, 64, 64), g.constant(zeros)), g.constant(zeros)))
    ).model()
    assert "graph/no-op-chain" not in names(model)


def test_a_clean_model_of_a_spec_is_clean(tmp_path: Path) -> None:
    spec, path = tmp_path / "net.yaml", tmp_path / "net.onnx"
    spec.write_text(SPEC)
    save(build(spec), path)
    assert not found(path)
