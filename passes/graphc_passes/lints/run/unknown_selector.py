"""A lint that is selected, ignored or weighed in a spec, and that there is not.

Why    a lint that was renamed or mistyped is silently no longer ignored, or no longer looks at all.
"""

from __future__ import annotations

from graphc import reported

unknown_selector = reported("run/unknown-selector", help="graphc lint --help tells how to name lints")


@unknown_selector.bad
def ignored() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, relu: {}}
        lint: {ignore: [convolution/chekerboard]}
    """


@unknown_selector.bad
def weighed() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, relu: {}}
        lint: {severity: {speed: error}}
    """


@unknown_selector.bad
def suppressed_at_a_line() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, relu: {}} # graphc: ignore[convolution/chekerboard] the kernel is as in the paper
    """


@unknown_selector.good
def a_category_and_a_lint() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, relu: {}}
        lint: {select: [convolution, run/unknown-selector]}
    """
