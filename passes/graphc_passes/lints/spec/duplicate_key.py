"""A key that a mapping has twice, or one parameter by both of its names.

Why    YAML forbids it, and most readers keep the last value in silence.
"""

from __future__ import annotations

from graphc import reported

duplicate_key = reported("spec/duplicate-key", help="remove one of the two")


@duplicate_key.bad
def twice() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, leaky_relu: 0.2, leaky_relu: 0.1}
    """


@duplicate_key.bad
def long_and_short() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, max_pool: {k: 2, kernel: 2}}
    """


@duplicate_key.good
def once() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, leaky_relu: 0.2}
    """
