"""Weights drawn at random, with a seed that nobody chose, in a spec that is to be deployed and not to be trained.

Why    a spec that names targets and has neither a weight file nor a `train` section ships what the initialisation drew:
       most often the file of trained weights has been forgotten. Where random values are meant, as in a benchmark, a
       seed that stands in the spec says so. (Without one it is 0, so that a build can be repeated all the same.)
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from graphc import Problem, Subject, lint

CONSTANT = ("zeros", "ones", "constant", "identity")  # drawn by nobody
DRAWN = ("weight", "recurrent", "embedding")  # roles whose default is drawn at random


@lint(
    on="spec", category="spec", severity="warning", help="give the file of trained weights, or say 'weights: {seed: 0}'"
)
def unseeded_init(subject: Subject) -> Iterator[Problem]:
    network = subject.expanded
    if not network.spec.targets or network.training is not None:
        return
    for source in network.weights:
        chosen = source.weights
        if source.prefix or chosen.file is not None or "seed" in chosen.model_fields_set:
            continue  # an import is told of where it is deployed itself
        imported = tuple(f"{name}/" for name in network.spec.imports)
        own = [each for path, each in network.parameters.items() if not path.startswith(imported)]
        count = sum(prod(each.shape) for each in own if _drawn(each.init, each.role, chosen.init))
        if count:
            yield Problem(f"{count:,} weights are drawn at random", at=source.where, measured=count)


def _drawn(own: object, role: str, chosen: object) -> bool:
    """Whether the values of a parameter are random: its layer's choice, or else the spec's, which is for filters."""
    init = own if own is not None else chosen if role == "weight" else None
    name = init if isinstance(init, str) else next(iter(init), None) if isinstance(init, dict) else None
    return role in DRAWN if name in (None, "per-layer") else name not in CONSTANT


@unseeded_init.bad
def to_be_deployed() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 64]"}
        outputs: [y]
        nodes:
          - {id: y, dense: 64}
        targets:
          cpu: {ep: CPUExecutionProvider}
    """


@unseeded_init.good
def a_seed_was_chosen() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 64]"}
        outputs: [y]
        nodes:
          - {id: y, dense: 64}
        weights: {seed: 0}
        targets:
          cpu: {ep: CPUExecutionProvider}
    """


@unseeded_init.good
def to_be_trained() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 64]"}
        outputs: [y]
        nodes:
          - {id: y, dense: 64}
        train:
          inputs: {target: "f32[1, 64]"}
          losses: [{op: mse, from: [y, target]}]
        targets:
          cpu: {ep: CPUExecutionProvider}
    """


@unseeded_init.good
def nothing_is_drawn() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: prelu}
        targets:
          cpu: {ep: CPUExecutionProvider}
    """
