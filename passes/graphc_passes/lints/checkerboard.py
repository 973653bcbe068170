"""A transposed convolution whose taps do not fall evenly on its output.

Why    where the stride does not divide the kernel, neighbouring outputs sum over different numbers of taps: a
       pattern of the stride's period that training has to undo, and often does not (Odena, Dumoulin and Olah,
       Distill 2016).
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from graphc import Axis, CaseBuilder, View, lint, views


@lint(
    "convolution",
    severity="warning",
    help="make the kernel a multiple of the stride, or resize and then convolve",
)
def checkerboard(model: ir.Model) -> Iterator[tuple[ir.Node, str]]:
    for conv in views(model, "ConvTranspose"):
        for axis, counts in enumerate(_taps_per_phase(conv)):
            if len(set(counts)) > 1:
                shown = ", ".join(map(str, counts))
                yield conv.node, f"outputs along spatial axis {axis} sum over {shown} taps in turn"
                break


def _taps_per_phase(conv: View) -> Iterator[list[int]]:
    """Per spatial axis, how many taps reach each of the outputs o = 0 ... stride − 1 (mod stride)."""
    shape = conv.required("W").shape
    kernel = conv.attr("kernel_shape") or (shape[2:] if shape is not None else ())
    ones = (1,) * len(kernel)
    strides, dilations = conv.attr("strides") or ones, conv.attr("dilations") or ones
    for taps, stride, dilation in zip(kernel, strides, dilations, strict=True):
        if isinstance(taps, int):
            table = Axis.conv_transpose(1, taps, stride, dilation).phases().table
            yield [int(count) for count in (table >= 0).sum(axis=(1, 2))]


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
