"""An argument, a parameter or a key that is required and not there.

Why    it has no default because no value is right for most networks.
"""

from __future__ import annotations

from graphc import reported

missing_argument = reported("spec/missing-argument", help="give it a value")


@missing_argument.bad
def of_a_layer() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, conv: {k: 3}}
    """


@missing_argument.bad
def of_the_spec() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        params: {slope: null}
        nodes:
          - {id: y, leaky_relu: =slope}
    """


@missing_argument.bad
def of_a_block() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        blocks:
          soft: {params: {slope: null}, do: [{leaky_relu: =slope}]}
        nodes:
          - {id: y, op: soft}
    """


@missing_argument.good
def given() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        blocks:
          soft: {params: {slope: null}, do: [{leaky_relu: =slope}]}
        nodes:
          - {id: y, soft: 0.2}
    """
