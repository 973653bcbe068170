"""A block that calls itself, over other blocks or at once.

Why    its expansion would never end.
"""

from __future__ import annotations

from graphc import reported

block_cycle = reported("spec/block-cycle", help="use 'repeat' for a bounded loop")


@block_cycle.bad
def at_once() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        blocks:
          unit: {do: [relu, unit]}
        nodes:
          - {id: y, op: unit}
    """


@block_cycle.bad
def over_another() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        blocks:
          a: {do: [b]}
          b: {do: [a]}
        nodes:
          - {id: y, op: a}
    """


@block_cycle.good
def a_loop_that_ends() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        blocks:
          unit: {do: [relu, tanh]}
        nodes:
          - {id: y, repeat: 2, do: [unit]}
    """
