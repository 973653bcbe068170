"""What `graphc build` did, for people and for programs."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from graphc.errors import clean
from graphc.metadata import evaluate_dim, preferred_dims
from graphc.report import check
from graphc.report.page import Page, paragraphs
from graphc.report.quantity import change, duration, plural, quantity
from graphc.report.table import table

if TYPE_CHECKING:
    from graphc.analysis.summary import Summary
    from graphc.compilation import Compilation
    from graphc.pipeline import Step

NAMES = 3  # as many nodes are named where one reason stopped several
OPERATORS = 8  # as many operators are named that could not be costed


@dataclass(frozen=True)
class Written:
    """A build and the files it went to; `dims` are the sizes that costs are counted at."""

    source: str
    compilation: Compilation
    files: tuple[Path, ...]
    dims: dict[str, int]


def page(build: Written) -> Page:
    """The summary that `graphc build` prints."""
    record, report = build.compilation.record, build.compilation.report
    text = paragraphs(
        _title(build),
        _totals(record.before, record.after, build.dims),
        _depends(build.compilation.original) if record.before.forward.uncosted else "",
        _passes(record.steps),
        _target(build.compilation),
        "not checked: --no-verify" if report is None else check.text(report),
        _note(build.compilation),
    )
    value = {
        "source": build.source,
        "files": [{"path": str(file), "bytes": file.stat().st_size} for file in build.files],
        "dims": build.dims,
        "before": summary_json(record.before),
        "after": summary_json(record.after),
        "passes": [_step_json(step) for step in record.steps],
        "target": _target_json(build.compilation),
        "check": None if report is None else report.as_json(),
    }
    return Page(text, value)


def summary_json(summary: Summary) -> dict[str, Any]:
    """A summary with the units in the names. Counts leave out what `uncosted` lists."""
    cost = summary.forward.cost
    return {
        "nodes": summary.nodes,
        "parameters": summary.parameters,
        "weight_bytes": summary.weight_bytes,
        "macs": cost.mac,
        "flops": cost.flops,
        "bytes_read": cost.bytes_read,
        "bytes_written": cost.bytes_written,
        "uncosted": list(summary.forward.uncosted),
    }


def counted(summary: Summary, value: int, unit: str) -> str:
    """A count over the graph: `≥` where some nodes are uncosted, `unknown` where all that count are, never a 0."""
    missing = len(summary.forward.uncosted)
    if missing and not value:
        return "unknown"
    return ("≥ " if missing else "") + quantity(value, unit)


def named(names: Sequence[str], most: int = NAMES) -> str:
    """`a, b, c and 4 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return clean(", ".join(name or "an unnamed node" for name in names[:most])) + more


def _title(build: Written) -> str:
    wrote = ", ".join(f"{file} ({quantity(file.stat().st_size, 'B')})" for file in build.files)
    return clean(f"{build.source} → {wrote or 'nothing written'}")


def _totals(before: Summary, after: Summary, dims: dict[str, int]) -> str:
    rows = [
        ("", "before", "after", ""),
        ("nodes", str(before.nodes), str(after.nodes), change(before.nodes, after.nodes)),
        (
            "parameters",
            f"{before.parameters:,}",
            f"{after.parameters:,}",
            change(before.parameters, after.parameters),
        ),
        _row("weights", before, after, before.weight_bytes, after.weight_bytes, "B", whole=True),
        _row("compute", before, after, before.forward.cost.mac, after.forward.cost.mac, "MAC"),
        _row("memory traffic", before, after, before.forward.cost.bytes, after.forward.cost.bytes, "B"),
    ]
    lines = [table(rows, "<>>>")]
    sizes = " ".join(f"{name}={size}" for name, size in dims.items())
    if sizes:
        lines.append(clean(f"compute and memory traffic are of one run at {sizes}"))
    for when, summary in (("before", before), ("after", after)):
        if missing := summary.forward.uncosted:
            lines.append(f"uncosted {when}: {plural(len(missing), 'node')}: {_uncosted(missing)}")
    return "\n".join(lines)


def _uncosted(missing: Sequence[str]) -> str:
    """A few nodes by name, more by operator: `16 ConstantOfShape, 5 Conv`, the most frequent first."""
    if len(missing) <= NAMES:
        return named(missing)
    operators = Counter(node.partition(" ")[0] for node in missing)
    return named([f"{count} {operator}" for operator, count in operators.most_common()], OPERATORS)


def _depends(model: ir.Model) -> str:
    """Which sizes would have to be known for a count: those of inputs that nothing declares."""
    known = preferred_dims(model)
    dims = [dim for value in model.graph.inputs for dim in value.shape or () if isinstance(dim, ir.SymbolicDim)]
    names = dict.fromkeys(dim.value for dim in dims if dim.value and evaluate_dim(dim.value, known) is None)
    if not names:
        return ""
    options = " ".join(f"--dim {shlex.quote(f'{name}=1')}" for name in names)
    return clean(f"the cost depends on {', '.join(names)}; graphc cost with {options} counts it")


def _row(
    label: str, before: Summary, after: Summary, old: int, new: int, unit: str, *, whole: bool = False
) -> tuple[str, str, str, str]:
    if whole:
        return label, quantity(old, unit), quantity(new, unit), change(old, new)
    comparable = before.forward.complete and after.forward.complete
    return (
        label,
        counted(before, old, unit),
        counted(after, new, unit),
        change(old, new) if comparable else "",
    )


def _passes(steps: Sequence[Step]) -> str:
    if not steps:
        return "no passes"
    busy = [step for step in steps if step.modified or not step.is_rewrite]
    idle = [step for step in steps if step not in busy]
    rows = [("pass", "fired", "refused", "nodes", "time")]
    rows += [
        (
            step.name,
            _firings(step),
            str(len(step.refused)) if step.is_rewrite else "",
            f"{step.after.nodes - step.before.nodes:+d}".replace("-", "−") if step.modified else "",
            duration(step.seconds),
        )
        for step in busy
    ]
    if idle:
        rows.append((f"{plural(len(idle), 'other')} that did not fire", *_sum(idle)))
    return table([*rows, ("all", *_sum(steps))], "<>>>>")


def _sum(steps: Sequence[Step]) -> tuple[str, str, str, str]:
    fired, refused = sum(len(step.fired) for step in steps), sum(len(step.refused) for step in steps)
    return str(fired), str(refused), "", duration(sum(step.seconds for step in steps))


def _target(made: Compilation) -> str:
    """Whether the target runs every node, else which it does not, and what the rewrites said of them."""
    if made.target is None:
        return ""
    name, left = made.target.name, made.leftovers
    if not left:
        return clean(f"{name} runs every node")
    alike: dict[tuple[str, str], list[str]] = {}
    for each in left:
        alike.setdefault((each.what, each.why or "no rewrite looks at it"), []).append(each.node)
    rows = [(clean(what), named(nodes), clean(why)) for (what, why), nodes in alike.items()]
    return clean(f"{name} does not run {plural(len(left), 'node')}") + "\n" + table(rows, "<<<", indent=2)


def _target_json(made: Compilation) -> dict[str, Any] | None:
    if made.target is None:
        return None
    left = [
        {"node": each.node, "operator": each.op_type, "what": each.what, "why": each.why} for each in made.leftovers
    ]
    return {"name": made.target.name, "leftovers": left}


def _firings(step: Step) -> str:
    """How often a rewrite fired; another pass only says whether it changed anything."""
    if step.is_rewrite:
        return str(len(step.fired))
    return "changed" if step.modified else "−"


def _note(made: Compilation) -> str:
    """Why a model of IR version 3 hardly changes."""
    overridable = sum(value.is_initializer() for value in made.model.graph.inputs)
    if not overridable:
        return ""
    return (
        f"note: {plural(overridable, 'initializer')} can be overridden by a caller, being graph inputs too, "
        "so no pass folds them; --freeze-inputs makes constants of them"
    )


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "modified": step.modified,
        "is_rewrite": step.is_rewrite,
        "numerics": step.numerics,
        "fired": [site.node for site in step.fired],
        "refused": [{"node": site.node, "reason": site.reason} for site in step.refused],
        "seconds": step.seconds,
        "before": summary_json(step.before),
        "after": summary_json(step.after),
    }
