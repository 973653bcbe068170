"""An item that calls no layer, block, import or ONNX operator.

Why    names in snake_case are layers, blocks and imports, names in CamelCase operators of ONNX; this is neither.
"""

from __future__ import annotations

from graphc import reported

unknown_layer = reported("spec/unknown-layer", help="take the name that the hint gives, or define a block of it")


@unknown_layer.bad
def mistyped() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, leeky_relu: 0.2}
    """


@unknown_layer.bad
def an_operator() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: Reluu}
    """


@unknown_layer.good
def a_layer() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, leaky_relu: 0.2}
    """


@unknown_layer.good
def the_operator() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: Relu}
    """
