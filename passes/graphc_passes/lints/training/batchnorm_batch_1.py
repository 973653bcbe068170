"""A batch norm that, in training, takes mean and variance of very few values: a batch of 1 over a small map.

Few are less than 9 per channel, batch times positions: of 9 values, the variance has a standard error of half its size,
√(2 / (n − 1)). The dims are at their preferred sizes, the batch is that of `train:`.

Why    a single value is its own mean: the output is the shift, whatever the input. Of few, what a channel says depends
       on which examples came together, and the running statistics of inference are of another distribution
       (Wu and He 2018, section 1).
"""

from __future__ import annotations

from collections.abc import Iterator

import graphc
from graphc import Problem, Subject, lint

FEW = 9


@lint(
    on="spec",
    category="training",
    severity="warning",
    help="a larger batch, or a norm that needs none: group_norm, instance_norm, layer_norm",
)
def batchnorm_batch_1(subject: Subject) -> Iterator[Problem]:
    for node, count in graphc.batch_statistics(subject.expanded).items():
        if count < FEW:
            what = "a single value" if count == 1 else f"{count} values"
            told = "so its output does not depend on its input" if count == 1 else "which tell little of the variance"
            message = f"it takes mean and variance of {what} per channel, {told}"
            yield Problem(message, at=node, measured=count, limit=FEW)


@batchnorm_batch_1.bad
def one_example_after_pooling() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 8, 16, 16]"}
        outputs: [y]
        nodes:
          - {conv: {out: 16, act: relu}}
          - global_avg_pool
          - {id: y, pw: {out: 16, norm: batch_norm, bias: false}}
        train:
          inputs: {target: "f32[1, 16, 1, 1]"}
          losses: [{op: mse, from: [y, target]}]
          batch: 1
    """


@batchnorm_batch_1.good
def one_large_example() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 8, 16, 16]"}
        outputs: [y]
        nodes:
          - {id: y, conv: {out: 16, norm: batch_norm, bias: false}}
        train:
          inputs: {target: "f32[1, 16, 16, 16]"}
          losses: [{op: mse, from: [y, target]}]
          batch: 1
    """
