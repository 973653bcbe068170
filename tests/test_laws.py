"""The generated laws: every rewrite of the registry on each of its cases."""

from __future__ import annotations

from functools import cache

import pytest

from graphc import laws, registry
from graphc.cases import Case, neighbours
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
    laws.neighbours_stay_right(rewrite, case)


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
    cases = rewrite.all_cases()
    assert any(case.refuses is None for case in cases)
    assert any(case.refuses for case in cases)
    assert len({case.name for case in cases}) == len(cases), "case names are test ids"


@over_rewrites
def test_neighbours_are_not_all_refused(rewrite: Rewrite) -> None:
    """A law over neighbours says nothing unless some of them fire."""
    case = next(case for case in rewrite.all_cases() if case.refuses is None)
    assert sum(1 for _ in neighbours(case)) > 5
    assert laws.neighbours_stay_right(rewrite, case) > 0


@over_rewrites
def test_name_is_one_name(rewrite: Rewrite) -> None:
    entry = registry.find(registry.PASSES, rewrite.name)
    assert entry.attribute() is rewrite
    assert "Law" in rewrite.doc
    assert "Why" in rewrite.doc
