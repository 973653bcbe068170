"""A dimension with a range where one size is needed.

Why    expressions and some layers need a number when the network is built, and a range is none.
"""

from __future__ import annotations

from graphc import reported

dim_not_fixed = reported(
    "spec/dim-not-fixed", help="give the dimension one size in 'dims', or use a layer that accepts any size"
)


@dim_not_fixed.bad
def in_an_expression() -> str:
    return """
        graphc: 1
        dims: {L: {min: 4, max: 16}}
        inputs: {x: "f32[1, L]"}
        outputs: [y]
        nodes:
          - {id: y, scale: =1 / L}
    """


@dim_not_fixed.bad
def channels() -> str:
    return """
        graphc: 1
        dims: {L: {min: 4, max: 16}}
        inputs: {x: "f32[1, L]"}
        outputs: [y]
        nodes:
          - {id: y, dense: 4}
    """


@dim_not_fixed.good
def one_size() -> str:
    return """
        graphc: 1
        dims: {L: 8}
        inputs: {x: "f32[1, L]"}
        outputs: [y]
        nodes:
          - {id: y, scale: =1 / L}
    """
