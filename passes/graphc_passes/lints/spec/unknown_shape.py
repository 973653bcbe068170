"""A layer that needs the shape of its input, where only the data tells it.

Why    NonZero, Unique and their like give as many values as the data has; what follows cannot be checked or costed.
"""

from __future__ import annotations

from graphc import reported

unknown_shape = reported("spec/unknown-shape", help="reshape the value to a known shape first")


@unknown_shape.bad
def after_non_zero() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {op: NonZero, from: x}
          - {id: y, op: flatten}
    """


@unknown_shape.good
def known() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: flatten}
    """
