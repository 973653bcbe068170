"""How the costs of two models differ, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator

from graphc.analysis.cost_diff import CostDiff, Measure, NodeChange, Threshold, unit
from graphc.analysis.cost_report import QUANTITIES
from graphc.costs import Cost
from graphc.report.page import Page
from graphc.report.quantity import change, plural
from graphc.report.sheet import SETTERS, Cell, Count, Name, Sheet, Table

SHOWN = ("macs", "bytes")  # of each node


def printed(found: CostDiff, before: str, after: str, format: str, top: int) -> str:
    """The differences in one of the formats; `top` nodes in those for people."""
    if format == "json":
        return Page("", {"before": before, "after": after, **found.as_json()}).printed("json")
    return SETTERS[format](sheet(found, before, after, top))


def sheet(found: CostDiff, before: str, after: str, top: int) -> Sheet:
    """The measures that differ, the nodes that do, and what fails."""
    differing = [name for name in found.before if found.before[name] != found.after[name]]
    facts, tables = [], []
    if differing:
        rows = [_row(name, found.before[name], found.after[name]) for name in differing]
        same = len(found.before) - len(differing)
        notes = [f"{plural(same, 'measure')} as before"] if same else []
        tables.append(Table("measures", ("", "before", "after", "change"), rows, "<>>>", notes))
    if found.nodes:
        tables.append(_nodes(found.nodes, top))
    if found.failed:
        tables.append(Table("failed", (), [(each.text, _reason(each, found)) for each in found.failed], "<<"))
    if not differing:
        facts.append("nothing differs" if not found.nodes else "no measure differs")
    return Sheet(f"{before} → {after}", facts, tables)


def _row(name: str, before: Measure, after: Measure) -> list[Cell]:
    known = before.complete and after.complete
    counts = [Count(each.value, unit(name), not each.complete) for each in (before, after)]
    return [name, *counts, change(before.value, after.value) if known else ""]


def _nodes(nodes: tuple[NodeChange, ...], top: int) -> Table:
    rows: list[list[Cell]] = [[*_cells(each), _what(each), Name(each.name, each.op_type)] for each in nodes[:top]]
    notes = [f"{plural(len(nodes) - top, 'more node')}"] if len(nodes) > top else []
    head = (*(f"{quantity} {when}" for quantity in SHOWN for when in ("before", "after")), "", "node")
    return Table("nodes that differ, in a training step", head, rows, ">>>><<", notes)


def _cells(each: NodeChange) -> Iterator[Cell]:
    for quantity in SHOWN:
        for cost in (each.before, each.after):
            yield _count(cost, quantity)


def _count(cost: Cost | None, quantity: str) -> Cell:
    return "" if cost is None else Count(QUANTITIES[quantity](cost), unit(quantity))


def _what(each: NodeChange) -> str:
    if each.before is None:
        return "added"
    return "removed" if each.after is None else ""


def _reason(threshold: Threshold, found: CostDiff) -> str:
    before, after = found.before[threshold.measure], found.after[threshold.measure]
    if not (before.complete and after.complete):
        return "a part is not known, so nothing can be said"
    counts = (Count(each.value, unit(threshold.measure)).exact for each in (before, after))
    relative = change(before.value, after.value)
    return " → ".join(counts) + (f", {relative}" if relative else "")
