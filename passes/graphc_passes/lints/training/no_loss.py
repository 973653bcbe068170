"""A `train:` section without a loss.

Why    nothing is minimised: no gradient exists, the optimizer has nothing to step along, and costs of a training step
       are counted as if the sum of the outputs were the loss.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import Problem, Subject, lint


@lint(
    on="spec",
    category="training",
    severity="warning",
    help="add one under 'losses', for example [{op: mse, from: [y, target]}], or remove 'train'",
)
def no_loss(subject: Subject) -> Iterator[Problem]:
    network = subject.expanded
    if network.training is not None and not network.training.losses:
        yield Problem("nothing is minimised: 'train' has no loss", at=network.place("train"))


@no_loss.bad
def an_optimizer_alone() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes: [{id: y, conv: 8}]
        train: {optimizer: {adam: {}}}
    """


@no_loss.good
def a_loss() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes: [{id: y, conv: 8}]
        train:
          inputs: {target: "f32[1, 8, 8, 8]"}
          losses: [{op: mse, from: [y, target]}]
          optimizer: {adam: {}}
    """
