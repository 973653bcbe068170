"""How the costs of two models differ, measure by measure, and thresholds on that, for CI.

A measure is one number whose name says its unit: `training_macs`, `inference_bytes`, `peak_training_bytes`, `params`.
Where a part of it is not known it is a lower bound, and no threshold on it holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from typing import Any

from graphc.analysis.cost_report import DIRECTIONS, QUANTITIES, SCHEMA, UNIT, CostReport, Memory, added
from graphc.costs import Cost
from graphc.errors import GraphcError

UNITS = {"macs": "MAC", "flops": "FLOP", "bytes": "B"}  # by the last word of a name; others are plain counts
FORM = re.compile(r"(?P<measure>[\w-]+):(?P<sign>[+-])(?P<number>\d+(?:\.\d+)?(?:e\d\d?)?)(?P<percent>%?)")
PHASES = ("inference", *DIRECTIONS, "training")  # training is the three directions together
HELD = tuple(field.name for field in fields(Memory) if field.type == "int")
WITHOUT_UNIT = {"ops": ("macs", "flops"), "operations": ("macs", "flops"), "size": ("bytes",), "memory": ("bytes",)}


@dataclass(frozen=True)
class Costs:
    """What one model costs in a training step and in an inference."""

    training: CostReport
    inference: CostReport


@dataclass(frozen=True)
class Measure:
    """A number; not `complete`: a lower bound."""

    value: int
    complete: bool


@dataclass(frozen=True)
class Threshold:
    """By how much a measure may grow (`sign` 1) or shrink (-1): `number` percent of its old value, or absolutely."""

    text: str
    measure: str
    sign: int
    number: Fraction
    relative: bool

    def holds(self, before: Measure, after: Measure) -> bool:
        """Whether the change is known to stay within it."""
        allowed = self.number * before.value / 100 if self.relative else self.number
        return before.complete and after.complete and self.sign * (after.value - before.value) <= allowed


@dataclass(frozen=True)
class NodeChange:
    """A node whose cost in a training step differs; None where there is no such node."""

    name: str
    op_type: str
    before: Cost | None
    after: Cost | None

    def change(self, quantity: str) -> int:
        """By how much a quantity differs."""
        of = QUANTITIES[quantity]
        return (of(self.after) if self.after else 0) - (of(self.before) if self.before else 0)


@dataclass(frozen=True)
class CostDiff:
    """Every measure before and after; the nodes that differ, the largest first; the thresholds that do not hold."""

    before: Mapping[str, Measure]
    after: Mapping[str, Measure]
    nodes: tuple[NodeChange, ...]
    failed: tuple[Threshold, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data in a fixed order of keys."""
        return {
            "schema": SCHEMA,
            "measures": {
                name: {"before": asdict(self.before[name]), "after": asdict(self.after[name])} for name in self.before
            },
            "nodes": [
                {"name": each.name, "op_type": each.op_type, "before": _json(each.before), "after": _json(each.after)}
                for each in self.nodes
            ],
            "failed": [threshold.text for threshold in self.failed],
        }


def diff(before: Costs, after: Costs, thresholds: Iterable[Threshold] = ()) -> CostDiff:
    """Compare two models: every measure, the nodes that differ, and the thresholds that do not hold."""
    old, new = ({name: of(costs) for name, of in MEASURES.items()} for costs in (before, after))
    failed = tuple(each for each in thresholds if not each.holds(old[each.measure], new[each.measure]))
    return CostDiff(old, new, _changed(before.training, after.training), failed)


def threshold(text: str) -> Threshold:
    """Read `MEASURE:+1%` or `MEASURE:-1e6`. Raises GraphcError (run/usage), also for a name that does not say which."""
    found = FORM.fullmatch("".join(text.split()))
    if found is None:
        raise GraphcError(
            f"'{text}' is no threshold",
            code="run/usage",
            hint="MEASURE:+1% or MEASURE:+1e6 is by how much it may grow; with - it may shrink by that",
        )
    _check_name(found["measure"])
    sign = 1 if found["sign"] == "+" else -1
    return Threshold(text.strip(), found["measure"], sign, Fraction(found["number"]), bool(found["percent"]))


def unit(measure: str) -> str:
    """`MAC`, `FLOP` or `B`; "" for plain counts."""
    return UNITS.get(measure.rpartition("_")[2], "")


def _check_name(name: str) -> None:
    if name in MEASURES:
        return
    what = "says no unit" if name in WITHOUT_UNIT else "does not say of what"
    meant = [f"{of}_{unit}" for unit in WITHOUT_UNIT.get(name, (name,)) for of in (*PHASES, *HELD)]
    choice = ", ".join(each for each in meant if each in MEASURES)
    if choice:
        raise GraphcError(f"'{name}' {what}", code="run/usage", hint=f"choose one of {choice} ({UNIT})")
    raise GraphcError(f"unknown measure '{name}'", code="run/usage", hint=f"known: {', '.join(MEASURES)}")


def _changed(before: CostReport, after: CostReport) -> tuple[NodeChange, ...]:
    """The nodes that differ; those of one name and operator count as one."""
    old, new = _by_name(before), _by_name(after)
    keys = [key for key in dict.fromkeys((*old, *new)) if old.get(key) != new.get(key)]
    found = [NodeChange(*key, old.get(key), new.get(key)) for key in keys]
    return tuple(sorted(found, key=lambda each: (-abs(each.change("macs")), -abs(each.change("bytes")))))


def _by_name(report: CostReport) -> dict[tuple[str, str], Cost]:
    found: dict[tuple[str, str], list[Cost]] = {}
    for node in report.nodes:
        found.setdefault((node.name, node.op_type), []).append(node.total)
    return {key: added(costs) for key, costs in found.items()}


def _json(cost: Cost | None) -> dict[str, int] | None:
    return None if cost is None else {name: of(cost) for name, of in QUANTITIES.items()}


# ---------------------------------------------------------------- measures


def _of_cost(phase: str, count: Callable[[Cost], int]) -> Callable[[Costs], Measure]:
    def measure(costs: Costs) -> Measure:
        report = costs.inference if phase == "inference" else costs.training
        cost = getattr(report.totals, phase if phase in DIRECTIONS else "total")
        return Measure(count(cost), not report.uncosted)

    return measure


def _of_memory(name: str) -> Callable[[Costs], Measure]:
    def measure(costs: Costs) -> Measure:
        memory = (costs.inference if name.endswith("inference") else costs.training).memory
        return Measure(getattr(memory, name), not memory.unknown)

    return measure


MEASURES: Mapping[str, Callable[[Costs], Measure]] = {
    "params": lambda costs: Measure(costs.training.params, True),
    "nodes": lambda costs: Measure(len(costs.inference.nodes), True),
    **{f"{phase}_{quantity}": _of_cost(phase, count) for phase in PHASES for quantity, count in QUANTITIES.items()},
    "optimizer_flops": lambda costs: Measure(costs.training.optimizer_step.flops, True),
    **{f"{name}_bytes": _of_memory(name) for name in HELD},
}
