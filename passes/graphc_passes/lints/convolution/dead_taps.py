"""A filter larger than what it is laid over: some of its taps never meet data.

Why    a 3×3 filter, padded, over a map of one pixel is a 1×1 with eight weights for nothing: they are stored and
       multiplied, and learn nothing. A sign that the map is smaller than its author thought. Sizes that are known at
       run time only are not judged.
"""

from __future__ import annotations

from graphc import CaseBuilder, View, lint
from graphc_passes.nodes.taps import with_dead_taps


@lint(
    "Conv",
    "ConvTranspose",
    category="convolution",
    severity="warning",
    help="take a smaller filter there, or stride less before",
)
def dead_taps(conv: View) -> str | None:
    for index, axis, dead in with_dead_taps(conv):
        if abs(axis.step) == 1:  # of dilated ones another lint speaks
            return f"{dead} of {axis.taps} taps along spatial axis {index} never meet any of its {axis.input} positions"
    return None


@dead_taps.bad
def over_one_pixel(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 4, 1, 1), g.weight(4, 4, 3, 3), pads=(1, 1, 1, 1))


@dead_taps.bad
def transposed_and_cropped_away(g: CaseBuilder) -> object:
    return g.ConvTranspose(g.input(1, 4, 1, 1), g.weight(4, 4, 4, 4), strides=(2, 2), pads=(1, 1, 1, 1))


@dead_taps.good
def over_two_pixels(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 4, 2, 2), g.weight(4, 4, 3, 3), pads=(1, 1, 1, 1))


@dead_taps.good
def transposed(g: CaseBuilder) -> object:
    return g.ConvTranspose(g.input(1, 4, 2, 2), g.weight(4, 4, 4, 4), strides=(2, 2), pads=(1, 1, 1, 1))
