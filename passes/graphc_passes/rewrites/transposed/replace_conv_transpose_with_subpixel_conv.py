"""Replace a transposed convolution with a convolution at low resolution that makes all s^n phases at once.

Law    conv_transpose(x, w) = crop(depth_to_space(conv(x, W)))     W[(k, r), c, j] = w[c, k, tap that joins c to r]
       from up·i = down·o − pad + step·t with o = s·n + r (the phases of the axis); a few outputs more are made in
       front and cropped where that makes W narrower; for finite data: where W has no tap, 0·∞ is not a number
Why    ConvTranspose is the slow or missing operator of many runtimes; this is the one convolution of sub-pixel networks
       (Shi et al., CVPR 2016), and costs no more multiplications where s divides the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import (
    Axis,
    Case,
    CaseBuilder,
    Tape,
    View,
    require,
    rewrite,
)
from graphc_passes.nodes.filters import ConstantConv
from graphc_passes.nodes.nests import read_nest
from graphc_passes.nodes.rearranging import crop, depth_to_space
from graphc_passes.sampling.convolutions import draw_conv


@rewrite("ConvTranspose", numerics="reassociates")
def replace_conv_transpose_with_subpixel_conv(root: View, op: Tape) -> ir.Value:
    conv, nest = ConstantConv.read(root), read_nest(root)
    require(all(axis.output > 0 for axis in nest.axes), "the output is empty")
    shifted = [_narrowest(axis) for axis in nest.axes]
    phases = [axis.phases() for axis, _ in shifted]
    blocks = [phase.Q for phase in phases]
    pads = [phase.axis.pads for phase in phases]
    low = op.Conv(
        crop(op, root.required("X"), *_sides(pads, lambda pad: max(0, -pad))),
        op.constant(
            nest.lowered_filter(conv.filter, phases),
            like=root.required("W"),
            name="weight",
        ),
        op.constant(np.repeat(conv.bias, int(np.prod(blocks))), like=root.required("W"), name="bias")
        if root.input("B")
        else None,
        group=conv.groups,
        pads=[max(0, pad) for side in _sides(pads, int) for pad in side],
    )
    full = depth_to_space(op, low, conv.out_channels, blocks)
    begin = [front for _, front in shifted]
    end = [
        phase.axis.output * phase.Q - front - axis.output
        for phase, front, axis in zip(phases, begin, nest.axes, strict=True)
    ]
    return crop(op, full, begin, end)


def _narrowest(axis: Axis) -> tuple[Axis, int]:
    """(axis with some outputs more in front, how many): those whose phases span the fewest taps."""
    candidates = [(axis.preceded_by(front), front) for front in range(axis.up)]
    return min(candidates, key=lambda pair: pair[0].phases().width)


def _sides(pads: Sequence[tuple[int, int]], change: object) -> tuple[list[int], list[int]]:
    """(begins, ends) of the pads, each changed."""
    assert callable(change)
    return [change(begin) for begin, _ in pads], [change(end) for _, end in pads]


def _case(name: str, x: tuple[int | str, ...], w: tuple[int, ...], *, bias: int = 0, **attributes: object) -> Case:
    def build(g: CaseBuilder) -> ir.Value:
        return g.ConvTranspose(g.input(*x), g.weight(*w), g.weight(bias) if bias else None, **attributes)

    return Case(name, build)


@replace_conv_transpose_with_subpixel_conv.cases
def cases() -> Iterator[Case]:
    yield _case("kernel 4, stride 2, pads 1", (1, 3, 5, 6), (3, 4, 4, 4), bias=4, strides=(2, 2), pads=(1, 1, 1, 1))
    yield _case(
        "kernel 3, output padding",
        (2, 3, 5, 6),
        (3, 4, 3, 3),
        strides=(2, 2),
        pads=(1, 1, 1, 1),
        output_padding=(1, 1),
    )
    yield _case("kernel = stride", (1, 3, 4, 5), (3, 2, 2, 2), bias=2, strides=(2, 2))
    yield _case("kernel smaller than stride", (1, 3, 4, 5), (3, 2, 2, 1), bias=2, strides=(3, 3))
    yield _case("stride 1", (1, 3, 5, 6), (3, 4, 3, 3), bias=4, pads=(1, 1, 1, 1))
    yield _case("grouped, unequal strides", (1, 4, 5, 6), (4, 3, 3, 4), bias=6, group=2, strides=(2, 3))
    yield _case("dilated", (1, 3, 5, 6), (3, 4, 3, 2), strides=(2, 2), dilations=(2, 3), pads=(1, 2, 0, 1))
    yield _case("1-D", (1, 3, 7), (3, 2, 5), strides=(3,), pads=(1, 2))
    yield _case("3-D", (1, 2, 3, 4, 3), (2, 2, 3, 3, 3), strides=(2, 2, 2), pads=(1, 1, 1, 1, 1, 1))
    yield _case("SAME_UPPER", (1, 3, 5, 6), (3, 4, 3, 3), strides=(2, 2), auto_pad="SAME_UPPER")
    yield _case("SAME_LOWER", (1, 3, 5, 6), (3, 4, 4, 4), strides=(2, 2), auto_pad="SAME_LOWER")
    yield _case("output_shape", (1, 3, 5, 6), (3, 4, 3, 3), strides=(2, 2), output_shape=(10, 12))
    yield _case("pads that crop input away", (1, 3, 6, 7), (3, 4, 3, 3), strides=(2, 2), pads=(4, 3, 5, 0))
    yield _case("a dynamic size", ("N", 3, "H", "W"), (3, 4, 4, 4), strides=(2, 2), pads=(1, 1, 1, 1))
    yield _case("a dynamic size, unequal strides", ("N", 3, "H", "W"), (3, 4, 4, 4), strides=(2, 3), pads=(1, 1, 1, 1))
    yield Case(
        "a filter that is computed",
        lambda g: g.ConvTranspose(g.input(1, 3, 5, 6), g.input(3, 4, 3, 3)),
        refuses="W of ConvTranspose is not a constant",
    )
    yield Case(
        "output_shape and a dynamic size",
        lambda g: g.ConvTranspose(g.input(1, 3, 5, "W"), g.weight(3, 4, 3, 3), strides=(2, 2), output_shape=(10, 12)),
        refuses="output_shape with a size that is not known: the pads depend on it",
    )
    yield Case(
        "nothing comes out",
        lambda g: g.ConvTranspose(g.input(1, 3, 2, 2), g.weight(3, 4, 1, 1), pads=(1, 1, 1, 1)),
        refuses="the output is empty",
    )


@replace_conv_transpose_with_subpixel_conv.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, op_type="ConvTranspose")
    return Case(str(drawn), drawn.of, seed=random.getrandbits(32))
