"""A suppression of a lint that finds nothing there.

Why    what it was for is mended or has moved; it would hide the next defect at that place.
"""

from __future__ import annotations

from graphc import reported

unused_suppression = reported("run/unused-suppression", severity="warning", help="remove it")


@unused_suppression.bad
def beside_an_item() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, relu: {}} # graphc: ignore[convolution/checkerboard] as in the paper
    """


@unused_suppression.bad
def above_an_item() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes:
          # graphc: ignore[graph] as in the paper
          - {id: y, relu: {}}
    """


@unused_suppression.bad
def in_an_item() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, relu: {}, lint: {ignore: [convolution/checkerboard], reason: as in the paper}}
    """


@unused_suppression.bad
def by_a_glob() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, relu: {}}
        lint: {per-node-ignores: {"body*": [graph]}}
    """


UPSCALER = """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, conv_transpose: {out: 4, k: 3, stride: 2}%s
    """


@unused_suppression.good
def that_is_needed() -> str:
    return UPSCALER % "} # graphc: ignore[convolution/checkerboard] the kernel is as in the paper"


@unused_suppression.good
def that_an_item_needs() -> str:
    return UPSCALER % ", lint: {ignore: [convolution/checkerboard], reason: the kernel is as in the paper}}"
