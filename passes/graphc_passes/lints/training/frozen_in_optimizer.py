"""An item that says `frozen: true` and whose weights train all the same: another item, before it, shares them.

Why    weights are made once, by the first item that uses them, and that one decides: the optimizer steps weights that
       the spec, a few lines further on, says to keep.
"""

from __future__ import annotations

from collections.abc import Iterator

import graphc
from graphc import Note, Problem, Subject, lint


@lint(
    on="spec",
    category="training",
    severity="warning",
    help="say 'frozen: true' at the first use, or nowhere",
)
def frozen_in_optimizer(subject: Subject) -> Iterator[Problem]:
    network = subject.expanded
    if network.training is None:
        return
    for each in graphc.thawed(subject.tree):
        yield Problem(
            f"the weights shared as '{each.word}' train, since their first use does not freeze them",
            at=each.where,
            notes=(Note("the first use", each.first),),
        )


@frozen_in_optimizer.bad
def frozen_at_the_second_use() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 8, 16, 16]"}
        outputs: [y]
        nodes:
          - {conv: 8, shared: w}
          - relu
          - {id: y, conv: 8, shared: w, frozen: true}
        train:
          inputs: {target: "f32[1, 8, 16, 16]"}
          losses: [{op: mse, from: [y, target]}]
          optimizer: {adam: {}}
    """


@frozen_in_optimizer.good
def frozen_at_both() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 8, 16, 16]"}
        outputs: [y]
        nodes:
          - {conv: 8, shared: w, frozen: true}
          - relu
          - {conv: 8, shared: w, frozen: true}
          - relu
          - {id: y, conv: 8}
        train:
          inputs: {target: "f32[1, 8, 16, 16]"}
          losses: [{op: mse, from: [y, target]}]
          optimizer: {adam: {}}
    """
