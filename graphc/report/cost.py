"""What a training step or an inference costs: pages of tables, CSV, and JSON of schema 1.

With a device also the least time that it takes there: the sum of each node's roofline bound, never a prediction.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from graphc.analysis.conventions import CONVENTIONS, Convention, Projection
from graphc.analysis.cost_report import DIRECTIONS, QUANTITIES, CostReport, NodeCost
from graphc.analysis.roofline import Bound, Device, bounds
from graphc.costs import Cost
from graphc.errors import clean
from graphc.report.build import named
from graphc.report.cost_rows import By, Row, Sort, arranged, rows, together
from graphc.report.page import Page
from graphc.report.quantity import plural, quantity
from graphc.report.sheet import SETTERS, Bar, Cell, Count, Name, Sheet, Table

Format: TypeAlias = Literal["text", "json", "csv", "md", "html"]

UNITS = {"multiply-adds": "MAC", "operations": "FLOP"}  # of conventions
UNIT_OF = {"flops": "FLOP", "bytes": "B"}  # of quantities; the others are MAC
WORDS = {"forward": "forward", "filter_grad": "to filter", "input_grad": "to input"}
NARROW, WIDE = 6, 12  # bars: with all directions beside them, 80 columns have room for the beginning of a name
NOUNS: Mapping[By, str] = {"node": "node", "block": "block", "op": "operator"}
USUAL: Mapping[By, Sort] = {"node": "total", "block": "order", "op": "total"}
NODES, BLOCKS, UNCOSTED = 10, 40, 20  # rows of an overview
LIMITS = ("compute", "memory", "overhead")  # what bounds a node
TIMES = (("s", 1), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))
FORMULA = ("=", "+", "-", "@")  # with what a spreadsheet begins one


@dataclass(frozen=True)
class Roof:
    """The device that bounds the time from below, and the precision of its peak."""

    device: Device
    precision: str = "fp32"

    def bounds(self, report: CostReport, nodes: Iterable[NodeCost]) -> list[Bound]:
        """Those of some of the report's nodes, in every direction.

        Raises GraphcError (run/usage) for a precision that the device does not have.
        """
        return list(bounds(replace(report, nodes=tuple(nodes)), self.device, self.precision))

    def least(self, report: CostReport, row: Row) -> tuple[float | None, str]:
        """Seconds in all directions, None where nothing is known, and what bounds them, most of it first."""
        found = self.bounds(report, row.nodes)
        by = {limit: _seconds(bound for bound in found if bound.by == limit) for limit in LIMITS}
        seconds = None if row.reasons and not found else _seconds(found)
        return seconds, ", ".join(sorted(filter(by.__getitem__, by), key=by.__getitem__, reverse=True))


@dataclass(frozen=True)
class View:
    """How to look at a report. Without `by` it is an overview: the blocks (or operators), and the costliest nodes.

    With a `roof`, also at the least time that the report's work takes under it.
    """

    convention: Convention = CONVENTIONS["macs"]
    by: By | None = None
    depth: int = 1
    sort: Sort | None = None
    top: int | None = None
    roof: Roof | None = None


def printed(report: CostReport, source: str, view: View, format: Format) -> str:
    """The report of that source, in one of the formats."""
    if format == "json":
        return Page("", as_json(report, view.convention, view.roof)).printed("json")
    if format == "csv":
        return as_csv(report, view)
    return SETTERS[format](sheet(report, source, view))


# ---------------------------------------------------------------- for programs


def as_json(report: CostReport, convention: Convention, roof: Roof | None = None) -> dict[str, Any]:
    """The report's own JSON; what a convention counts that is not in it stands beside, under the convention's name.

    With a roof, under "roofline": seconds at best, intensities in operations per byte.
    """
    value = report.as_json()
    if roof is not None:
        value["roofline"] = _roofline(report, roof)
    if _is_in(QUANTITIES, convention):
        return value
    value["unit"] += f"; {convention.name}: {convention.unit}"
    value["totals"][convention.name] = convention.totals(report)
    for entry, node in zip(value["nodes"], report.nodes, strict=True):
        entry[convention.name] = {direction: convention.of(node, direction) for direction in DIRECTIONS}
    return value


def _roofline(report: CostReport, roof: Roof) -> dict[str, Any]:
    found = roof.bounds(report, report.nodes)
    return {
        "device": roof.device.name,
        "precision": roof.precision,
        "seconds": {each: _seconds(bound for bound in found if bound.direction == each) for each in DIRECTIONS},
        "nodes": [
            {
                "name": bound.node,
                "direction": bound.direction,
                "intensity": bound.intensity,
                "seconds": bound.seconds,
                "by": bound.by,
            }
            for bound in found
        ],
    }


def as_csv(report: CostReport, view: View) -> str:
    """One line per node, block or operator: every quantity in every direction, empty where it is not known.

    With a roof, also the least seconds in all directions, and what bounds them.
    """
    by = view.by or "node"
    found, _ = arranged(rows(report, view.convention, by, view.depth), view.sort or "order", view.top)
    columns = [(f"{each}_{name}", each, of) for name, _, of in _quantities(view.convention) for each in DIRECTIONS]
    timing = ("seconds", "bound_by") if view.roof is not None else ()
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["name", "op_type", "nodes", *(name for name, _, _ in columns), *timing, "uncosted"])
    for row in found:
        operators = {node.op_type for node in row.nodes}
        op_type = operators.pop() if len(operators) == 1 else ""
        counts = [_known(row, direction, of) for _, direction, of in columns]
        least = view.roof.least(report, row) if view.roof is not None else ()
        writer.writerow([_plain(row.name), _plain(op_type), len(row.nodes), *counts, *least, _plain(row.reasons)])
    return out.getvalue()


def _is_in(quantities: Collection[str], convention: Convention) -> bool:
    """Whether the convention is one of the quantities: `effective` is `effective_macs`."""
    return convention.name in quantities or f"{convention.name}_macs" in quantities


def _quantities(convention: Convention) -> list[tuple[str, str, Projection]]:
    """(name, unit, projection) of every quantity, and of the convention if it is none of them."""
    found = [(name, UNIT_OF.get(name, "MAC"), _projection(of)) for name, of in QUANTITIES.items()]
    if not _is_in(QUANTITIES, convention):
        found.append((convention.name, UNITS[convention.unit], convention.of))
    return found


def _projection(of: Callable[[Cost], int]) -> Projection:
    return lambda node, direction: of(getattr(node, direction))


def _known(row: Row, direction: str, of: Projection) -> int | str:
    count = sum(of(node, direction) for node in row.nodes)
    return "" if row.reasons and not count else count


def _plain(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    cleaned = clean(text)
    return f"'{cleaned}" if cleaned.startswith(FORMULA) else cleaned


# ---------------------------------------------------------------- for people


def sheet(report: CostReport, source: str, view: View) -> Sheet:
    """The totals, the memory, the tables that the view asks for, and what is not in them."""
    tables = [_totals(report, view), _memory(report)]
    if view.roof is not None:
        tables.append(_at_best(report, view.roof))
        if view.by is None:
            tables.append(_slowest(report, view.roof, view.top or NODES))
    if view.by is not None:
        tables.append(_table(report, view, view.by, view.sort or USUAL[view.by], view.top))
    else:
        coarse: By = "block" if any(node.block for node in report.nodes) else "op"
        tables.append(_table(report, view, coarse, USUAL[coarse], BLOCKS))
        tables.append(_table(report, view, "node", view.sort or USUAL["node"], view.top or NODES))
    if report.uncosted:
        tables.append(_uncosted(report))
    what = "a training step" if report.training else "an inference"
    return Sheet(f"{source}: {what}", tuple(_facts(report)), tables)


def _facts(report: CostReport) -> Iterator[str]:
    if report.inputs:
        yield ", ".join(f"{name} {'×'.join(map(str, shape)) or 'scalar'}" for name, shape in report.inputs)
    if report.training:
        yield "with its loss" if report.has_loss else "without a loss: the gradient is that of the sum of the outputs"
    if report.dead:
        runs = "feeds no output and does not run" if len(report.dead) == 1 else "feed no output and do not run"
        yield f"{plural(len(report.dead), 'node')} {runs}: {named(report.dead)}"


def _totals(report: CostReport, view: View) -> Table:
    directions, unknown = _directions(report), bool(report.uncosted)
    found: list[list[Cell]] = []
    for name, unit, of in _quantities(view.convention):
        counts = [sum(of(node, each) for node in report.nodes) for each in directions]
        exact = Count(sum(counts), unit, unknown).exact
        found.append([name.replace("_", " "), *(Count(count, unit, unknown) for count in counts), exact])
    notes = []
    if report.optimizer is not None:
        step = quantity(report.optimizer_step.flops, "FLOP")
        notes.append(f"and the step of the optimizer ({report.optimizer}): {step}")
    if unknown:
        notes.append(f"lower bounds: of {plural(len(report.uncosted), 'node')} something is not known")
    head = ("", *(WORDS[each] for each in directions), "total" if report.training else "exactly")
    title = "totals, forward and of the gradients to filters and to inputs" if report.training else "totals"
    return Table(title, head, found, "<" + ">" * (len(directions) + 1), notes)


def _memory(report: CostReport) -> Table:
    memory, lower = report.memory, bool(report.memory.unknown)

    def size(count: int) -> Count:
        return Count(count, "B", lower)

    held = [f"{report.params:,} parameters"]
    held += [f"{report.frozen:,} frozen"] if report.frozen else []
    held += [f"{report.buffers:,} of running statistics"] if report.buffers else []
    found: list[list[Cell]] = [["weights", size(memory.weights), ", ".join(held)]]
    if report.training:
        inputs = f"and {quantity(memory.saved_inputs, 'B')} of the inputs" if memory.saved_inputs else ""
        found += [
            ["gradients", size(memory.gradients), "of what trains"],
            ["optimizer", size(memory.optimizer), report.optimizer or "none"],
            ["saved activations", size(memory.saved_activations), inputs],
            ["peak, training", size(memory.peak_training), "forward and backward, in the order of the graph"],
        ]
    bound = f"no order of the nodes needs less than {quantity(memory.bound_inference, 'B')}"
    found.append(["peak, inference", size(memory.peak_inference), bound])
    return Table("memory", (), found, "<><", [f"lower bounds: {memory.unknown}"] if lower else [])


def _at_best(report: CostReport, roof: Roof) -> Table:
    """The least time per direction, and how much of it is in nodes that each of LIMITS bounds."""
    every, unknown = roof.bounds(report, report.nodes), bool(report.uncosted)
    parts = [(WORDS[each], [bound for bound in every if bound.direction == each]) for each in _directions(report)]
    parts += [("total", every)] if report.training else []
    found: list[list[Cell]] = []
    for name, part in parts:
        whole = _seconds(part)
        shares = [_share(_seconds(bound for bound in part if bound.by == limit), whole) for limit in LIMITS]
        found.append([name, _time(whole, unknown), *shares])
    notes = ["a bound, not a prediction: each node by itself, none fused; shares are of the nodes that it bounds"]
    if unknown:
        notes.append(f"at least: of {plural(len(report.uncosted), 'node')} something is not known")
    head = ("", "at least" if unknown else "at best", *LIMITS)
    return Table(f"at best on {roof.device.name}, {roof.precision}", head, found, "<>>>>", notes)


def _slowest(report: CostReport, roof: Roof, top: int) -> Table:
    """Node by node and direction by direction, the longest bound first."""
    each = ((bound, bool(node.uncosted)) for node in report.nodes for bound in roof.bounds(report, [node]))
    found = sorted(each, key=lambda pair: pair[0].seconds, reverse=True)
    whole = _seconds(bound for bound, _ in found)

    def cells(bound: Bound, unknown: bool) -> list[Cell]:
        direction = [WORDS[bound.direction]] if report.training else []
        time, share = _time(bound.seconds, unknown), _share(bound.seconds, whole)
        return [time, share, _digits(bound.intensity), bound.by, *direction, Name(bound.node, bound.op_type)]

    body = [cells(*pair) for pair in found[:top]]
    if rest := found[top:]:
        least = _seconds(bound for bound, _ in rest)
        blank = [""] * (3 if report.training else 2)
        time = _time(least, any(unknown for _, unknown in rest))
        body.append([time, _share(least, whole), *blank, Name("", plural(len(rest), "more row"))])
    head = ("at best", "share", "FLOP/B", "bound by", *([""] if report.training else []), "node")
    title = f"nodes, the longest first, at best on {roof.device.name}"
    return Table(title, head, body, ">>>" + "<" * (len(head) - 3))


def _seconds(found: Iterable[Bound]) -> float:
    return math.fsum(bound.seconds for bound in found)


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""


def _time(seconds: float, at_least: bool) -> str:
    """`≥ 12.3 µs`"""
    unit, size = next((pair for pair in TIMES if seconds >= 0.9995 * pair[1]), TIMES[-1])
    return f"{'≥ ' if at_least else ''}{_digits(seconds / size)} {unit}"


def _digits(number: float) -> str:
    """Three of them, or all of a larger whole."""
    return f"{number:,.0f}" if number >= 999.5 else f"{number:#.3g}".rstrip(".")


def _table(report: CostReport, view: View, by: By, sort: Sort, top: int | None) -> Table:
    """Costs first, names last: they may be long."""
    directions, unit = _directions(report), UNITS[view.convention.unit]
    found = rows(report, view.convention, by, view.depth)
    whole, longest = sum(row.total for row in found) or 1, max((row.total for row in found), default=0) or 1
    roof = view.roof if view.by is not None else None  # an overview has a table of its own

    def timing(row: Row) -> list[Cell]:
        if roof is None:
            return []
        seconds, by = roof.least(report, row)
        return ["uncosted" if seconds is None else _time(seconds, bool(row.reasons)), by]

    def cells(row: Row, length: float) -> list[Cell]:
        counts = [_count(row, each, unit) for each in directions]
        share = f"{100 * row.total / whole:.1f} %" if row.total or not row.reasons else ""
        sums = [_count(row, None, unit)] if report.training else []
        shape = Bar(length, NARROW if report.training else WIDE)
        return [*counts, *sums, *timing(row), share, shape, Name(row.name, row.what)]

    shown, rest = arranged(found, sort, top)
    body = [cells(row, row.total / longest) for row in shown]
    if rest:
        body.append(cells(together(rest, plural(len(rest), f"more {NOUNS[by]}")), 0))
    sums = ["total"] if report.training else []
    head = [*(WORDS[each] for each in directions), *sums]
    head += ["at best", "bound by"] if roof is not None else []
    return Table(_title(by, sort, view), [*head, "share", "", NOUNS[by]], body, ">" * (len(head) + 1) + "<<")


def _title(by: By, sort: Sort, view: View) -> str:
    order = {"order": "in the order of the graph", "total": "the costliest first"}.get(sort, f"by {sort}")
    return f"{NOUNS[by]}s, {order}, in {view.convention.name}"


def _count(row: Row, direction: str | None, unit: str) -> Cell:
    """A count in one direction or in all; never 0 where it is not known."""
    count = row.total if direction is None else row.counts[direction]
    return "uncosted" if row.reasons and not count else Count(count, unit, bool(row.reasons))


def _uncosted(report: CostReport) -> Table:
    found: list[list[Cell]] = [[Name(node.name, node.op_type), node.uncosted] for node in report.uncosted[:UNCOSTED]]
    rest = len(report.uncosted) - len(found)
    notes = [f"{plural(rest, 'more node')}: JSON and CSV have them all"] if rest else []
    return Table("uncosted", ("node", "reason"), found, "<<", notes)


def _directions(report: CostReport) -> tuple[str, ...]:
    return DIRECTIONS if report.training else DIRECTIONS[:1]
