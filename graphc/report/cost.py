"""What a training step or an inference costs: pages of tables, CSV, and JSON of schema 1."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from graphc.analysis.conventions import CONVENTIONS, Convention, Projection
from graphc.analysis.cost_report import DIRECTIONS, QUANTITIES, CostReport
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
FORMULA = ("=", "+", "-", "@")  # with what a spreadsheet begins one


@dataclass(frozen=True)
class View:
    """How to look at a report. Without `by` it is an overview: the blocks (or operators), and the costliest nodes."""

    convention: Convention = CONVENTIONS["macs"]
    by: By | None = None
    depth: int = 1
    sort: Sort | None = None
    top: int | None = None


def printed(report: CostReport, source: str, view: View, format: Format) -> str:
    """The report of that source, in one of the formats."""
    if format == "json":
        return Page("", as_json(report, view.convention)).printed("json")
    if format == "csv":
        return as_csv(report, view)
    return SETTERS[format](sheet(report, source, view))


# ---------------------------------------------------------------- for programs


def as_json(report: CostReport, convention: Convention) -> dict[str, Any]:
    """The report's own JSON; what a convention counts that is not in it stands beside, under the convention's name."""
    value = report.as_json()
    if _is_in(QUANTITIES, convention):
        return value
    value["unit"] += f"; {convention.name}: {convention.unit}"
    value["totals"][convention.name] = convention.totals(report)
    for entry, node in zip(value["nodes"], report.nodes, strict=True):
        entry[convention.name] = {direction: convention.of(node, direction) for direction in DIRECTIONS}
    return value


def as_csv(report: CostReport, view: View) -> str:
    """One line per node, block or operator: every quantity in every direction, empty where it is not known."""
    by = view.by or "node"
    found, _ = arranged(rows(report, view.convention, by, view.depth), view.sort or "order", view.top)
    columns = [(f"{each}_{name}", each, of) for name, _, of in _quantities(view.convention) for each in DIRECTIONS]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["name", "op_type", "nodes", *(name for name, _, _ in columns), "uncosted"])
    for row in found:
        operators = {node.op_type for node in row.nodes}
        op_type = operators.pop() if len(operators) == 1 else ""
        counts = [_known(row, direction, of) for _, direction, of in columns]
        writer.writerow([_plain(row.name), _plain(op_type), len(row.nodes), *counts, _plain(row.reasons)])
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


def _table(report: CostReport, view: View, by: By, sort: Sort, top: int | None) -> Table:
    """Costs first, names last: they may be long."""
    directions, unit = _directions(report), UNITS[view.convention.unit]
    found = rows(report, view.convention, by, view.depth)
    whole, longest = sum(row.total for row in found) or 1, max((row.total for row in found), default=0) or 1

    def cells(row: Row, length: float) -> list[Cell]:
        counts = [_count(row, each, unit) for each in directions]
        share = f"{100 * row.total / whole:.1f} %" if row.total or not row.reasons else ""
        sums = [_count(row, None, unit)] if report.training else []
        return [*counts, *sums, share, Bar(length, NARROW if report.training else WIDE), Name(row.name, row.what)]

    shown, rest = arranged(found, sort, top)
    body = [cells(row, row.total / longest) for row in shown]
    if rest:
        body.append(cells(together(rest, plural(len(rest), f"more {NOUNS[by]}")), 0))
    sums = ["total"] if report.training else []
    head = (*(WORDS[each] for each in directions), *sums, "share", "", NOUNS[by])
    return Table(_title(by, sort, view), head, body, ">" * (len(directions) + len(sums) + 1) + "<<")


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
