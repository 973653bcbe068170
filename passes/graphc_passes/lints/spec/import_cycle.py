"""A spec that imports or extends itself, over other specs or at once.

Why    its expansion would never end.
"""

from __future__ import annotations

from graphc import reported

import_cycle = reported("spec/import-cycle", help="move what both need into a third spec")


@import_cycle.bad
def imports_itself() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        imports: {again: net.yaml}
        nodes:
          - {id: y, op: again}
    """


@import_cycle.bad
def extends_itself() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        extends: net.yaml
        nodes:
          - {id: y, op: relu}
    """


@import_cycle.good
def a_loop_that_ends() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, repeat: 2, do: [relu, tanh]}
    """
