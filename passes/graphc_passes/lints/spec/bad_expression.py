"""An expression that is none, or that cannot be computed.

Why    expressions are arithmetic over names: no attributes, no imports, no way to make a large value.
"""

from __future__ import annotations

from graphc import reported

bad_expression = reported(
    "spec/bad-expression",
    help="there are numbers, texts, names, lists, arithmetic, comparisons, and or not, if else, and a few functions",
)


@bad_expression.bad
def half_written() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, leaky_relu: =0.1 *}
    """


@bad_expression.bad
def not_allowed() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, leaky_relu: =x.shape}
    """


@bad_expression.bad
def by_zero() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, leaky_relu: =1 / 0}
    """


@bad_expression.good
def arithmetic() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, leaky_relu: =1 / 8}
    """
