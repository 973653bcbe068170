"""Shapes that do not go together, or that are not those which the spec declares.

Why    at the sizes that the message names the operator has no result, whatever the weights are.
"""

from __future__ import annotations

from graphc import reported

shape_mismatch = reported("spec/shape-mismatch", help="follow the notes to where the shapes come from")


@shape_mismatch.bad
def a_sum() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: wide, conv: 8}
          - {id: y, op: add, from: [x, wide]}
    """


@shape_mismatch.bad
def around_a_residual() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, residual: [{conv: 8}]}
    """


@shape_mismatch.bad
def as_declared() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: {y: "f32[1, 4, 8, 8]"}
        nodes:
          - {id: y, max_pool: 2}
    """


@shape_mismatch.good
def with_a_shortcut() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, residual: {do: [{conv: 8}], shortcut: [{pw: 8}]}}
    """


@shape_mismatch.good
def declared_as_it_is() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: {y: "f32[1, 4, 4, 4]"}
        nodes:
          - {id: y, max_pool: 2}
    """
