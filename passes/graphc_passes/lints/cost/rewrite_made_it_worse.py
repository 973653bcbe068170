"""A spec whose passes make it dearer than it is without them, at some size that its dims may have.

With the setting `run`, for that takes as long as a build. Costs are compared as the passes compare them: multiply-adds,
then bytes, then nodes, of an inference where all dims are least, as preferred and largest. A spec that is built for a
target is left alone: what the target runs at all goes before what it costs.

Why    a rewrite is judged at the preferred sizes, or not at all with `when: always`; at other sizes it may lose.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import CostReport, Pipeline, Problem, Subject, cost, lint, sizes_of


@lint(
    on="spec",
    category="cost",
    severity="warning",
    help="leave that pass out, or let it judge for itself: 'when: cheaper'",
    runs=True,
)
def rewrite_made_it_worse(subject: Subject) -> Iterator[Problem]:
    network = subject.network
    if network is None or network.spec.passes is None or subject.settings.target is not None:
        return
    result = Pipeline(network.spec.passes)(subject.weighted.clone())
    for sizes in sizes_of(subject):
        before, after = subject.cost(dims=sizes), cost(result.model, training=False, dims=sizes)
        if before.uncosted or after.uncosted:
            yield Problem("not all nodes have a known cost, before and after", unfinished=True)
            return
        if _price(after) > _price(before):
            point = ", ".join(f"{name}={size}" for name, size in sizes.items())
            yield Problem(
                f"the passes take it from {_shown(before)} to {_shown(after)}{' at ' + point if point else ''}",
                at=network.place("passes"),
                measured=after.totals.forward.mac,
                limit=before.totals.forward.mac,
            )
            return


def _price(report: CostReport) -> tuple[int, int, int]:
    """As the engine compares what it is to replace with what it is replaced by."""
    return report.totals.forward.mac, report.totals.forward.bytes, len(report.nodes)


def _shown(report: CostReport) -> str:
    macs, moved, nodes = _price(report)
    return f"{macs:,} MAC, {moved:,} B in {nodes} nodes"


@rewrite_made_it_worse.bad(run=True)
def groups_filled_with_zeros() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 32, 16, 16]"}
        outputs: [y]
        nodes: [{id: y, conv: {out: 32, k: 3, groups: 2}}]
        passes: [{replace-grouped-conv-with-dense: {when: always}}]
    """


@rewrite_made_it_worse.good(run=True)
def where_it_judges_for_itself() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 32, 16, 16]"}
        outputs: [y]
        nodes: [{id: y, conv: {out: 32, k: 3, groups: 2}}]
        passes: [{replace-grouped-conv-with-dense: {when: cheaper}}]
    """
