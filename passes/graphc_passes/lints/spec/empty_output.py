"""A layer that has nothing to give: a kernel larger than its input, a body without items.

Why    a size below one is no tensor; it shows in the runtime only, and at some sizes only.
"""

from __future__ import annotations

from graphc import reported

empty_output = reported("spec/empty-output", help="pad the input, make the kernel smaller, or give the body an item")


@empty_output.bad
def kernel_larger_than_its_input() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, max_pool: {k: 9, stride: 1}}
    """


@empty_output.good
def kernel_as_large_as_its_input() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, max_pool: {k: 8, stride: 1}}
    """
