"""A suppression that does not say why.

Why    nobody can tell later whether it still holds, so it stays for ever.
"""

from __future__ import annotations

from graphc import reported

suppression_without_reason = reported(
    "run/suppression-without-reason",
    severity="warning",
    help="say why, after the bracket of the comment or as `reason:`",
)

UPSCALER = """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, conv_transpose: {out: 4, k: 3, stride: 2}%s
    """


@suppression_without_reason.bad
def in_a_comment() -> str:
    return UPSCALER % "} # graphc: ignore[convolution/checkerboard]"


@suppression_without_reason.bad
def in_an_item() -> str:
    return UPSCALER % ", lint: {ignore: [convolution/checkerboard]}}"


@suppression_without_reason.good
def with_a_reason() -> str:
    return UPSCALER % "} # graphc: ignore[convolution/checkerboard] the kernel is as in the paper"
