"""A cost report that was kept, as `graphc cost --format json` prints it, and what a new one of the same model exceeds.

Compared is what a user pays for: multiply-adds, operations and bytes by direction, parameters, nodes and memory; not
what an algorithm that nobody runs would cost (zero insertion).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from graphc.analysis.cost_report import DIRECTIONS, SCHEMA, CostReport, Memory
from graphc.errors import GraphcError

COMPARED = ("macs", "effective_macs", "flops", "bytes")
HELD = tuple(field.name for field in fields(Memory) if field.type == "int")
LARGEST = 1 << 28  # bytes of a report, some 100 times that of the largest network
HINT = "make it with: graphc cost SOURCE --format json -o FILE"


@dataclass(frozen=True)
class Growth:
    """A measure that is larger than it was."""

    measure: str
    before: int
    after: int

    @property
    def percent(self) -> float:
        """By how much; infinite where there was nothing."""
        return 100 * (self.after - self.before) / self.before if self.before else float("inf")


@dataclass(frozen=True)
class CostBaseline:
    """What a report said: of which inputs, of a `training` step or an inference, every measure; `uncosted` nodes."""

    model: str
    inputs: Mapping[str, tuple[int, ...]]
    training: bool
    optimizer: str | None
    measures: Mapping[str, int]
    uncosted: int

    @classmethod
    def read(cls, path: Path) -> CostBaseline:
        """A report from its file. Raises GraphcError: run/file-not-found, run/usage for a file that is no report."""
        try:
            with path.open("rb") as file:
                text = file.read(LARGEST)
        except OSError:
            raise GraphcError(f"there is no cost baseline '{path}'", code="run/file-not-found", hint=HINT) from None
        try:
            return cls._of_json(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise GraphcError(f"'{path}' is no cost report of schema {SCHEMA}", code="run/usage", hint=HINT) from None

    @classmethod
    def of(cls, report: CostReport) -> CostBaseline:
        """The same of a report that was just made."""
        return cls._of_json(report.as_json())

    @classmethod
    def _of_json(cls, said: Any) -> CostBaseline:
        if said["schema"] != SCHEMA:
            raise ValueError("another schema")
        training, totals = bool(said["training"]), said["totals"]
        directions = DIRECTIONS if training else DIRECTIONS[:1]
        measures = {"params": totals["params"] + totals["frozen"], "nodes": len(said["nodes"])}
        measures |= {f"{way}_{name}": totals[name][way] for name in COMPARED for way in directions}
        measures |= {f"{name}_bytes": said["memory"][name] for name in HELD}
        if not all(isinstance(number, int) and number >= 0 for number in measures.values()):
            raise ValueError("a count that is no number")
        inputs = {str(name): tuple(map(int, shape)) for name, shape in said["inputs"].items()}
        name, uncosted = said["optimizer"]["name"], len(said["uncosted"])
        return cls(str(said["model"]), inputs, training, name, measures, uncosted)

    def grown(self, now: CostBaseline, tolerance: float = 0.0) -> Iterator[Growth]:
        """The measures that grew by more than that many percent; an optimizer's memory only where it is the same."""
        allowed = 1 + Fraction(tolerance) / 100
        for name, before in self.measures.items():
            if name == "optimizer_bytes" and self.optimizer != now.optimizer:
                continue
            if now.measures[name] > before * allowed:
                yield Growth(name, before, now.measures[name])
