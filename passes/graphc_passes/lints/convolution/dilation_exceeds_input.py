"""A dilated convolution whose outer taps never meet data, because they reach beyond it.

Why    where the dilation comes near the size of the map, a 3×3 filter does no more than a 1×1: what was to see the
       whole image sees one pixel and padding (Chen et al., Rethinking Atrous Convolution, 2017, section 3.2). Sizes
       that are known at run time only are not judged.
"""

from __future__ import annotations

from graphc import CaseBuilder, View, lint
from graphc_passes.nodes.taps import with_dead_taps


@lint(
    "Conv",
    "ConvTranspose",
    category="convolution",
    severity="warning",
    help="dilate by less than the map is long, or pool the whole map instead",
)
def dilation_exceeds_input(conv: View) -> str | None:
    if max(conv.attr("dilations") or (), default=1) < 2:
        return None
    for index, axis, dead in with_dead_taps(conv):
        dilation = abs(axis.step)
        if dilation > 1:
            reach = f"dilated by {dilation} over {axis.input} positions"
            return f"{dead} of {axis.taps} taps along spatial axis {index} never meet data: {reach}"
    return None


@dilation_exceeds_input.bad
def dilated_by_eighteen_over_twelve(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 4, 12, 12), g.weight(4, 4, 3, 3), dilations=(18, 18), pads=(18,) * 4)


@dilation_exceeds_input.bad
def the_outermost_of_seven(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 4, 5), g.weight(4, 4, 7), dilations=(2,), pads=(6, 6))


@dilation_exceeds_input.good
def as_far_as_the_map(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 4, 12, 12), g.weight(4, 4, 3, 3), dilations=(11, 11), pads=(11,) * 4)


@dilation_exceeds_input.good
def of_a_size_that_only_the_data_knows(g: CaseBuilder) -> object:
    x = g.input(1, 4, "H", "W")
    return g.Conv(x, g.weight(4, 4, 3, 3), dilations=(18, 18), pads=(18,) * 4)
