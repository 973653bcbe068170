"""A value of the right kind that cannot be: below its bound, of an unknown word, or with another that it excludes.

Why    the model could not be built, or would be another one than is written.
"""

from __future__ import annotations

from graphc import reported

bad_value = reported("spec/bad-value", help="choose a value within the bounds that the message names")


@bad_value.bad
def below_its_bound() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
        targets:
          cpu: {threads: 0}
    """


@bad_value.bad
def unknown_word() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, resize: {scale: 2, mode: nearst}}
    """


@bad_value.bad
def beyond_64_bits() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, leaky_relu: 99999999999999999999}
    """


@bad_value.good
def within() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, resize: {scale: 2, mode: nearest}}
        targets:
          cpu: {threads: 1}
    """
