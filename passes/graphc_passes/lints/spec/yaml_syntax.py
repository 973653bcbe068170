"""A spec that is no YAML: an open bracket, a tab, a colon in a bare text.

Why    nothing of the spec can be read from there on.
"""

from __future__ import annotations

from graphc import reported

yaml_syntax = reported("spec/yaml-syntax", help="check the indentation, the brackets and the quotes there")


@yaml_syntax.bad
def an_open_bracket() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu
    """


@yaml_syntax.bad
def no_quotes_around_a_colon() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        doc: a network: one layer
        nodes:
          - {id: y, op: relu}
    """


@yaml_syntax.good
def closed() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
    """


@yaml_syntax.good
def quoted() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        doc: "a network: one layer"
        nodes:
          - {id: y, op: relu}
    """
