"""The roofline: how fast a device could run each node in each direction at best, and what bounds it.

    time ≥ max(flops / peak, bytes / bandwidth) + time per node          peak = 2 · multiply-adds per second

A device's profile is a YAML file, one of `graphc/targets/devices` or one's own. A measured time below the bound is
above the roof: either the profile is wrong, or a count is. Source: S. Williams, A. Waterman, D. Patterson, Roofline,
CACM 2009.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt
from pydantic.types import NonNegativeFloat

from graphc.analysis.cost_report import DIRECTIONS, CostReport
from graphc.costs import Cost
from graphc.errors import GraphcError
from graphc.limits import DEFAULT, Limits
from graphc.spec import shipped

PROFILES = Path(__file__).parents[1] / "targets" / "devices"


class Device(BaseModel):
    """A device's peaks: multiply-adds per second by precision (fp32, fp16, bf16, int8), bytes per second to memory, and
    the seconds that any node takes. `memory_bytes` is what it holds, where that is known."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    macs_per_second: dict[str, PositiveFloat]
    bytes_per_second: PositiveFloat
    seconds_per_node: NonNegativeFloat = 0.0
    memory_bytes: PositiveInt | None = None

    def ridge(self, precision: str) -> float:
        """The operations per byte from which on it computes as fast as it can. Raises GraphcError as `peak`."""
        return self.peak(precision) / self.bytes_per_second

    def peak(self, precision: str) -> float:
        """Operations per second. Raises GraphcError (run/usage) for a precision that the profile does not have."""
        if precision not in self.macs_per_second:
            hint = f"it has {', '.join(self.macs_per_second)}"
            raise GraphcError(f"the profile '{self.name}' has no {precision}", code="run/usage", hint=hint)
        return 2 * self.macs_per_second[precision]


@dataclass(frozen=True)
class Bound:
    """One node in one direction: operations per byte (0 where nothing moves), the least time in seconds, and why."""

    node: str
    op_type: str
    direction: str
    flops: int
    bytes: int
    intensity: float
    seconds: float
    by: Literal["compute", "memory", "overhead"]

    def above_roof(self, measured: float) -> bool:
        """Whether a measured time in seconds is less than the bound, which cannot be."""
        return measured < self.seconds


def device(name: str | Path, limits: Limits = DEFAULT) -> Device:
    """A shipped profile by its name, or that of a YAML file.

    Raises GraphcError: run/usage for a name or content that is no profile, and what reading the file raises.
    """
    path = shipped.path_of(name, PROFILES, "device", "run/usage")
    hint = "it has name, macs_per_second: {fp32: ...}, bytes_per_second and seconds_per_node"
    return shipped.read_as(Device, path, limits, kind="device profile", hint=hint)


def bounds(report: CostReport, on: Device, precision: str = "fp32") -> Iterator[Bound]:
    """Every node in every direction in which it does or moves something, in the order of the graph.

    Raises GraphcError (run/usage) for a precision that the device does not have.
    """
    peak = on.peak(precision)
    for node in report.nodes:
        for direction in DIRECTIONS:
            cost: Cost = getattr(node, direction)
            if cost.flops or cost.bytes:
                yield _bound(node.name, node.op_type, direction, cost, on, peak)


def _bound(name: str, op_type: str, direction: str, cost: Cost, on: Device, peak: float) -> Bound:
    compute, memory = cost.flops / peak, cost.bytes / on.bytes_per_second
    slowest = max(compute, memory)
    by: Literal["compute", "memory", "overhead"] = "compute" if compute >= memory else "memory"
    if slowest < on.seconds_per_node:
        by = "overhead"
    intensity = cost.flops / cost.bytes if cost.bytes else 0.0
    return Bound(name, op_type, direction, cost.flops, cost.bytes, intensity, slowest + on.seconds_per_node, by)


def above_roof(found: Mapping[tuple[str, str], float], report: CostReport, on: Device, precision: str) -> list[Bound]:
    """The bounds that a measured time (by node name and direction, in seconds) breaks: a count or a peak is wrong."""
    each = ((bound, found.get((bound.node, bound.direction))) for bound in bounds(report, on, precision))
    return [bound for bound, measured in each if measured is not None and bound.above_roof(measured)]
