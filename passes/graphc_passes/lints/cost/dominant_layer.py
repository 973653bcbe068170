"""One layer that does more than half of the multiply-adds, in a network whose multiply-adds count.

They count where a budget bounds them or a device is set; elsewhere nobody asked. Only a network of at least three
layers that multiply has one that dominates. Where a part of the costs is not known, its share is not either: nothing is
said.

Why    what makes all other layers faster or smaller makes the network at most twice as fast (Amdahl 1967); that layer
       is where a factor, a stride or a smaller kernel pays.
"""

from __future__ import annotations

from collections.abc import Iterator

import graphc
from graphc import CaseBuilder, Problem, Subject, lint

SHARE, LAYERS = 0.5, 3


@lint(
    category="cost",
    severity="info",
    help="begin there: fewer channels, a smaller kernel, groups, or the same work at a lower resolution",
)
def dominant_layer(subject: Subject) -> Iterator[Problem]:
    budgets = subject.settings.budgets
    if subject.settings.device is None and budgets.macs is None and budgets.training_macs is None:
        return
    report = subject.cost(dims=graphc.preferred_of(subject))
    layers = [node for node in report.nodes if node.forward.mac]
    total = report.totals.forward.mac
    if report.uncosted or len(layers) < LAYERS:
        return
    most = max(layers, key=lambda node: node.forward.mac)
    share = most.forward.mac / total
    if share > SHARE:
        yield Problem(
            f"it does {share:.0%} of the multiply-adds, {most.forward.mac:,} of {total:,}",
            at=subject.named.get(most.name),
            measured=share,
            limit=SHARE,
        )


@dominant_layer.bad(budgets={"macs": "10M"})
def wide_kernel_among_narrow_ones(g: CaseBuilder) -> object:
    x = g.Relu(g.Conv(g.input(1, 8, 16, 16), g.weight(8, 8, 1, 1)))
    x = g.Relu(g.Conv(x, g.weight(8, 8, 7, 7), pads=(3, 3, 3, 3)))
    return g.Relu(g.Conv(x, g.weight(8, 8, 1, 1)))


@dominant_layer.good(budgets={"macs": "10M"})
def alike(g: CaseBuilder) -> object:
    x = g.input(1, 8, 16, 16)
    for _ in range(3):
        x = g.Relu(g.Conv(x, g.weight(8, 8, 3, 3), pads=(1, 1, 1, 1)))
    return x


@dominant_layer.good
def where_nobody_counts(g: CaseBuilder) -> object:
    x = g.Relu(g.Conv(g.input(1, 8, 16, 16), g.weight(8, 8, 1, 1)))
    x = g.Relu(g.Conv(x, g.weight(8, 8, 7, 7), pads=(3, 3, 3, 3)))
    return g.Relu(g.Conv(x, g.weight(8, 8, 1, 1)))
