"""An argument that a layer, a block, an import or an operator does not take.

Why    it would be ignored: a mistyped `kernle: 5` would be a convolution of 3.
"""

from __future__ import annotations

from graphc import reported

unknown_argument = reported("spec/unknown-argument", help="take one of the arguments that the hint names")


@unknown_argument.bad
def of_a_layer() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, conv: {out: 4, kernle: 5}}
    """


@unknown_argument.bad
def of_an_operator() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, LeakyRelu: {slope: 0.2}}
    """


@unknown_argument.bad
def of_a_block() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        blocks:
          soft: {params: {slope: 0.2}, do: [{leaky_relu: =slope}]}
        nodes:
          - {id: y, soft: {steep: 0.1}}
    """


@unknown_argument.good
def known() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        blocks:
          soft: {params: {slope: 0.2}, do: [{LeakyRelu: {alpha: =slope}}]}
        nodes:
          - {id: y, soft: {slope: 0.1}}
    """
