"""A parameter that trains by the spec's words, and that no loss depends on.

A side branch that no loss reads, or a loss from which `stop_gradient` cuts it off. Where a loss depends on it through
an operator without a gradient, training/non-differentiable says so.

Why    its gradient does not exist: it stays as it was drawn, and the output that it feeds is random.
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
    help="let a loss read what it feeds, freeze it ('frozen: true'), or take it out",
)
def no_gradient_path(subject: Subject) -> Iterator[Problem]:
    flow = graphc.gradient_flow(subject.expanded)
    by_reader: dict[ir.Node, list[str]] = {}
    for path, value in flow.unused.items():
        by_reader.setdefault(next(iter(value.uses())).node, []).append(path)
    for reader, (first, *more) in by_reader.items():
        others = f" (and {len(more)} more of this layer)" if more else ""
        why = "cut off from every loss by 'stop_gradient'" if first in flow.stopped else "read by no loss"
        yield Problem(f"'{first}'{others} trains, and is {why}", at=reader)


@no_gradient_path.bad
def an_output_without_a_loss() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y, mask]
        nodes:
          - {id: f, conv: {out: 8, act: relu}}
          - {id: y, conv: 3}
          - {id: mask, conv: 1, from: f}
        train:
          inputs: {target: "f32[1, 3, 8, 8]"}
          losses: [{op: mse, from: [y, target]}]
    """


@no_gradient_path.bad
def behind_a_stopped_gradient() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: f, conv: {out: 8, act: relu}, stop_gradient: true}
          - {id: y, conv: 3}
        train:
          inputs: {target: "f32[1, 3, 8, 8]"}
          losses: [{op: mse, from: [y, target]}]
    """


@no_gradient_path.good
def frozen() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: f, conv: {out: 8, act: relu}, stop_gradient: true, frozen: true}
          - {id: y, conv: 3}
        train:
          inputs: {target: "f32[1, 3, 8, 8]"}
          losses: [{op: mse, from: [y, target]}]
    """
