"""Lints: every one of the registry on its own cases, and the few things that the mechanism promises."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from graphc import Case, CaseBuilder, GraphcError, findings, laws, lint, lints, registry, views
from graphc.linting import Lint

LINTS = lints()
over_lints = pytest.mark.parametrize("each", LINTS.values(), ids=LINTS)


def over_cases(kind: str) -> pytest.MarkDecorator:
    pairs = [
        pytest.param(each, case, id=f"{name}-{case.name}")
        for name, each in LINTS.items()
        for case in getattr(each, f"{kind}_cases")
    ]
    return pytest.mark.parametrize(("each", "case"), pairs)


@over_cases("bad")
def test_bad_case_gives_exactly_this_finding(each: Lint, case: Case) -> None:
    model = case.model()
    laws.check_valid(model)
    (found,) = each(model)
    assert (found.lint, found.severity, found.help) == (each.name, each.severity, each.help)
    assert found.node in [node.name for node in model.graph]


@over_cases("good")
def test_good_case_is_clean(each: Lint, case: Case) -> None:
    laws.check_valid(case.model())
    assert each(case.model()) == ()


@over_cases("bad")
def test_looking_changes_nothing(each: Lint, case: Case) -> None:
    model = case.model()
    before = ir.to_proto(model)
    each(model)
    assert ir.to_proto(model) == before


@over_lints
def test_name_is_one_name(each: Lint) -> None:
    category, defect = each.name.split("/")
    assert category
    assert registry.find(registry.LINTS, defect).attribute() is each
    assert "Why" in each.doc
    assert each.bad_cases
    assert each.good_cases


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
        lint("convolution", severity="dreadful", help="")


def test_views_reach_into_subgraphs() -> None:
    branch = ir.Graph([], [], nodes=[ir.node("Neg", [ir.val("x")], name="inner")], name="branch")
    branch.outputs.append(branch[0].outputs[0])
    other = ir.Graph([], [], nodes=[ir.node("Abs", [ir.val("x")], name="else")], name="other")
    other.outputs.append(other[0].outputs[0])
    fork = ir.node("If", [ir.val("c")], {"then_branch": branch, "else_branch": other}, name="fork")
    graph = ir.Graph(list(fork.inputs), fork.outputs, nodes=[fork], opset_imports={"": 20}, name="main")
    found = [view.node.name for view in views(ir.Model(graph, ir_version=10), "Neg", "If")]
    assert found == ["fork", "inner"]
