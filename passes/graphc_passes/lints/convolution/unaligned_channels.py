"""Convolutions of channels that are just short of a multiple of 16, and none of 4.

Why    ONNX Runtime's blocked kernels (NCHWc, 8 or 16 channels a block) take channels that are a multiple of 4, and fill
       up the last block; all others run as plain matrix products. Measured on AVX-512, 3×3 filters of 30, 46, 58, 62,
       110 and 126 channels took 1.15 to 1.5 times as long as those of the next multiple of 16; where that adds more
       than a quarter to the multiply-adds, or the filter is 1×1, it gains nothing. Tensor cores want multiples of 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import onnx_ir as ir

from graphc import CaseBuilder, Convolution, Problem, Subject, View, lint
from graphc_passes.nodes.workload import ANY_SIZE, WORTH, of_one

ALIGNMENT, BLOCK = 4, 16
MORE = 1.25  # times the multiply-adds, at most, for whole blocks


@lint(
    category="convolution",
    severity="info",
    help="choose a multiple of 16, or at least of 8",
)
def unaligned_channels(subject: Subject) -> Iterator[Problem]:
    found = []
    for node, opset in subject.nodes("Conv"):
        view = View(node, opset)
        conv = of_one(view, ANY_SIZE) if _may_be(view.input("W")) else None
        if conv is not None and conv.macs >= WORTH and _is_unaligned(conv):
            found.append((conv.macs, node, conv))
    if found:
        _, node, conv = max(found, key=lambda each: each[0])
        others = f", and {len(found) - 1} others are like it" if len(found) > 1 else ""
        yield Problem(f"it reads {conv.in_channels} channels{others}", at=node)


def _may_be(filter_: ir.Value | None) -> bool:
    """Whether the filter is of an image, and reads channels that are no multiple of 4."""
    if filter_ is None or filter_.shape is None or len(filter_.shape) != 4:
        return False
    channels = filter_.shape[1]
    return isinstance(channels, int) and channels % ALIGNMENT > 0


def _is_unaligned(conv: Convolution) -> bool:
    """Whether what it reads misses the blocked kernels, and whole blocks would gain.

    What it makes may be given: colours of a block of pixels, classes. Where it was chosen, the next one reads it.
    """
    sizes = conv.in_channels, conv.out_channels
    if conv.groups > 1 or prod(axis.taps for axis in conv.axes) == 1 or min(sizes) < BLOCK:
        return False
    whole = prod(-(-size // BLOCK) * BLOCK for size in sizes)
    return whole <= MORE * prod(sizes)


@unaligned_channels.bad
def thirty_channels(g: CaseBuilder) -> object:
    x = g.Relu(g.Conv(g.input(1, 3, 56, 56), g.weight(30, 3, 3, 3), pads=(1, 1, 1, 1)))
    return g.Conv(x, g.weight(30, 30, 3, 3), pads=(1, 1, 1, 1))


@unaligned_channels.good
def twenty_eight_channels(g: CaseBuilder) -> object:
    x = g.Relu(g.Conv(g.input(1, 3, 56, 56), g.weight(28, 3, 3, 3), pads=(1, 1, 1, 1)))
    return g.Conv(x, g.weight(28, 28, 3, 3), pads=(1, 1, 1, 1))


@unaligned_channels.good
def colours_of_a_block(g: CaseBuilder) -> object:
    x = g.Conv(g.input(1, 32, 56, 56), g.weight(27, 32, 3, 3), pads=(1, 1, 1, 1))
    return g.DepthToSpace(x, blocksize=3, mode="CRD")


@unaligned_channels.good
def far_from_a_block(g: CaseBuilder) -> object:
    x = g.Relu(g.Conv(g.input(1, 3, 112, 112), g.weight(18, 3, 3, 3), pads=(1, 1, 1, 1)))
    return g.Conv(x, g.weight(18, 18, 3, 3), pads=(1, 1, 1, 1))


@unaligned_channels.good
def of_a_small_map(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 30, 8, 8), g.weight(30, 30, 3, 3), pads=(1, 1, 1, 1))
