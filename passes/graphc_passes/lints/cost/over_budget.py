"""A model that costs more than its budgets allow: parameters, nodes, multiply-adds of a direction, memory, time.

Dims with a range are looked at where all are least, as preferred and largest, and the worst of these is told; a
training step where they are as preferred, with the batch of `train:`. A part that is not known counts as nothing, so
what is told is exceeded for sure. A latency is measured, with `run`, and exceeds its budget where the whole 95 %
interval of its median does.

Why    a budget is what the device, the frame rate or the training machine leaves; what exceeds it is found after the
       work, on the device, if not here.
"""

from __future__ import annotations

from collections.abc import Iterator

import graphc
from graphc import CaseBuilder, Problem, Subject, lint


@lint(category="cost", severity="error", help="make the network smaller, or raise the budget")
def over_budget(subject: Subject) -> Iterator[Problem]:
    for each in graphc.verdicts(subject):
        if each.is_broken:
            yield Problem(_told(each), at=each.where, measured=each.value, limit=each.limit)


def _told(each: graphc.Verdict) -> str:
    point = ", ".join(f"{name}={size}" for name, size in each.sizes.items())
    at = f" at {point}" if point else ""
    return f"{each.name} {each.shown(each.value)}{at}: {_excess(each)} the budget of {each.shown(each.limit)}"


def _excess(each: graphc.Verdict) -> str:
    if each.value >= 2 * each.limit:
        return f"{each.value / each.limit:.3g} times" if each.limit else "over"
    return f"{100 * (each.value - each.limit) / each.limit:.3g} % over"


def _layer(g: CaseBuilder) -> object:
    return g.Relu(g.Conv(g.input(1, 3, 8, 8), g.weight(8, 3, 3, 3)))


@over_budget.bad(budgets={"params": 100})
def more_parameters_than_allowed(g: CaseBuilder) -> object:
    return _layer(g)


@over_budget.bad(budgets={"macs": "1k"})
def more_work_than_allowed(g: CaseBuilder) -> object:
    return _layer(g)


@over_budget.bad(budgets={"file-size": 100})
def a_larger_file_than_allowed(g: CaseBuilder) -> object:
    return _layer(g)


@over_budget.bad
def only_at_the_largest_size() -> str:
    return """
        graphc: 1
        dims: {N: 1, H: {min: 8, opt: 16, max: 64}}
        inputs: {x: "f32[N, 8, H, 16]"}
        outputs: [y]
        nodes: [{id: y, conv: 8}]
        lint: {budgets: {macs: 200k}}
    """


@over_budget.good(budgets={"params": 216, "nodes": 2, "macs": 7776, "file-size": "10kB"})
def just_within(g: CaseBuilder) -> object:
    return g.Relu(g.Conv(g.input(1, 3, 8, 8), g.weight(8, 3, 3, 3)))
