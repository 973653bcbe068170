"""A key that the language does not have there.

Why    it would be ignored: a mistyped `threds: 4` would run on any number of threads.
"""

from __future__ import annotations

from graphc import reported

unknown_key = reported("spec/unknown-key", help="take one of the keys that the hint names")


@unknown_key.bad
def of_a_target() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
        targets:
          cpu: {threds: 4}
    """


@unknown_key.bad
def of_an_item() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu, form: x}
    """


@unknown_key.good
def known() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu, from: x}
        targets:
          cpu: {threads: 4}
    """
