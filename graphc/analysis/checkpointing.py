"""Checkpointing: which activations to keep, and which to compute again in backward, for a memory budget.

The graph's order is cut into segments. At a cut, the storages that are live there are kept. A segment is either stored
(all that it saves is kept) or computed again: forward a second time when backward reaches it, and what it saves is then
live only while its own backward runs. Backward frees what the segments behind it kept, so the activation memory is the
largest, over the segments, of all that is kept up to its end, plus what it saves when it is computed again. Gradients
in flight are not part of it. The price is the work of the segments that are computed again.

Dynamic programming over the cuts, with all undominated triples (kept, peak, price), finds the cheapest plan within the
budget: the optimum among all plans that cut this order at the candidates and compute no node more than twice. For a
chain of up to MAX_CUTS nodes that is the optimum of single-level checkpointing. In a longer one MAX_CUTS positions are
candidates, and for graphs with branches another order could do better: there it is a heuristic, whose plans are right
but perhaps not the best. Source of the problem: T. Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import onnx_ir as ir

from graphc.analysis.gradients import wanted
from graphc.analysis.memory import NOTHING, Storages
from graphc.analysis.samples import samples
from graphc.analysis.step import Source, read
from graphc.costs import Cost

MAX_CUTS = 24


@dataclass(frozen=True)
class Segment:
    """The nodes from position `start` up to `stop` of the order; `recomputed` says that they run again in backward."""

    start: int
    stop: int
    recomputed: bool


@dataclass(frozen=True)
class Plan:
    """`bytes` of activations at most, `price` in floating-point operations of what runs again."""

    segments: tuple[Segment, ...]
    bytes: int
    price: int


@dataclass(frozen=True)
class Position:
    """One node of the order: its price, what is live behind it, and what it saves: storages, and bytes of buffers."""

    price: int
    live: AbstractSet[ir.Value]
    saved: AbstractSet[ir.Value] = frozenset()
    buffers: int = 0


def checkpoints(source: Source, budget: int | None = None, **options: Any) -> Plan | None:
    """The cheapest plan of a training step within `budget` bytes of activations; None when there is none.

    Positions are those of the nodes of `cost(source, **options)`; `options` and errors are those of `step.read`.
    """
    step = read(source, training=True, **options)
    nodes = samples(step.nodes, step.opset, step.stored)
    gradients = wanted(nodes, step.stored.trained, step.losses)
    storages = Storages(step, nodes)
    last = {root: index for index, node in enumerate(step.nodes) for root in storages.read[node]}
    last |= {storages.root(value): len(step.nodes) for value in step.model.graph.outputs}
    made: list[ir.Value] = []
    positions = []
    for index, node in enumerate(step.nodes):
        made = [root for root in [*made, *storages.written(node)] if last.get(root, -1) > index]
        saved = storages.saved(node, gradients[node]) if node in gradients else NOTHING
        forward = nodes[node].forward
        price = forward.flops if isinstance(forward, Cost) else 0
        roots = saved.roots.difference(step.model.graph.inputs)
        positions.append(Position(price, frozenset(made), roots, saved.buffers))
    values = {value for each in positions for value in (*each.live, *each.saved)}
    return cheapest(positions, {value: storages.bytes(value) for value in values}, budget)


@dataclass(frozen=True)
class _Label:
    """A plan for the nodes so far: bytes kept, the most that is live in backward up to here, price."""

    kept: int
    peak: int
    price: int
    segments: tuple[Segment, ...]

    def with_segment(self, segment: Segment, kept: int, again: int, price: int) -> _Label:
        total = self.kept + kept
        return _Label(total, max(self.peak, total + again), self.price + price, (*self.segments, segment))

    def beats(self, other: _Label) -> bool:
        return self.kept <= other.kept and self.peak <= other.peak and self.price <= other.price


def cheapest(positions: Sequence[Position], sizes: Mapping[ir.Value, int], budget: int | None = None) -> Plan | None:
    """The plan of the least price within `budget` bytes (None: no bound), of the least bytes among those; None when no
    plan is within it. `sizes` are the bytes of the storages."""
    cuts = _cuts(positions, sizes)
    fronts = {0: [_Label(0, 0, 0, ())]}
    for index, stop in enumerate(cuts[1:], 1):
        reached = [
            label
            for start in cuts[:index]
            for choice in _choices(positions, sizes, start, stop)
            for before in fronts[start]
            if (label := before.with_segment(*choice)) and (budget is None or label.peak <= budget)
        ]
        fronts[stop] = _undominated(reached)
    best = min(fronts[len(positions)], key=lambda label: (label.price, label.peak), default=None)
    return None if best is None else Plan(best.segments, best.peak, best.price)


def _choices(
    positions: Sequence[Position], sizes: Mapping[ir.Value, int], start: int, stop: int
) -> Iterator[tuple[Segment, int, int, int]]:
    """A segment stored and computed again: what it keeps, what it saves the second time, its price."""
    inside = positions[start:stop]
    before: AbstractSet[ir.Value] = positions[start - 1].live if start else frozenset()
    ending = inside[-1].live - before
    saved = {value for each in inside for value in each.saved} - before - ending
    at_end = sum(sizes[value] for value in ending)
    more = sum(sizes[value] for value in saved) + sum(each.buffers for each in inside)
    yield Segment(start, stop, False), at_end + more, 0, 0
    if more:
        yield Segment(start, stop, True), at_end, more, sum(each.price for each in inside)


def _cuts(positions: Sequence[Position], sizes: Mapping[ir.Value, int]) -> list[int]:
    """The candidates, both ends among them: all, or the one with the least live bytes in each of MAX_CUTS stretches of
    the order that save about as much."""
    live = {cut: sum(sizes[value] for value in positions[cut - 1].live) for cut in range(1, len(positions))}
    if len(live) <= MAX_CUTS:
        return [0, *live, len(positions)]
    saved = list(accumulate(sum(sizes[value] for value in each.saved) + each.buffers for each in positions))
    stretches: dict[int, int] = {}
    for cut in live:
        stretch = saved[cut - 1] * MAX_CUTS // (saved[-1] + 1)
        stretches[stretch] = min(stretches.get(stretch, cut), cut, key=lambda cut: (live[cut], cut))
    return [0, *sorted(stretches.values()), len(positions)]


def _undominated(labels: Sequence[_Label]) -> list[_Label]:
    found: list[_Label] = []
    for label in sorted(labels, key=lambda label: (label.price, label.kept, label.peak)):
        if not any(other.beats(label) for other in found):
            found.append(label)
    return found
