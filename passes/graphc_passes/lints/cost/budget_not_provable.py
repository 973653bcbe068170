"""A budget that is not exceeded, as far as graphc can tell, and may be all the same.

A node without a known cost, a dim of a model without a largest size or without any (of a spec: spec/unbounded-dim),
weights of integers that cannot be told from other constants: what was counted is a lower bound. A measured latency
whose 95 % interval of the median holds the limit is neither within nor over it; a budget on latency is not looked at
without `run`, which is told at the severity info.

Why    a gate that counts the unknown as nothing opens for just the models that it was made for.
"""

from __future__ import annotations

from collections.abc import Iterator

import graphc
from graphc import CaseBuilder, Problem, Subject, lint


@lint(
    category="cost",
    severity="warning",
    help="give every dim a largest size, in the spec or under 'dims' of the settings; have unknown operators costed",
)
def budget_not_provable(subject: Subject) -> Iterator[Problem]:
    for each in graphc.verdicts(subject):
        is_told_elsewhere = each.is_open and subject.network is not None
        if not each.unproven or each.is_broken or is_told_elsewhere:
            continue
        if each.name == "latency" and not subject.settings.run:
            yield Problem(_told(each), at=each.where, limit=each.limit, severity="info", help="measure it with --run")
            continue
        yield Problem(_told(each), at=each.where, measured=each.value, limit=each.limit, help=_help(each))


def _told(each: graphc.Verdict) -> str:
    return f"{each.name} may exceed its budget of {each.shown(each.limit)}: {each.unproven}"


def _help(each: graphc.Verdict) -> str:
    """What helps, where it is not the usual."""
    return "measure on a quiet machine, or set the budget further off" if each.is_noise else ""


@budget_not_provable.bad(budgets={"macs": "200G"}, dims={"batch": {"min": 1}})
def no_largest_size(g: CaseBuilder) -> object:
    return g.Relu(g.Conv(g.input("batch", 8, 8, 8), g.weight(8, 8, 3, 3)))


@budget_not_provable.bad(budgets={"peak-memory": "1GB"})
def no_size_at_all(g: CaseBuilder) -> object:
    return g.Relu(g.Conv(g.input("batch", 8, 8, 8), g.weight(8, 8, 3, 3)))


@budget_not_provable.bad(budgets={"latency": "1s"})
def measured_only_when_asked_for(g: CaseBuilder) -> object:
    return g.Relu(g.Conv(g.input(1, 8, 8, 8), g.weight(8, 8, 3, 3)))


@budget_not_provable.good(budgets={"peak-memory": "1GB", "params": "1k"}, dims={"batch": {"max": 16}})
def a_largest_size(g: CaseBuilder) -> object:
    return g.Relu(g.Conv(g.input("batch", 8, 8, 8), g.weight(8, 8, 3, 3)))


@budget_not_provable.good
def a_dim_that_costs_nothing() -> str:
    return """
        graphc: 1
        dims: {N: 1, H: {min: 8}}
        inputs: {x: "f32[N, 8, H, 16]"}
        outputs: [y]
        nodes: [{id: y, conv: 8}]
        lint: {budgets: {params: 1k, nodes: 10}}
    """
