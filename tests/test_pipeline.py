"""Pipelines: the text form, what may stand in one, and the record of a run."""

from __future__ import annotations

import onnx_ir as ir
import pytest
from onnx_ir.passes.common import CommonSubexpressionEliminationPass

from graphc.analysis.summary import summarise
from graphc.cases import Case, CaseBuilder
from graphc.errors import GraphcError
from graphc.metadata import COST
from graphc.pipeline import Pipeline, find_rewrite, named_pipelines, onnx_ir_passes, parse, pass_names


def network(g: CaseBuilder) -> ir.Value:
    conv = g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3))
    bn = g.BatchNormalization(conv, g.weight(4), g.weight(4), g.weight(4), g.weight(4, low=0.5))
    return g.Relu(g.Dropout(g.Identity(bn)))


def model() -> ir.Model:
    return Case("network", network).model()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", [("a", {})]),
        ("a,b", [("a", {}), ("b", {})]),
        (" a , b {x=1} ", [("a", {}), ("b", {"x": 1})]),
        ("a{x=1,y=text,z=0.5,w=true},b", [("a", {"x": 1, "y": "text", "z": 0.5, "w": True}), ("b", {})]),
        ("a{}", [("a", {})]),
        ("", []),
    ],
)
def test_parse(text: str, expected: list[tuple[str, dict[str, object]]]) -> None:
    assert list(parse(text)) == expected


@pytest.mark.parametrize("text", ["a,", "a,,b", "a b", "a{x=1", "a}", "{x=1}", "a{{x=1}}", ",a"])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(GraphcError, match="is not a list of passes"):
        list(parse(text))


@pytest.mark.parametrize("text", ["a{x}", "a{=1}"])
def test_parse_refuses_what_is_no_option(text: str) -> None:
    with pytest.raises(GraphcError, match="is not an option") as error:
        list(parse(text))
    assert error.value.code == "spec/unknown-pass-option"


def test_a_named_pipeline_may_stand_wherever_a_text_is_taken() -> None:
    inference = [repr(each) for each in Pipeline("inference").passes]
    assert inference == [name for name, _ in parse(named_pipelines()["inference"])]
    assert repr(Pipeline("inference,name-fix")) == ",".join([*inference, "name-fix"])


def test_everything_that_is_listed_can_be_made() -> None:
    for name in pass_names():
        assert Pipeline(name).passes


def test_a_list_takes_rewrites_texts_mappings_and_onnx_ir_passes() -> None:
    pipeline = Pipeline(
        [
            find_rewrite("drop-identity"),
            "drop-dropout,drop-identity",
            {"fold-batchnorm-into-conv": {"when": "always"}},
            CommonSubexpressionEliminationPass(),
        ]
    )
    assert repr(pipeline) == (
        "drop-identity,drop-dropout,drop-identity,fold-batchnorm-into-conv,common-subexpression-elimination"
    )


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("fold-batchnorm-into-cnv", "unknown pass", "did you mean 'fold-batchnorm-into-conv'?"),
        ("drop-identity{whne=always}", "has no option 'whne'", "did you mean 'when'?"),
        ("drop-identity{when=sometimes}", "is 'sometimes'", "cheaper or always"),
        ("drop-identity{when=3}", "not a str", "its default is 'cheaper'"),
        ("inference{x=1}", "takes no options", ""),
        ("name-fix{x=1}", "name-fix", ""),
    ],
)
def test_mistakes_say_what_to_do(text: str, message: str, hint: str) -> None:
    with pytest.raises(GraphcError, match=message) as error:
        Pipeline(text)
    assert error.value.hint == hint
    assert error.value.code in ("spec/unknown-pass", "spec/unknown-pass-option")


def test_something_that_is_no_pass_is_refused() -> None:
    with pytest.raises(GraphcError, match="42 is not a pass"):
        Pipeline([42])


