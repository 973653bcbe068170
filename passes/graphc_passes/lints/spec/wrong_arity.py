"""A layer, a block or an import that is given more or fewer inputs than it takes, or gives more than one output where
one is needed.

Why    which input is meant cannot be guessed.
"""

from __future__ import annotations

from graphc import reported

wrong_arity = reported("spec/wrong-arity", help="name the inputs in 'from', and a member of several outputs as half.0")


@wrong_arity.bad
def one_of_two_inputs() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: sub}
    """


@wrong_arity.bad
def two_of_one_input() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu, from: [x, x]}
    """


@wrong_arity.bad
def two_outputs() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: half, split: 2}
          - {id: y, op: relu, from: half}
    """


@wrong_arity.good
def two_of_two() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: half, split: 2}
          - {id: y, op: sub, from: [half.0, half.1]}
    """
