"""What the engine holds for every rewrite, whatever the rewrite does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from graphc import laws
from graphc.cases import Case, CaseBuilder
from graphc.errors import GraphcError
from graphc.metadata import REWRITES
from graphc.pipeline import Pipeline, find_rewrite
from graphc.rewriting import Rewrite, rewrite
from graphc.tape import Tape
from graphc.view import Refusal, View

FLOAT = ir.DataType.FLOAT


def applied(model: ir.Model, *names: str | Rewrite) -> ir.Model:
    before = model.clone()
    inputs = laws.feeds(model)
    result = Pipeline([*names])(model).model
    laws.check_valid(result)
    _equal(before, result, inputs)
    return result


def _equal(a: ir.Model, b: ir.Model, inputs: dict[str, np.ndarray]) -> None:
    from graphc.runtime.equivalence import check

    assert check(a, b, inputs=inputs).passed


def ops(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def bn(g: CaseBuilder, x: ir.Value, channels: int) -> ir.Value:
    return g.BatchNormalization(
        x, g.weight(channels), g.weight(channels), g.weight(channels), g.weight(channels, low=0.5)
    )


def test_shared_weights_are_not_overwritten() -> None:
    def build(g: CaseBuilder) -> tuple[ir.Value, ...]:
        x, w = g.input(1, 3, 6, 6), g.weight(3, 3, 3, 3)
        return bn(g, g.Conv(x, w), 3), bn(g, g.Conv(x, w), 3), g.Conv(x, w)

    after = applied(Case("shared", build).model(), "fold-batchnorm-into-conv")
    assert ops(after) == ["Conv", "Conv", "Conv"]
    assert len({node.inputs[1].name for node in after.graph}) == 3


def test_outputs_keep_their_names_and_nodes_their_paths() -> None:
    model = Case("plain", lambda g: bn(g, g.Conv(g.input(1, 3, 6, 6), g.weight(4, 3, 3, 3)), 4)).model()
    model.graph[0].name, model.graph[1].name = "body/conv", "body/norm"
    model.graph[0].doc_string = "net.yaml:3"
    output = model.graph.outputs[0].name
    after = applied(model, "fold-batchnorm-into-conv")
    assert [v.name for v in after.graph.outputs] == [output]
    (node,) = after.graph
    assert node.name == "body/conv"
    assert node.doc_string == "net.yaml:3"
    assert node.metadata_props[REWRITES] == "fold-batchnorm-into-conv"
    assert set(after.graph.initializers) == {"body/conv/weight", "body/conv/bias"}


def test_a_value_that_a_subgraph_captures_stays_alive() -> None:
    text = """
        <ir_version: 10, opset_import: ["": 20]>
        agraph (float[2] x, bool c) => (float[2] y) {
            i = Identity(x)
            y = If(c) <then_branch = t () => (float[2] a) { a = Neg(i) },
                       else_branch = e () => (float[2] b) { b = Identity(i) }>
        }
    """
    after = applied(ir.from_onnx_text(text), "drop-identity")
    assert ops(after) == ["If"]
    then, other = (after.graph[0].attributes[name].as_graph() for name in ("then_branch", "else_branch"))
    assert then[0].inputs[0].name == "x"
    assert [node.op_type for node in other] == ["Identity"], "a branch's output needs a name of its own"


def test_a_match_does_not_reach_through_the_border_of_a_subgraph() -> None:
    text = """
        <ir_version: 10, opset_import: ["": 20]>
        agraph (float[1,2,3,3] x, bool c) => (float[1,2,3,3] y)
        <float[2,2,1,1] w = {1, 2, 3, 4}, float[2] s = {1, 2}, float[2] v = {1, 2}> {
            k = Conv(x, w)
            y = If(c) <then_branch = t () => (float[1,2,3,3] a) { a = BatchNormalization(k, s, s, s, v) },
                       else_branch = e () => (float[1,2,3,3] b) { b = Neg(k) }>
        }
    """
    model = ir.from_onnx_text(text)
    record = Pipeline("fold-batchnorm-into-conv")(model).record
    assert not record.steps[0].fired
    assert "Conv lies outside this subgraph" in [site.reason for site in record.steps[0].refused]


def test_inside_a_function_constants_become_nodes() -> None:
    text = """
        <ir_version: 10, opset_import: ["": 20, "local": 1]>
        agraph (float[1,2,3,3] x) => (float[1,2,3,3] y) { y = local.block(x) }
        <domain: "local", opset_import: ["": 20]>
        block (x) => (y) {
            w = Constant <value = float[2,2,1,1] {1, 2, 3, 4}> ()
            s = Constant <value = float[2] {1, 2}> ()
            k = Conv(x, w)
            y = BatchNormalization(k, s, s, s, s)
        }
    """
    model = ir.from_onnx_text(text)
    before = model.clone()
    after = Pipeline("fold-batchnorm-into-conv{when=always}")(model).model
    (function,) = after.functions.values()
    assert sorted(node.op_type for node in function) == ["Constant", "Constant", "Conv"]
    _equal(before, after, laws.feeds(before))


def test_an_overridable_initializer_is_not_a_constant() -> None:
    def build(g: CaseBuilder) -> ir.Value:
        w = g.overridable(g.weight(4, 3, 3, 3))
        return bn(g, g.Conv(g.input(1, 3, 6, 6), w), 4)

    model = Case("overridable", build).model()
    record = Pipeline("fold-batchnorm-into-conv")(model).record
    assert [site.reason for site in record.steps[0].refused] == ["W of Conv is not a constant"]


def test_the_closed_world_stops_a_careless_rewrite() -> None:
    @rewrite("BatchNormalization", numerics="reassociates")
    def careless(node: View, op: Tape) -> ir.Value:
        for name in ("scale", "B", "input_mean", "input_var"):
            node.constant(name)
        return op.Relu(node.required("X"))

    def build(g: CaseBuilder) -> ir.Value:
        statistics = [g.weight(3), g.weight(3), g.weight(3), g.weight(3, low=0.5)]
        return g.BatchNormalization(g.input(2, 3, 4, 4), *statistics, training_mode=1, outputs=3)[0]

    run = careless()
    assert not run(Case("training", build).model()).modified
    assert [site.reason for site in run.refused] == ["BatchNormalization.training_mode=1 is not accounted for"]


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda op, x: op.Cast(x, to=ir.DataType.DOUBLE.value), "the type would change from FLOAT to DOUBLE"),
        (lambda op, x: op.Transpose(x), r"the shape would change from \[2,3\] to \[3,2\]"),
        (lambda op, x: op.Concat(x, x, axis=7), "Concat would not be valid here"),
        (lambda op, x: op.Gelu(x), "opset 19 has no Gelu"),
    ],
)
def test_what_would_change_type_or_shape_is_refused(build: Callable[[Tape, ir.Value], ir.Value], reason: str) -> None:
    @rewrite("Neg", numerics="exact")
    def wrong(node: View, op: Tape) -> ir.Value:
        return build(op, node.required("X"))

    model = Case("neg", lambda g: g.Neg(g.input(2, 3)), opset=19).model()
    before = ir.to_proto(model)
    with pytest.raises(Refusal, match=reason):
        wrong.propose(model.graph[0], 19, wrong.options)
    assert not wrong()(model).modified
    assert ir.to_proto(model) == before
    assert [use.node.op_type for use in model.graph.inputs[0].uses()] == ["Neg"], "the tape left a user behind"


def test_a_rewrite_that_chases_itself_is_named() -> None:
    @rewrite("Neg", numerics="exact")
    def neg_with_neg(node: View, op: Tape) -> ir.Value:
        return op.Neg(node.required("X"))

    model = Case("neg", lambda g: g.Neg(g.input(2, 3))).model()
    with pytest.raises(GraphcError, match="'neg-with-neg' does not come to an end"):
        neg_with_neg()(model)


def test_nodes_that_the_result_does_not_need_are_never_inserted() -> None:
    @rewrite("Neg", numerics="exact")
    def neg_to_sub(node: View, op: Tape) -> ir.Value:
        x = node.required("X")
        op.Abs(x)
        return op.Sub(op.constant(0, like=x), x)

    after = applied(Case("neg", lambda g: g.Neg(g.input(2, 3))).model(), neg_to_sub)
    assert ops(after) == ["Sub"]


def test_unused_initializers_go_and_used_ones_stay() -> None:
    def build(g: CaseBuilder) -> tuple[ir.Value, ir.Value]:
        w = g.weight(4, 3, 3, 3)
        return bn(g, g.Conv(g.input(1, 3, 6, 6), w), 4), g.Identity(w)

    after = applied(Case("kept", build).model(), "fold-batchnorm-into-conv")
    assert len(after.graph.initializers) == 3


def test_every_node_keeps_a_unique_name_after_many_folds() -> None:
    def build(g: CaseBuilder) -> ir.Value:
        x = g.input(1, 3, 6, 6)
        for _ in range(5):
            x = bn(g, g.Conv(x, g.weight(3, 3, 3, 3), pads=(1, 1, 1, 1)), 3)
        return x

    model = Case("chain", build).model()
    for node in model.graph:
        node.name = "same"
    after = Pipeline("fold-batchnorm-into-conv")(model).model
    names = [node.name for node in after.graph]
    assert len(set(names)) == len(names) == 5


def test_options_are_typed_and_derived_from_the_function() -> None:
    @rewrite("Neg", numerics="exact")
    def with_option(node: View, op: Tape, *, at_least: int = 2) -> ir.Value:
        raise Refusal(f"at_least={at_least}")

    assert with_option.options == {"at_least": 2, "when": "always"}
    run = with_option(**{"at-least": 5})
    run(Case("neg", lambda g: g.Neg(g.input(2, 3))).model())
    assert [site.reason for site in run.refused] == ["at_least=5"]
    with pytest.raises(GraphcError, match="not a int"):
        with_option(at_least="many")


def test_a_declaration_needs_known_numerics() -> None:
    with pytest.raises(ValueError, match="numerics"):
        rewrite("Neg", numerics="roughly")
    with pytest.raises(ValueError, match="bound"):
        rewrite("Neg", numerics="approximates")


def test_old_opsets_are_rewritten_in_their_own_terms() -> None:
    model = Case("old", lambda g: bn(g, g.Conv(g.input(1, 3, 6, 6), g.weight(4, 3, 3, 3)), 4), opset=9).model()
    after = applied(model, "inference")
    assert ops(after) == ["Conv"]
    onnx.checker.check_model(ir.to_proto(after), full_check=True)


def test_subpixel_at_opset_9_needs_no_newer_operator() -> None:
    name = "replace-conv-transpose-with-subpixel-conv"
    case = find_rewrite(name).all_cases()[0]
    model = Case("old", case.build, opset=9).model()
    assert "ConvTranspose" not in ops(applied(model, name))


def in_a_branch(body: str, outer: str = "", captured: str = "x") -> ir.Model:
    """`body` makes `a` of `captured` in the then-branch; `outer` stands in front of the If."""
    return ir.from_onnx_text(f"""
        <ir_version: 10, opset_import: ["": 20]>
        agraph (float[1,2,3,3] x, bool c) => (float[1,2,3,3] y)
        <float[2,2,1,1] w = {{1, 2, 3, 4}}, float[2] s = {{1, 2}}, float[2] v = {{1, 2}}> {{
            {outer}
            y = If(c) <then_branch = t () => (float[1,2,3,3] a) {{ {body} }},
                       else_branch = e () => (float[1,2,3,3] b) {{ b = Neg({captured}) }}>
        }}
    """)


def taking_the_branch(model: ir.Model) -> ir.Model:
    before = model.clone()
    inputs = laws.feeds(model) | {"c": np.asarray(True)}
    result = Pipeline("inference")(model)
    assert result.modified
    laws.check_valid(result.model)
    _equal(before, result.model, inputs)
    return result.model


def test_a_fresh_name_in_a_subgraph_does_not_hide_a_captured_value() -> None:
    model = in_a_branch(
        "k = Conv(x, w) n = BatchNormalization(k, s, s, s, v) a = Add(n, bias)", "bias = Unsqueeze(s, one)"
    )
    one = ir.val("one", const_value=ir.tensor(np.array([1, 2]), name="one"))
    model.graph.register_initializer(one)
    for node in model.graph:
        for value in node.inputs:
            if value is not None and value.name == "one" and value is not one:
                value.replace_all_uses_with(one)
    bias = next(node for node in model.graph if node.op_type == "Unsqueeze").outputs[0]
    bias.name = "conv/bias"
    then = model.graph[-1].attributes["then_branch"].as_graph()
    then[0].name = "conv"
    taking_the_branch(model)


def test_results_keep_names_that_no_other_scope_uses() -> None:
    model = in_a_branch("k = Conv(val_0, w) a = BatchNormalization(k, s, s, s, v)", "val_0 = Neg(x)", "val_0")
    after = taking_the_branch(model)
    assert after.graph[0].outputs[0].name == "val_0"


def test_an_outer_constant_node_may_feed_a_fold_in_a_subgraph() -> None:
    model = in_a_branch(
        "k = Conv(x, w) a = BatchNormalization(k, m, m, m, m)", "m = Constant <value_floats = [1.0, 2.0]> ()"
    )
    taking_the_branch(model)


def test_graph_inputs_keep_their_shapes() -> None:
    text = """
        <ir_version: 10, opset_import: ["": 20]>
        agraph (float[N,3] x) => (float[N,3] y) <float[2,3] i> { i = Identity(x) y = Relu(i) }
    """
    after = Pipeline("drop-identity")(ir.from_onnx_text(text)).model
    assert after.graph.inputs[0].shape == ir.Shape(["N", 3])


def test_a_value_keeps_the_name_of_what_it_replaces() -> None:
    def build(g: CaseBuilder) -> ir.Value:
        return g.Relu(g.Mul(g.Conv(g.input(1, 3, 6, 6), g.weight(4, 3, 3, 3)), g.weight(4, 1, 1)))

    model = Case("inner", build).model()
    name = model.graph[1].outputs[0].name
    after = applied(model, "fold-affine-into-conv")
    assert after.graph[0].outputs[0].name == name


@pytest.mark.parametrize("side", [2, 3])
def test_a_convolution_of_no_channels_is_left_in_peace(side: int) -> None:
    def build(g: CaseBuilder) -> ir.Value:
        empty = g.constant(np.zeros((4, 0, side, side), np.float32))
        return g.Conv(g.Mul(g.input(1, 0, 5, 5), g.weight(1)), empty)

    Pipeline("inference")(Case("empty", build).model())


def test_shape_arithmetic_that_asks_for_much_is_not_done() -> None:
    text = """
        <ir_version: 10, opset_import: ["": 20]>
        agraph (float[N] x) => (int64[M] y)
        <int64 a = {0}, int64 b = {1000000000000}, int64 d = {1}> { y = Range(a, b, d) }
    """
    Pipeline("inference")(ir.from_onnx_text(text))


def test_a_constant_index_out_of_range_is_the_checkers_business() -> None:
    text = """
        <ir_version: 10, opset_import: ["": 20]>
        agraph (float[N] x) => (int64 y) <int64[2] a = {1, 2}, int64 i = {7}> { y = Gather(a, i) }
    """
    Pipeline("inference")(ir.from_onnx_text(text))
