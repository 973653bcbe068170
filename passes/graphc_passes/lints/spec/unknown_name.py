"""A name that stands for nothing: in `from`, in an expression, or in the map of a weight file.

Why    the nearest name is most often the one that was meant, and guessing it would build another network.
"""

from __future__ import annotations

from graphc import reported

unknown_name = reported("spec/unknown-name", help="take a name that is declared before it")


@unknown_name.bad
def in_from() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu, from: z}
    """


@unknown_name.bad
def in_an_expression() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        params: {slope: 0.2}
        nodes:
          - {id: y, leaky_relu: =slop}
    """


@unknown_name.bad
def before_it_is_there() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: add, from: [x, late]}
          - {id: late, op: relu, from: x}
    """


@unknown_name.good
def declared() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        params: {slope: 0.2}
        nodes:
          - {id: early, leaky_relu: =slope}
          - {id: y, op: add, from: [x, early]}
    """
