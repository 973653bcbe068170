"""A fraction where a size, a count or a number of channels is needed.

Why    rounding it in silence would build a network that the spec does not describe.
"""

from __future__ import annotations

from graphc import reported

non_integral = reported(
    "spec/non-integral", help="round it in the expression, as floor(width / 2), or choose sizes that divide"
)


@non_integral.bad
def half_of_five() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        params: {width: 5}
        nodes:
          - conv: =width / 2
          - {id: y, op: relu}
    """


@non_integral.good
def half_of_eight() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        params: {width: 8}
        nodes:
          - conv: =width / 2
          - {id: y, op: relu}
    """
