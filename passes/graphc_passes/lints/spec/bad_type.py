"""A value of another kind than the language wants there: a text for a number, a list for a mapping.

Why    nothing is converted in silence: "3" is no integer, and 1 is not true.
"""

from __future__ import annotations

from graphc import reported

bad_type = reported("spec/bad-type", help="write a value of the kind that the message names")


@bad_type.bad
def text_for_a_number() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, leaky_relu: steep}
    """


@bad_type.bad
def number_for_a_truth() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, conv: {out: 4, bias: 0}}
    """


@bad_type.bad
def no_type() -> str:
    return """
        graphc: 1
        inputs: {x: "float 4"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
    """


@bad_type.good
def as_wanted() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, conv: {out: 4, bias: false}}
    """
