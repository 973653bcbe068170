"""Replace a strided convolution with a stride-1 convolution over the phases of its input, side by side as channels.

Law    conv(x, w, s) = conv(space_to_depth(x, s), W)      W[k, (c, q), j] = w[k, c, the tap that reads phase q at j]
       from i = s·m + q (the phases of the axis); the input is first extended with zeros to a multiple of s
Why    A stem of three channels leaves most lanes of matrix units idle, and has four or sixteen times as many this way:
       the form in which MLPerf submissions run ResNet's 7×7 stem on TPUs. Zeros in W cost s·⌈k/s⌉/k per axis.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from random import Random
from typing import Any, Literal

import onnx_ir as ir

from graphc import Case, Phases, Refusal, Tape, View, read_convolution, rewrite
from graphc_passes.nodes.nests import both_sides
from graphc_passes.nodes.padding import zero_padded
from graphc_passes.nodes.rearranging import crop, space_to_depth
from graphc_passes.nodes.stated import known_sizes
from graphc_passes.nodes.windows import WindowedConv
from graphc_passes.sampling.convolutions import draw_conv, plain_conv


@rewrite("Conv", numerics="reassociates")
def replace_strided_conv_with_space_to_depth(root: View, op: Tape) -> ir.Value:
    conv, content = WindowedConv.read(root), root.constant("W")
    if all(window.stride == 1 for window in conv.windows):
        raise Refusal("it has no stride")
    if not all(window.known for window in conv.windows):
        raise Refusal("a size is not known: the padding depends on it")
    sizes = [window.axis.input for window in conv.windows]
    nest = read_convolution(root, [1, conv.in_channels, *sizes], known_sizes(conv.filter))
    phases = [axis.phases() for axis in nest.axes]
    blocks = [phase.P for phase in phases]
    filter_ = nest.lowered_filter(content, phases)
    mode: Literal["DCR", "CRD"] = "DCR" if conv.groups == 1 else "CRD"  # SpaceToDepth's; where groups lie together
    if mode == "DCR":
        split = filter_.reshape(conv.out_channels, conv.in_channels, prod(blocks), *filter_.shape[2:])
        filter_ = split.swapaxes(1, 2).reshape(filter_.shape)
    missing = [_read(phase) - size for phase, size in zip(phases, sizes, strict=True)]
    none = [0] * len(blocks)
    whole = crop(op, conv.data, none, [max(0, -each) for each in missing])
    whole = zero_padded(op, whole, none, [max(0, each) for each in missing])
    return op.Conv(
        space_to_depth(op, whole, conv.in_channels, blocks, mode),
        op.constant(filter_, like=conv.filter, name="weight"),
        conv.bias,
        group=conv.groups,
        pads=both_sides([(phase.axis.pads[0], max(0, phase.axis.pads[1])) for phase in phases]),
    )


def _read(phase: Phases) -> int:
    """How many elements of the input are read, in whole blocks: what lies behind the last window is not."""
    return phase.P * (phase.axis.input + min(0, phase.axis.pads[1]))


def _case(name: str, x: tuple[int | str, ...], w: tuple[int, ...], **attributes: Any) -> Case:
    drawn = plain_conv(x, w, **attributes)
    return Case(name, drawn.of, oracle=drawn.oracle)


@replace_strided_conv_with_space_to_depth.cases
def cases() -> Iterator[Case]:
    yield _case("kernel 3, same size halved", (1, 3, 8, 6), (4, 3, 3, 3), bias=True, strides=(2, 2), pads=(1, 1, 1, 1))
    yield _case("a stem: kernel 7, an odd size", (1, 2, 7, 8), (3, 2, 7, 7), strides=(2, 2), pads=(3, 3, 3, 3))
    yield _case("patches", (2, 2, 6, 6), (4, 2, 3, 3), bias=True, strides=(3, 3))
    yield _case("grouped", (1, 4, 6, 5), (6, 2, 3, 2), group=2, strides=(2, 2), pads=(1, 0, 0, 1))
    yield _case("one axis, dilated", (1, 2, 7, 5), (3, 2, 2, 2), strides=(3, 1), dilations=(2, 2), pads=(1, 0, 2, 0))
    yield _case("the end is not read", (1, 2, 8), (3, 2, 2), strides=(3,))
    yield _case("3-D, a dynamic batch", ("N", 1, 4, 5, 3), (2, 1, 2, 3, 1), strides=(2, 2, 1))
    yield _case("SAME_LOWER", (1, 2, 7, 6), (3, 2, 3, 4), strides=(2, 3), auto_pad="SAME_LOWER")
    for name, size, stride, reason in (
        ("stride 1", 5, 1, "it has no stride"),
        ("a dynamic size", "W", 2, "a size is not known: the padding depends on it"),
    ):
        build = _case(name, (1, 2, 5, size), (3, 2, 2, 2), strides=(stride, stride)).build
        yield Case(name, build, refuses=reason)
    yield Case(
        "a filter that is computed",
        lambda g: g.Conv(g.input(1, 2, 5, 5), g.input(3, 2, 2, 2), strides=(2, 2)),
        refuses="W of Conv is not a constant",
    )


@replace_strided_conv_with_space_to_depth.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, strides=4)
    return Case(str(drawn), drawn.of, seed=random.getrandbits(32), oracle=drawn.oracle)
