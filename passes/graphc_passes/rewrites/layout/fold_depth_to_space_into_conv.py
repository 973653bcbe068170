"""Fold a DepthToSpace into the convolution behind it, which then runs in the phase domain, at low resolution.

Law    conv(depth_to_space(x), w) = crop(depth_to_space(conv(x, W)))      W[(k, r), (c, q), j] = w[k, c, the tap that
       joins q to r] from i = P·m + q and o = Q·n + r (the phases of the axis), P the block of the rearrangement
Why    of a convolution with few outputs the lanes are mostly idle: in the phase domain it has Q² times as many. The
       filter has zeros where no tap joins two phases, so this costs more multiplications.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Axis, Case, CaseBuilder, Phases, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.filters import ConstantConv
from graphc_passes.nodes.nests import both_sides, read_nest
from graphc_passes.nodes.rearranging import crop, depth_to_space
from graphc_passes.nodes.stated import ANY_SIZE
from graphc_passes.sampling.convolutions import DrawnConv, draw_conv


@rewrite("Conv", numerics="reassociates")
def fold_depth_to_space_into_conv(root: View, op: Tape, *, most_outputs: int = 8) -> ir.Value:
    rearranged = root.producer("X", "DepthToSpace")
    block, mode = rearranged.attr("blocksize"), rearranged.attr("mode")
    conv = ConstantConv.read(root)
    require(
        conv.out_channels <= most_outputs,
        "it has many outputs",
        conservative="its lanes are busy as it is, and the phase domain costs more multiplications",
    )
    require(mode == "CRD" or conv.groups == 1, "the phases of a group do not lie together")
    nest = read_nest(root, any_size=block * ANY_SIZE)
    require(all(axis.output > 0 for axis in nest.axes), "the output is empty")
    phases = [_phases(axis, block) for axis in nest.axes]
    filter_ = nest.lowered_filter(conv.filter, phases)
    if mode != "CRD":
        filter_ = filter_.reshape(len(filter_), -1, block**2, *filter_.shape[2:]).swapaxes(1, 2).reshape(filter_.shape)
    blocks = [phase.Q for phase in phases]
    low = _conv(root, op, rearranged.required("input"), filter_, np.repeat(conv.bias, np.prod(blocks)), phases)
    full = depth_to_space(op, low, conv.out_channels, blocks)
    tail = [phase.axis.output * phase.Q - axis.output for phase, axis in zip(phases, nest.axes, strict=True)]
    return crop(op, full, [0] * len(tail), tail)


def _phases(axis: Axis, block: int) -> Phases:
    """The phases of a Conv axis with `block` input phases."""
    if block % axis.down:
        raise Refusal("the stride does not divide the block")
    return axis.phases(block // axis.down)


def _conv(
    root: View, op: Tape, data: ir.Value, filter_: np.ndarray, bias: np.ndarray, phases: list[Phases]
) -> ir.Value:
    pads = [phase.axis.pads for phase in phases]
    weights = root.required("W")
    return op.Conv(
        crop(op, data, [max(0, -begin) for begin, _ in pads], [max(0, -end) for _, end in pads]),
        op.constant(filter_, like=weights, name="weight"),
        op.constant(bias, like=weights, name="bias") if root.input("B") else None,
        group=root.attr("group"),
        pads=both_sides([(max(0, begin), max(0, end)) for begin, end in pads]),
    )


def _case(
    name: str,
    x: tuple[int | str, ...],
    w: tuple[int, ...],
    *,
    block: int = 2,
    mode: str = "CRD",
    bias: int = 0,
    refuses: str | None = None,
    **attributes: object,
) -> Case:
    def build(g: CaseBuilder) -> ir.Value:
        data = g.DepthToSpace(g.input(*x), blocksize=block, mode=mode)
        return g.Conv(data, g.weight(*w), g.weight(bias) if bias else None, **attributes)

    return Case(name, build, refuses=refuses)


@fold_depth_to_space_into_conv.cases
def cases() -> Iterator[Case]:
    yield _case("a narrow end of a network", (1, 12, 3, 4), (2, 3, 3, 3), bias=2, pads=[1, 1, 1, 1])
    yield _case("DCR", (2, 8, 3, 4), (3, 2, 3, 3), mode="DCR", pads=[1, 1, 1, 1])
    yield _case("no pads: the size is no multiple", (1, 8, 3, 3), (1, 2, 2, 4), bias=1)
    yield _case("strided, dilated", (1, 8, 4, 4), (2, 2, 2, 3), strides=[2, 1], dilations=[1, 2], pads=[0, 1, 2, 1])
    yield _case("grouped", (1, 16, 2, 3), (4, 2, 3, 3), group=2, pads=[1, 1, 1, 1])
    yield _case("block 3, a dynamic size", ("N", 9, "H", "W"), (2, 1, 3, 3), block=3, pads=[1, 1, 1, 1])
    yield _case("many outputs", (1, 4, 2, 2), (9, 1, 3, 3), pads=[1, 1, 1, 1], refuses="it has many outputs")
    yield _case("auto_pad", ("N", 4, "H", 2), (2, 1, 3, 3), auto_pad="SAME_UPPER", strides=[2, 1])
    yield _case(
        "grouped, DCR",
        (1, 16, 2, 3),
        (4, 2, 3, 3),
        mode="DCR",
        group=2,
        refuses="the phases of a group do not lie together",
    )
    yield _case("stride 3", (1, 4, 3, 3), (2, 1, 1, 1), strides=[3, 3], refuses="the stride does not divide the block")
    yield _case("nothing comes out", (1, 4, 1, 1), (2, 1, 3, 3), refuses="the output is empty")


@fold_depth_to_space_into_conv.samples
def samples(random: Random) -> Case:
    block, mode = random.randint(1, 3), random.choice(("CRD", "CRD", "DCR"))
    drawn = draw_conv(random, ranks=(2,))
    spatial = [size if isinstance(size, str) else (size + 1) // 2 for size in drawn.data[2:]]
    channels = drawn.data[1]
    assert isinstance(channels, int)
    x = (drawn.data[0], channels * block**2, *spatial)
    build = partial(_sample, x=x, block=block, mode=mode, conv=drawn)
    return Case(f"{drawn} behind {block} {mode} {list(x)}", build, seed=random.getrandbits(32))


def _sample(g: CaseBuilder, *, x: tuple[int | str, ...], block: int, mode: str, conv: DrawnConv) -> ir.Value:
    return conv.of(g, g.DepthToSpace(g.input(*x), blocksize=block, mode=mode))
