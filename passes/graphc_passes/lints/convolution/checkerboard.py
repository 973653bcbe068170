"""A transposed convolution whose taps do not fall evenly on its output.

Why    where the stride does not divide the kernel, neighbouring outputs sum over different numbers of taps: a pattern
       of the stride's period that training has to undo, and often does not (Odena, Dumoulin and Olah, Distill 2016).
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import Axis, CaseBuilder, Refusal, View, lint

LARGEST = 1024  # what is larger is a mistake, or a table of phases meant to fill the memory


@lint(
    "ConvTranspose",
    category="convolution",
    severity="warning",
    help="make the kernel a multiple of the stride, or resize and then convolve",
)
def checkerboard(conv: View) -> str | None:
    for index, axis in enumerate(_axes(conv)):
        counts = (axis.phases().table >= 0).sum(axis=(1, 2))
        if len(set(counts)) > 1:
            return f"outputs along spatial axis {index} sum over {', '.join(map(str, counts))} taps in turn"
    return None


def _axes(conv: View) -> Iterator[Axis]:
    """The spatial axes over a single input: the taps that reach each output o = 0 ... stride − 1 (mod stride)."""
    filter = conv.required("W").shape
    kernel = conv.attr("kernel_shape") or (filter[2:] if filter is not None else ())
    ones = (1,) * len(kernel)
    strides, dilations = conv.attr("strides") or ones, conv.attr("dilations") or ones
    if not kernel or not len(kernel) == len(strides) == len(dilations):
        raise Refusal("its kernel, strides and dilations do not go together, or are not known")
    for taps, stride, dilation in zip(kernel, strides, dilations, strict=True):
        if not all(isinstance(size, int) and 0 < size <= LARGEST for size in (taps, stride, dilation)):
            raise Refusal(f"its kernel, strides and dilations are not all sizes from 1 to {LARGEST}")
        yield Axis.conv_transpose(1, taps, stride, dilation)


@checkerboard.bad
def kernel_3_stride_2(g: CaseBuilder) -> object:
    return g.ConvTranspose(g.input(1, 4, 8, 8), g.weight(4, 2, 3, 3), strides=(2, 2))


@checkerboard.bad
def dilation_shares_a_factor_with_the_stride(g: CaseBuilder) -> object:
    return g.ConvTranspose(g.input(1, 4, 8, 8), g.weight(4, 2, 4, 4), strides=(2, 2), dilations=(2, 2))


@checkerboard.good
def kernel_4_stride_2(g: CaseBuilder) -> object:
    return g.ConvTranspose(g.input(1, 4, 8, 8), g.weight(4, 2, 4, 4), strides=(2, 2))


@checkerboard.good
def stride_1(g: CaseBuilder) -> object:
    return g.ConvTranspose(g.input(1, 4, 8, 8), g.weight(4, 2, 3, 3))