def test_the_record_says_what_fired_what_refused_and_the_cost() -> None:
    result = Pipeline("inference")(model())
    assert result.modified
    assert [node.op_type for node in result.model.graph] == ["Conv", "Relu"]
    assert {name: count for name, count in result.record.fired.items() if count} == {
        "drop-dropout": 1,
        "drop-identity": 1,
        "fold-batchnorm-into-conv": 1,
    }
    step = next(step for step in result.record.steps if step.name == "fold-batchnorm-into-conv")
    assert step.before.nodes - step.after.nodes == 1
    assert step.before.forward.cost.bytes > step.after.forward.cost.bytes
    assert step.after.parameters == 4 * 3 * 9 + 4
    assert result.record.numerics == "reassociates"
    refusing = next(step for step in result.record.steps if step.name == "fold-pad-into-conv")
    assert [site.reason for site in refusing.refused] == ["the input of Conv does not come from Pad"]


def test_numerics_of_a_run_that_changed_nothing_inexactly() -> None:
    assert Pipeline("drop-dropout,drop-identity")(model()).record.numerics == "exact"
    assert Pipeline([])(model()).record.numerics == "exact"
    assert Pipeline("common-subexpression-elimination")(model()).record.numerics == "exact"


def test_a_pipeline_is_an_onnx_ir_pass() -> None:
    manager = ir.passes.PassManager([Pipeline("drop-identity"), CommonSubexpressionEliminationPass()], steps=2)
    result = manager(model())
    assert result.modified
    assert "Identity" not in [node.op_type for node in result.model.graph]


def test_callbacks_see_every_step() -> None:
    seen: list[tuple[str, str, int]] = []
    Pipeline(
        "drop-dropout,drop-identity",
        before_step=lambda name, m: seen.append(("before", name, len(m.graph))),
        after_step=lambda name, m: seen.append(("after", name, len(m.graph))),
    )(model())
    assert seen == [
        ("before", "drop-dropout", 5),
        ("after", "drop-dropout", 4),
        ("before", "drop-identity", 4),
        ("after", "drop-identity", 3),
    ]


def test_options_of_other_passes_are_written_with_hyphens() -> None:
    (made,) = Pipeline("common-subexpression-elimination{size-limit=5}").passes
    assert made.size_limit == 5  # type: ignore[attr-defined]


def test_no_passes_are_no_steps() -> None:
    record = Pipeline([])(model()).record
    assert record.steps == ()
    assert record.before == record.after


def test_a_pass_that_fails_is_a_clear_error() -> None:
    class BrokenPass(ir.passes.InPlacePass):
        def call(self, model: ir.Model) -> ir.passes.PassResult:
            raise KeyError("boom")

    with pytest.raises(GraphcError, match="pass 'broken' failed: 'boom'"):
        Pipeline([BrokenPass()])(model())


def test_other_passes_are_told_from_rewrites() -> None:
    steps = Pipeline("drop-identity,common-subexpression-elimination")(model()).record.steps
    assert [step.is_rewrite for step in steps] == [True, False]


def test_onnx_ir_passes_go_by_their_names() -> None:
    assert onnx_ir_passes()["common-subexpression-elimination"] is CommonSubexpressionEliminationPass


def test_totals_know_the_forms_of_symbolic_sizes_and_every_graph() -> None:
    wide = Case("wide", lambda g: g.Conv(g.input(1, 3, "2*H", "H/2"), g.weight(4, 3, 1, 1))).model()
    wide.metadata_props["graphc.dims"] = '{"H": {"min": 8, "opt": 16, "max": 64}}'
    found = summarise(wide).forward
    assert found.complete
    assert found.cost.mac == 4 * 3 * 32 * 8
    branches = ir.from_onnx_text("""
        <ir_version: 10, opset_import: ["": 20]>
        agraph (float[2] x, bool c) => (float[2] y) {
            y = If(c) <then_branch = t () => (float[2] a) <float[2] w = {1, 2}> { a = Add(x, w) },
                       else_branch = e () => (float[2] b) { b = Neg(x) }>
        }
    """)
    counted = summarise(branches)
    assert (counted.nodes, counted.parameters, counted.weight_bytes) == (3, 2, 8)


def test_training_cost_annotates_and_keeps_its_report() -> None:
    result = Pipeline("training-cost,drop-identity")(model())
    report = result.record.steps[0].report
    assert report.totals.forward.mac == 4 * 3 * 9 * 36  # type: ignore[attr-defined]
    conv = next(node for node in result.model.graph if node.op_type == "Conv")
    assert "forward" in conv.metadata_props[COST]
