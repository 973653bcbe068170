"""A loss whose weight is 0.

Why    it is computed, with all the nodes that only it needs, forward and backward, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import Problem, Subject, lint


@lint(
    on="spec",
    category="training",
    severity="warning",
    help="remove it, or let it be there only when it counts: 'when: =weight > 0'",
)
def zero_weight_loss(subject: Subject) -> Iterator[Problem]:
    network = subject.expanded
    if network.training is None:
        return
    for loss in network.training.losses:
        if loss.weight == 0:
            yield Problem(f"the loss '{loss.name}' has the weight 0", at=loss.value.producer())


@zero_weight_loss.bad
def switched_off() -> str:
    return """
        graphc: 1
        params: {smoothness: 0.0}
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes: [{id: y, conv: 3}]
        train:
          inputs: {target: "f32[1, 3, 8, 8]"}
          losses:
            - {op: mse, from: [y, target]}
            - {id: smooth, op: tv, from: y, weight: =smoothness}
    """


@zero_weight_loss.good
def left_out() -> str:
    return """
        graphc: 1
        params: {smoothness: 0.0}
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes: [{id: y, conv: 3}]
        train:
          inputs: {target: "f32[1, 3, 8, 8]"}
          losses:
            - {op: mse, from: [y, target]}
            - {id: smooth, op: tv, from: y, weight: =smoothness, when: =smoothness > 0}
    """
