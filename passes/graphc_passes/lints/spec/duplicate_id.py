"""An id, a name of an output or a path of weights that is taken.

Why    the second would hide the first, and what reads that name would read another value.
"""

from __future__ import annotations

from graphc import reported

duplicate_id = reported("spec/duplicate-id", help="give one of the two another id")


@duplicate_id.bad
def of_an_item() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
          - {id: y, op: tanh}
    """


@duplicate_id.bad
def of_an_input() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: x, op: relu}
          - {id: y, op: tanh}
    """


@duplicate_id.good
def different() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: a, op: relu}
          - {id: y, op: tanh}
    """
