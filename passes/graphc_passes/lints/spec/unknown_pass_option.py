"""An option that a pass does not have, or a value of another kind than it takes.

Why    the pass would run with its default instead.
"""

from __future__ import annotations

from graphc import reported

unknown_pass_option = reported("spec/unknown-pass-option", help="take an option that `graphc explain PASS` lists")


@unknown_pass_option.bad
def mistyped() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
        passes: [{drop-identity: {whne: always}}]
    """


@unknown_pass_option.bad
def of_a_pipeline() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
        passes: "inference{fast=true}"
    """


@unknown_pass_option.good
def known() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
        passes: [{drop-identity: {when: always}}]
    """
