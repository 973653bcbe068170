"""Lints: every one of the registry on its own cases, and the few things that the mechanism promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
import onnx.parser
import onnx_ir as ir
import pytest

from graphc import Case, CaseBuilder, GraphcError, findings, lint, lints, neighbours, registry
from graphc.linting.engine import found_in, settings_of
from graphc.linting.finding import NOT_ANALYSED
from graphc.linting.identity import path_of
from graphc.linting.lint import Lint, LintCase

ROOT = Path(__file__).parents[1]
LINTS = lints()
over_lints = pytest.mark.parametrize("each", LINTS.values(), ids=LINTS)


def over_cases(kind: str, *makes: str) -> pytest.MarkDecorator:
    pairs = [
        pytest.param(each, case, id=f"{name}-{case.name}")
        for name, each in LINTS.items()
        for case in getattr(each, f"{kind}_cases")
        if not makes or case.kind in makes
    ]
    return pytest.mark.parametrize(("each", "case"), pairs)


@over_cases("bad")
def test_bad_case_gives_exactly_this_finding(each: Lint, case: LintCase, tmp_path: Path) -> None:
    found = found_in(case, tmp_path)
    assert [finding.lint for finding in found] == [each.name], "\n".join(map(str, found))
    (only,) = found
    assert only.message
    assert only.help
    if case.kind == "model":
        assert only.node in ("", *places(case.model()))


def places(model: ir.Model) -> list[str]:
    """What a finding in a model may be called by: nodes and values."""
    values = [*model.graph.inputs, *model.graph.initializers.values(), *(v for n in model.graph for v in n.outputs)]
    return [*map(path_of, model.graph), *(str(value.name) for value in values)]


@over_cases("good")
def test_good_case_is_clean(each: Lint, case: LintCase, tmp_path: Path) -> None:
    found = found_in(case, tmp_path)
    assert not found, "\n".join(map(str, found))


@over_cases("bad", "model")
def test_looking_changes_nothing(each: Lint, case: LintCase) -> None:
    model = case.model()
    before = ir.to_proto(model)
    findings(model, each.name)
    assert ir.to_proto(model) == before


@over_lints
def test_name_is_one_name(each: Lint) -> None:
    category, defect = each.name.split("/")
    assert category
    assert registry.find(registry.LINTS, defect).attribute() is each
    assert "Why" in each.doc
    assert bool(each.bad_cases) == bool(each.good_cases) == (not each.shown_by), (
        "cases, or the test that stands for them"
    )
    test = ROOT / each.shown_by.partition(":")[0]
    assert not each.shown_by or each.name.partition("/")[2] in test.read_text("utf-8")


def two_defects(g: CaseBuilder) -> object:
    up = g.ConvTranspose(g.input(1, 4, 8, 8), g.weight(4, 4, 3, 3), g.weight(4), strides=(2, 2))
    return g.InstanceNormalization(up, g.weight(4), g.weight(4))


def test_findings_of_all_lints_and_of_one() -> None:
    model = Case("two defects", two_defects).model()
    names = [found.lint for found in findings(model)]
    assert names == ["convolution/bias-before-norm", "convolution/checkerboard"]
    (only,) = findings(model, "convolution/checkerboard")
    assert "2, 1 taps" in only.message


def test_unknown_lint_is_told_with_the_nearest_name() -> None:
    with pytest.raises(GraphcError, match="convolution/checkerbord") as caught:
        findings(Case("two defects", two_defects).model(), "convolution/checkerbord")
    assert caught.value.code == "run/unknown-selector"
    assert "convolution/checkerboard" in caught.value.hint


def test_an_unknown_severity_is_the_authors_mistake() -> None:
    with pytest.raises(ValueError, match="severity"):
        lint("Conv", category="convolution", severity="dreadful", help="")


# ---------------------------------------------------------------- a lint never raises


def neighbourhood(case: Case) -> Iterator[ir.Model]:
    """The case perturbed, valid or not: its neighbours, and every node with less, or with parameters for values."""
    yield from (neighbour.model for neighbour in neighbours(case))
    for index in range(len(case.model().graph)):
        for change in (without_inputs, without_outputs, without_attributes, with_parameters):
            model = case.model()
            change(model.graph[index])
            yield model


def without_inputs(node: ir.Node) -> None:
    node.resize_inputs(0)


def without_outputs(node: ir.Node) -> None:
    for value in node.outputs:
        value.replace_all_uses_with(ir.val("elsewhere"), replace_graph_outputs=True)
    node.resize_outputs(0)


def without_attributes(node: ir.Node) -> None:
    node.attributes.clear()


def with_parameters(node: ir.Node) -> None:
    """Every attribute as the body of a function may have it: a name that stands for a value."""
    schema = onnx.defs.get_schema(node.op_type, node.domain)
    for name, declared in schema.attributes.items():
        kind = ir.AttributeType(declared.type.value)
        node.attributes[name] = ir.RefAttr(name, f"parameter_{name}", kind)


@over_cases("bad", "model")
def test_no_neighbour_of_a_bad_case_makes_it_raise(each: Lint, case: LintCase) -> None:
    assert each.name in seen_nearby(each, case) or each.look is None


@over_cases("good", "model")
def test_no_neighbour_of_a_good_case_makes_it_raise(each: Lint, case: LintCase) -> None:
    seen_nearby(each, case)


def seen_nearby(each: Lint, case: LintCase) -> set[str]:
    """What the lint says of the neighbours of a case: its own name, and that it could not finish, nothing else.

    Some of them are no models, which their readers say.
    """
    found = {
        finding.lint
        for model in neighbourhood(Case(case.name, case.build))
        for finding in findings(model, each.name, settings=settings_of(case))
        if finding.lint != "graph/dangling-input"
    }
    assert found <= {each.name, NOT_ANALYSED}
    return found


FUNCTION = """<ir_version: 8, opset_import: ["" : 20, "d" : 1]>
g (float[1, 4, 8, 8] x, float[4, 2, 3, 3] w, bool c) => (y) {{
  z = If (c) <then_branch = t () => (a) {{ a = ConvTranspose <strides = [2, 2]> (x, w) }},
              else_branch = e () => (b) {{ b = ConvTranspose <strides = [1, 1]> (x, w) }}>
  y = d.up <s = [2, 2]> (z, w)
}}
<domain: "d", opset_import: ["" : 20]>
up <s> (x, w) => (y) {{ y = ConvTranspose <{attributes}> (x, w) }}
"""


def test_what_cannot_be_read_is_a_finding_and_the_rest_is_looked_at() -> None:
    text = FUNCTION.format(attributes="strides: ints = @s, kernel_shape = [3, 3]")
    found = findings(ir.from_proto(onnx.parser.parse_model(text)), "convolution/checkerboard")
    assert {finding.lint for finding in found} == {"convolution/checkerboard", NOT_ANALYSED}
    (unfinished,) = (finding.message for finding in found if finding.lint == NOT_ANALYSED)
    assert "convolution/checkerboard could not be finished" in unfinished
    assert "strides is a parameter of a function" in unfinished


def test_lints_reach_into_subgraphs_and_functions() -> None:
    text = FUNCTION.format(attributes="strides = [2, 2], kernel_shape = [3, 3]")
    found = findings(ir.from_proto(onnx.parser.parse_model(text)), "convolution/checkerboard")
    assert [finding.lint for finding in found] == ["convolution/checkerboard"] * 2


def test_sizes_made_to_fill_the_memory_are_not_analysed() -> None:
    (found,) = findings(
        Case("huge", lambda g: g.ConvTranspose(g.input(1, 1, 8), g.weight(1, 1, 3), strides=(1 << 40,))).model(),
        "convolution/checkerboard",
    )
    assert found.lint == NOT_ANALYSED
