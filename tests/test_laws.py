"""The generated laws: every rewrite of the registry on each of its cases."""

from __future__ import annotations

from functools import cache

import onnx_ir as ir
import pytest

import graphc
from graphc import laws, registry
from graphc.cases import Case
from graphc.pipeline import find_rewrite, rewrites
from graphc.rewriting import Rewrite

NAMES = sorted(rewrites())


@cache
def all_cases(name: str) -> tuple[Case, ...]:
    return tuple(find_rewrite(name).all_cases())


def over_cases(*, firing: bool | None = None) -> pytest.MarkDecorator:
    pairs = [
        pytest.param(find_rewrite(name), case, id=f"{name}-{case.name}")
        for name in NAMES
        for case in all_cases(name)
        if firing is None or firing == (case.refuses is None)
    ]
    return pytest.mark.parametrize(("rewrite", "case"), pairs)


over_rewrites = pytest.mark.parametrize("rewrite", [find_rewrite(name) for name in NAMES], ids=NAMES)


@over_cases(firing=True)
def test_fires(rewrite: Rewrite, case: Case) -> None:
    laws.fires(rewrite, case)


@over_cases(firing=True)
def test_keeps_the_interface(rewrite: Rewrite, case: Case) -> None:
    laws.keeps_the_interface(rewrite, case)


@over_cases(firing=True)
def test_keeps_the_function(rewrite: Rewrite, case: Case) -> None:
    laws.keeps_the_function(rewrite, case)


@over_cases(firing=True)
def test_improves(rewrite: Rewrite, case: Case) -> None:
    laws.improves(rewrite, case)


@over_cases()
def test_neighbours_stay_right(rewrite: Rewrite, case: Case) -> None:
    """Of the first firing case some must fire, or the law says nothing."""
    fired = laws.neighbours_stay_right(rewrite, case)
    first = next(each for each in all_cases(rewrite.name) if each.refuses is None)
    assert fired or case is not first, "every neighbour is refused"


@over_cases(firing=False)
def test_refuses(rewrite: Rewrite, case: Case) -> None:
    laws.refuses(rewrite, case)


@over_cases(firing=False)
def test_conditions_are_needed(rewrite: Rewrite, case: Case) -> None:
    laws.conditions_are_needed(rewrite, case)


@over_rewrites
def test_conditions_have_cases(rewrite: Rewrite) -> None:
    laws.conditions_have_cases(rewrite)


@over_rewrites
def test_has_firing_and_refusing_cases(rewrite: Rewrite) -> None:
    laws.has_cases(rewrite)
    assert any(case.refuses for case in rewrite.all_cases())


@over_rewrites
def test_states_its_law(rewrite: Rewrite) -> None:
    laws.states_its_law(rewrite)


@over_rewrites
def test_name_is_one_name(rewrite: Rewrite) -> None:
    entry = registry.find(registry.PASSES, rewrite.name)
    assert entry.attribute() is rewrite


def test_a_rewrite_without_cases_or_law_breaks_the_laws() -> None:
    @graphc.rewrite("Neg", numerics="exact")
    def neg_with_relu(node: graphc.View, op: graphc.Tape) -> ir.Value:
        return op.Relu(node.required("X"))

    assert {law for law, _, _ in laws.violations(neg_with_relu)} == {"has_cases", "states_its_law"}


def test_a_rewrite_that_leans_on_an_unread_producer_breaks_law_4() -> None:
    @graphc.rewrite("Relu", numerics="exact")
    def relu_with_abs(node: graphc.View, op: graphc.Tape) -> ir.Value:
        return op.Abs(node.required("X"))

    case = Case("positive", lambda g: g.Relu(g.Exp(g.input(4))))
    laws.keeps_the_function(relu_with_abs, case)
    with pytest.raises(AssertionError, match="neighbour 'n0_exp is an input'"):
        laws.neighbours_stay_right(relu_with_abs, case)


def test_more_results_than_outputs_and_unknown_roots_are_mistakes() -> None:
    @graphc.rewrite("Neg", numerics="exact")
    def many(node: graphc.View, op: graphc.Tape) -> tuple[ir.Value, ...]:
        return (node.required("X"),) * 3

    with pytest.raises(TypeError, match="3 results for a Neg with 1 outputs"):
        many()(Case("neg", lambda g: g.Relu(g.Neg(g.Abs(g.input(4))))).model())
    with pytest.raises(ValueError, match="did you mean 'Neg'"):
        graphc.rewrite("Negg", numerics="exact")
