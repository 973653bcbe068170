"""A convolution of stride 1 that keeps the size of its data and pads one more at one side: its filter is even.

Why    what comes out lies half a position off what goes in. Each such layer adds to the drift, and a sum with something
       that did not drift blurs (Wu et al., Convolution with even-sized kernels and symmetric padding, NeurIPS 2019);
       and CUDA's kernels pad both sides alike, so that runtimes copy the data first.
"""

from __future__ import annotations

from graphc import CaseBuilder, View, lint
from graphc_passes.nodes.workload import ANY_SIZE, of_one


@lint(
    "Conv",
    category="convolution",
    severity="info",
    help="take an odd filter, or let every other such layer pad the other side",
)
def asymmetric_pad(conv: View) -> str | None:
    filter_ = conv.input("W")
    kernel = filter_.shape[2:] if filter_ is not None and filter_.shape is not None else ()
    if len(kernel) < 2 or all(isinstance(taps, int) and taps % 2 for taps in kernel):
        return None  # along a single axis, time, it is meant to be causal
    found = of_one(conv, ANY_SIZE)
    if found is None or any(axis.down != 1 for axis in found.axes):
        return None
    for index, axis in enumerate(found.axes):
        begin, end = axis.pads
        if axis.input == axis.output and abs(begin - end) == 1:
            place = f"along spatial axis {index} it pads {begin} before and {end} behind"
            return f"{place}: what comes out lies half a position off what goes in"
    return None


@asymmetric_pad.bad
def four_taps(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 4, 8, 8), g.weight(4, 4, 4, 4), pads=(1, 1, 2, 2))


@asymmetric_pad.bad
def two_taps_over_any_size(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 4, "H", "W"), g.weight(4, 4, 2, 2), pads=(0, 0, 1, 1))


@asymmetric_pad.good
def three_taps(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 4, 8, 8), g.weight(4, 4, 3, 3), pads=(1, 1, 1, 1))


@asymmetric_pad.good
def with_a_stride(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 4, 8, 8), g.weight(4, 4, 4, 4), strides=(2, 2), pads=(1, 1, 2, 2))


@asymmetric_pad.good
def causal(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 4, 8), g.weight(4, 4, 2), pads=(1, 0))


@asymmetric_pad.good
def four_taps_of_which_one_is_lost(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 4, 8, 8), g.weight(4, 4, 4, 4), pads=(1, 1, 1, 1))
