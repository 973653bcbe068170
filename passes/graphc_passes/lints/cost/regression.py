"""A model that costs more than the report that was kept of it.

The setting `cost-baseline` names what `graphc cost --format json` printed, of an inference or with `--train`, or a
folder of such files, one for each source: `can@can24.json`, `model.json`. Compared are parameters, nodes,
multiply-adds, operations and bytes in each direction, and memory, at the sizes of the report. `cost-tolerance` is the
percent by which each of them may grow, 0 if it is not set.

Why    a network grows by one harmless change after the other; numbers that were kept say which of them it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import graphc
from graphc import Problem, Subject, Where, lint

TOLD = 3  # of the measures that grew


@lint(
    category="cost",
    severity="error",
    help="undo what made it dearer, or keep the new costs: graphc cost SOURCE --format json -o FILE",
)
def regression(subject: Subject) -> Iterator[Problem]:
    kept, new = graphc.kept_and_new(subject)
    tolerance = subject.settings.cost_tolerance
    grown = sorted(kept.grown(new, tolerance), key=lambda each: -each.percent)
    if not grown:
        return
    shown = [f"{each.measure} {each.percent:+.3g} % ({each.before:,} to {each.after:,})" for each in grown[:TOLD]]
    more = f" and {len(grown) - TOLD} measures more" if len(grown) > TOLD else ""
    yield Problem(
        f"it costs more than it did: {', '.join(shown)}{more}",
        at=Where(str(subject.path or ""), text="cost baseline"),
        measured=grown[0].percent,
        limit=tolerance,
    )


SPEC = """\
graphc: 1
inputs: {x: "f32[1, 8, 16, 16]"}
outputs: [y]
nodes: [{id: y, conv: {out: 8, k: WIDTH}}]
"""


def _kept_and_changed(folder: Path, before: str, after: str) -> Path:
    """A spec whose kernel was `before` wide when its costs were kept, and is `after` wide now."""
    path = folder / "net.yaml"
    path.write_text(SPEC.replace("WIDTH", before), encoding="utf-8")
    (folder / "net.json").write_text(graphc.cost(path, training=False).json(), encoding="utf-8")
    path.write_text(SPEC.replace("WIDTH", after), encoding="utf-8")
    return path


@regression.bad(cost_baseline="net.json")
def a_larger_kernel(folder: Path) -> Path:
    return _kept_and_changed(folder, "1", "3")


@regression.bad(cost_baseline="../costs", cost_tolerance=5)
def of_a_folder_of_reports(folder: Path) -> Path:
    specs, costs = folder / "specs", folder / "costs"
    specs.mkdir()
    costs.mkdir()
    path = _kept_and_changed(specs, "1", "3")
    (specs / "net.json").rename(costs / "net.json")
    return path


@regression.good(cost_baseline="net.json")
def no_dearer(folder: Path) -> Path:
    return _kept_and_changed(folder, "3", "1")


@regression.good(cost_baseline="net.json", cost_tolerance=900)
def within_the_tolerance(folder: Path) -> Path:
    return _kept_and_changed(folder, "1", "3")
