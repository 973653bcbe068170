"""A layer that keeps the device waiting for its memory: it does fewer operations per byte than the device's ridge.

With the setting `device` only, at the preferred sizes of the dims. Said of layers that multiply and that take at least
a tenth of the least time in which the device could run the network; a layer that only moves data has no other choice,
and what is quicker than the start of its kernel waits for that.

Why    such a layer is as fast with half of its multiply-adds: only bytes count, so a fusion, fewer channels in between,
       a larger batch or a narrower type pay, and fewer multiply-adds do not (Williams, Waterman and Patterson 2009).
"""

from __future__ import annotations

from collections.abc import Iterator

import graphc
from graphc import CaseBuilder, Problem, Subject, lint

SHARE = 0.1  # of the least time, below which a layer does not matter
PRECISIONS = {"FLOAT": "fp32", "FLOAT16": "fp16", "BFLOAT16": "bf16"}


@lint(
    category="cost",
    severity="info",
    help="move fewer bytes: fuse it with its neighbours, give it more work per byte, or compute in a narrower type",
)
def memory_bound(subject: Subject) -> Iterator[Problem]:
    device = graphc.device_of(subject)
    precision = _precision(subject)
    report = subject.cost(dims=graphc.preferred_of(subject))
    multiplying = {node.name for node in report.nodes if node.forward.mac}
    found = [bound for bound in graphc.bounds(report, device, precision) if bound.direction == "forward"]
    total = sum(bound.seconds for bound in found)
    ridge = device.ridge(precision)
    for bound in found:
        if bound.by == "memory" and bound.node in multiplying and bound.seconds >= SHARE * total:
            yield Problem(
                f"it does {bound.intensity:.3g} operations per byte, {device.name} could do {ridge:.3g} ({precision}):"
                f" {bound.seconds / total:.0%} of the least time goes into moving its {bound.bytes:,} B",
                at=subject.named.get(bound.node),
                measured=bound.intensity,
                limit=ridge,
            )


def _precision(subject: Subject) -> str:
    """The type that most stored bytes are of, or that the spec's target asks for."""
    if subject.network is not None:
        return subject.network.target.precision
    sizes: dict[str, int] = dict.fromkeys(PRECISIONS.values(), 0)
    for value in subject.model.graph.initializers.values():
        if value.dtype is not None and value.dtype.name in PRECISIONS and value.const_value is not None:
            sizes[PRECISIONS[value.dtype.name]] += value.const_value.nbytes
    return max(sizes, key=lambda name: sizes[name])


@memory_bound.bad(device="cpu-avx2-8")
def depthwise(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 64, 112, 112), g.weight(64, 1, 3, 3), group=64, pads=(1, 1, 1, 1))


@memory_bound.good(device="cpu-avx2-8")
def dense(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 64, 56, 56), g.weight(64, 64, 3, 3), pads=(1, 1, 1, 1))


@memory_bound.good
def no_device(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 64, 112, 112), g.weight(64, 1, 3, 3), group=64, pads=(1, 1, 1, 1))
