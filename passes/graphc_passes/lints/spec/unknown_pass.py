"""A pass or a pipeline under `passes:` that does not exist.

Why    the model would be built without it, and ship as slow as it was written.
"""

from __future__ import annotations

from graphc import reported

unknown_pass = reported("spec/unknown-pass", help="take a name that `graphc passes` lists")


@unknown_pass.bad
def mistyped_pipeline() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
        passes: inferenc
    """


@unknown_pass.bad
def in_a_list() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
        passes: [drop-identity, drop-dropuot]
    """


@unknown_pass.good
def known() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
        passes: [drop-identity, drop-dropout]
    """
