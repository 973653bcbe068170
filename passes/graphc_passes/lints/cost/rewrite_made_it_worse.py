"""A spec whose passes make it dearer than it is without them, at some size that its dims may have.

With the setting `run`, for that takes as long as a build. Dearer is a tenth more multiply-adds, or as many and a tenth
more bytes, of an inference where all dims are least, as preferred and largest. A form that suits the kernels of this
runtime may be worth that: where it is measured to be faster, beyond the noise, nothing is said. A spec that is built
for a target is left alone: what the target runs at all goes before what it costs.

Why    a rewrite is judged at the preferred sizes, or not at all with `when: always`; at other sizes it may lose.
"""

from __future__ import annotations

from collections.abc import Iterator

import graphc
from graphc import Pipeline, Problem, Subject, lint

SLACK = 0.1


@lint(
    on="spec",
    category="cost",
    severity="warning",
    help="leave that pass out, or let it judge for itself: 'when: cheaper'",
    runs=True,
)
def rewrite_made_it_worse(subject: Subject) -> Iterator[Problem]:
    network = subject.expanded
    if network.spec.passes is None or subject.settings.target is not None:
        return
    original = subject.weighted
    made = Pipeline(network.spec.passes)(original.clone()).model
    for sizes in graphc.sizes_of(subject):
        before, after = subject.cost(dims=sizes), graphc.cost(made, training=False, dims=sizes)
        if before.uncosted or after.uncosted:
            yield Problem("not all nodes have a known cost, before and after", unfinished=True)
            return
        if not _is_dearer(before.totals.forward, after.totals.forward):
            continue
        old, new = graphc.latencies([(original, sizes), (made, sizes)], threads=network.target.threads)
        if new.is_below(old):
            continue
        point = ", ".join(f"{name}={size}" for name, size in sizes.items())
        yield Problem(
            f"the passes take it from {_shown(before)} to {_shown(after)}{' at ' + point if point else ''},"
            " and not to less time",
            at=network.place("passes"),
            measured=after.totals.forward.mac,
            limit=before.totals.forward.mac,
        )
        return


def _is_dearer(before: graphc.Cost, after: graphc.Cost) -> bool:
    more = after.bytes > (1 + SLACK) * before.bytes and after.mac >= before.mac
    return more or after.mac > (1 + SLACK) * before.mac


def _shown(report: graphc.CostReport) -> str:
    cost = report.totals.forward
    return f"{cost.mac:,} MAC and {cost.bytes:,} B"


@rewrite_made_it_worse.bad(run=True)
def groups_filled_with_zeros() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 128, 32, 32]"}
        outputs: [y]
        nodes: [{id: y, conv: {out: 128, k: 3, groups: 8}}]
        passes: [{replace-grouped-conv-with-dense: {when: always}}]
    """


@rewrite_made_it_worse.good(run=True)
def where_it_judges_for_itself() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 128, 32, 32]"}
        outputs: [y]
        nodes: [{id: y, conv: {out: 128, k: 3, groups: 8}}]
        passes: [{replace-grouped-conv-with-dense: {when: cheaper}}]
    """
