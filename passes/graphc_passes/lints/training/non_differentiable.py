"""An operator without a gradient between a parameter and every loss: ArgMax, Round, a comparison, a Cast to integers.

Only where the parameters behind it have no other way to a loss; a size that is read from a shape is none.

Why    a step function has the gradient 0 or none: what is behind it never trains, though the loss is computed from it.
"""

from __future__ import annotations

from collections.abc import Iterator

import graphc
from graphc import Problem, Subject, lint


@lint(
    on="spec",
    category="training",
    severity="error",
    help="use a smooth form in training (softmax for argmax), a loss on what comes before, or freeze what is behind it",
)
def non_differentiable(subject: Subject) -> Iterator[Problem]:
    for node, (first, *more) in graphc.gradient_flow(subject.expanded).blocking.items():
        others = f" and {len(more)} parameters more" if more else ""
        yield Problem(f"no gradient passes {node.op_type}, and '{first}'{others} have no other way to a loss", at=node)


@non_differentiable.bad
def rounded_before_the_loss() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes:
          - conv: 3
          - {id: y, op: Round}
        train:
          inputs: {target: "f32[1, 3, 8, 8]"}
          losses: [{op: mse, from: [y, target]}]
    """


@non_differentiable.good
def rounded_beside_it() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [z]
        nodes:
          - {id: y, conv: 3}
          - {id: z, op: Round}
        train:
          inputs: {target: "f32[1, 3, 8, 8]"}
          losses: [{op: mse, from: [y, target]}]
    """
