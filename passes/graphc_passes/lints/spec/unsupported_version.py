"""A spec in a newer version of the language than this graphc reads.

Why    what the newer version means by the same words is not known here.
"""

from __future__ import annotations

from graphc import reported

unsupported_version = reported("spec/unsupported-version", help="upgrade graphc")


@unsupported_version.bad
def from_the_future() -> str:
    return """
        graphc: 2
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
    """


@unsupported_version.good
def of_today() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
    """
