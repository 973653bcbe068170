"""A YAML tag.

Why    a tag asks the reader to construct something, in some readers any Python object; a spec is plain data.
"""

from __future__ import annotations

from graphc import reported

yaml_tag = reported("spec/yaml-tag", help="remove the tag; put quotes around a text that looks like a number")


@yaml_tag.bad
def text_by_a_tag() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        name: !!str 8
        nodes:
          - {id: y, op: relu}
    """


@yaml_tag.bad
def an_object() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        doc: !!python/object/apply:os.system [ls]
        nodes:
          - {id: y, op: relu}
    """


@yaml_tag.good
def text_by_quotes() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        name: "8"
        nodes:
          - {id: y, op: relu}
    """
