"""Prediction and target that do not have one shape, in a difference that broadcasts them against each other.

Of a subtraction between what only the target gives and what the network gives, in the nodes of `train:`. A target of a
single number, or a batch of 1, is meant to be spread.

Why    [N, 1] less [N] is [N, N]: each prediction is compared with the targets of all examples, the loss has its minimum
       where all predictions are the mean of the targets, and nothing looks wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

import graphc
from graphc import Problem, Subject, lint


@lint(
    on="spec",
    category="training",
    severity="warning",
    help="give both one shape, with reshape, squeeze or unsqueeze; mse and l1 refuse what does not fit",
)
def target_shape_mismatch(subject: Subject) -> Iterator[Problem]:
    network = subject.expanded
    if network.training is None:
        return
    targets = _behind(network.training.nodes, set(network.training.inputs))
    predictions = _behind(network.training.nodes, {value for node in network.nodes for value in node.outputs})
    for node in network.training.nodes:
        if node.op_type != "Sub" or node.domain or None in node.inputs:
            continue
        sides = [_side(value, targets, predictions) for value in node.inputs]
        if set(sides) != {"target", "prediction"}:
            continue
        of = {side: graphc.preferred_sizes(network, value) for side, value in zip(sides, node.inputs, strict=True)}
        if not _agree(of["prediction"], of["target"]):
            yield Problem(
                f"the prediction {list(of['prediction'])} less the target {list(of['target'])} is"
                f" {list(graphc.preferred_sizes(network, node.outputs[0]))}",
                at=node,
            )


def _behind(nodes: tuple[ir.Node, ...], found: set[ir.Value]) -> set[ir.Value | None]:
    """What is computed from these values, and they."""
    known: set[ir.Value | None] = {*found}
    for node in nodes:
        if not known.isdisjoint(node.inputs):
            known.update(node.outputs)
    return known


def _side(value: ir.Value | None, targets: set[ir.Value | None], predictions: set[ir.Value | None]) -> str:
    if value in targets:
        return "both" if value in predictions else "target"
    return "prediction" if value in predictions else "constant"


def _agree(prediction: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether they have one shape, or the target is a number, or one of them has a batch of 1 that is spread."""
    is_number = not target or (target == (1,) and prediction[:1] != (1,))
    spread = len(prediction) == len(target) and prediction[1:] == target[1:] and 1 in (prediction[0], target[0])
    return prediction == target or is_number or spread


@target_shape_mismatch.bad
def column_less_row() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[4, 8]"}
        outputs: [y]
        nodes: [{id: y, dense: 1}]
        train:
          inputs: {target: "f32[4]"}
          losses:
            - {op: reduce_mean, from: squares}
          nodes:
            - {id: difference, op: sub, from: [y, target]}
            - {id: squares, op: square, from: difference}
    """


@target_shape_mismatch.good
def one_shape() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[4, 8]"}
        outputs: [y]
        nodes: [{id: y, dense: 1}]
        train:
          inputs: {target: "f32[4, 1]"}
          losses: [{op: mse, from: [y, target]}]
    """
