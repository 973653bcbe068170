"""Replace a three-dimensional convolution with a two-dimensional one of its depth taps, stacked as channels.

Law    conv3d(x, w)[n, k, z] = conv2d(X[n, z], W)[k],
       X[n, z, (c, t)] = x[n, c, s·z − p + d·t], W[k, (c, t)] = w[k, c, t]
       the depths become the batch; channel c·k_D + t keeps the groups together
Why    Runtimes have fast kernels for images, and none, or slow ones, for volumes; there are as many multiplications,
       and a copy of the data for each depth tap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from types import MappingProxyType

import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, constant, require, rewrite
from graphc_passes.nodes.nests import both_sides
from graphc_passes.nodes.padding import padded
from graphc_passes.nodes.reshaping import unsqueeze
from graphc_passes.nodes.sizes import reshape, sizes_of
from graphc_passes.nodes.slicing import sliced
from graphc_passes.nodes.windows import Window, WindowedConv
from graphc_passes.sampling.convolutions import draw_conv

DEPTH_FIRST = (0, 2, 1, 3, 4)  # between [N, C, D, H, W] and [N, D, C, H, W]


@rewrite("Conv", numerics="reassociates")
def replace_conv3d_with_conv2d(root: View, op: Tape, *, fewest_channels: int = 1, fewest_taps: int = 1) -> ir.Value:
    conv = WindowedConv.read(root)
    if len(conv.windows) != 3:
        raise Refusal("it has not three spatial axes")
    require(
        conv.in_channels // conv.groups >= fewest_channels,
        "fewer channels in a group than `fewest_channels`",
        conservative="the copies may take longer than the product gains",
    )
    require(
        min(window.taps for window in conv.windows) >= fewest_taps,
        "an axis with fewer taps than `fewest_taps`",
        conservative="the copies may take longer than the product gains",
    )
    depth, *image = conv.windows
    stacked = _stacked(op, conv.data, depth)
    channels = conv.in_channels * depth.taps
    batch, depths, *_, height, width = sizes_of(op, stacked)
    flat = reshape(op, stacked, [batch * depths, channels, height, width])
    made = op.Conv(
        flat,
        _filter(op, conv),
        conv.bias,
        group=conv.groups,
        strides=[window.stride for window in image],
        dilations=[window.dilation for window in image],
        pads=both_sides([window.pads for window in image]),
    )
    volumes = reshape(op, made, [batch, depths, conv.out_channels, *sizes_of(op, made)[2:]])
    return op.Transpose(volumes, perm=DEPTH_FIRST)


def _stacked(op: Tape, data: ir.Value, depth: Window) -> ir.Value:
    """[N, C, D, H, W] as [N, D', C, k_D, H, W]: for each output depth what its taps see."""
    begin, end = depth.pads
    deep = padded(op, op.Transpose(data, perm=DEPTH_FIRST), (0, begin, 0, 0, 0), (0, end, 0, 0, 0))
    apart = unsqueeze(op, deep, [3])
    seen = [_read_by(op, apart, depth, tap) for tap in range(depth.taps)]
    return seen[0] if len(seen) == 1 else op.Concat(*seen, axis=3)


def _read_by(op: Tape, data: ir.Value, depth: Window, tap: int) -> ir.Value:
    """What that tap reads of the depths of [N, D, ...]."""
    cut = depth.reads(tap)
    return data if cut.whole else sliced(op, data, {1: cut})


def _filter(op: Tape, conv: WindowedConv) -> ir.Value:
    """[Cout, Cin/g, k_D, k_H, k_W] as [Cout, Cin/g·k_D, k_H, k_W]: the elements stay where they are."""
    taps = [window.taps for window in conv.windows]
    shape = [conv.out_channels, conv.in_channels // conv.groups * taps[0], *taps[1:]]
    content = constant(conv.filter)
    if content is None:
        return reshape(op, conv.filter, shape)
    return op.constant(content.reshape(shape), like=conv.filter, name="weight")


def _case(
    name: str,
    data: tuple[int | str, ...],
    weight: tuple[int, ...],
    *,
    opset: int = 20,
    refuses: str | None = None,
    options: Mapping[str, int] = MappingProxyType({}),
    **given: object,
) -> Case:
    def build(g: CaseBuilder) -> ir.Value:
        return g.Conv(g.input(*data), g.weight(*weight), g.weight(weight[0]), **given)

    return Case(name, build, refuses, options, opset)


@replace_conv3d_with_conv2d.cases
def cases() -> Iterator[Case]:
    yield _case("padded", (2, 2, 3, 4, 3), (3, 2, 3, 3, 2), pads=(1, 1, 0, 1, 0, 1))
    yield _case("strided and dilated", (1, 2, 6, 4, 5), (2, 2, 2, 2, 2), strides=(2, 1, 2), dilations=(3, 2, 1))
    yield _case("grouped", (1, 4, 4, 3, 3), (4, 2, 2, 2, 2), group=2, pads=(1, 0, 0, 0, 0, 0))
    yield _case("a kernel of one depth", (1, 2, 3, 4, 3), (3, 2, 1, 2, 2), opset=11)
    yield _case("dynamic sizes", ("N", 2, "D", "H", "W"), (2, 2, 3, 2, 2), strides=(2, 1, 1), pads=(1, 0, 0, 1, 0, 1))
    yield _case("SAME_LOWER", (1, 2, 4, 4, 3), (2, 2, 2, 3, 2), strides=(2, 2, 1), auto_pad="SAME_LOWER")
    yield Case("computed weights", lambda g: g.Conv(g.input(1, 2, 3, 3, 3), g.input(2, 2, 2, 2, 2)))
    yield Case(
        "two axes",
        lambda g: g.Conv(g.input(1, 3, 7, 4), g.weight(4, 3, 3, 1)),
        refuses="it has not three spatial axes",
    )
    yield _case(
        "narrow",
        (1, 4, 3, 3, 3),
        (4, 2, 2, 2, 2),
        group=2,
        options={"fewest_channels": 4},
        refuses="fewer channels in a group than `fewest_channels`",
    )
    yield _case(
        "over time only",
        (1, 2, 4, 3, 3),
        (2, 2, 3, 1, 1),
        options={"fewest_taps": 2},
        refuses="an axis with fewer taps than `fewest_taps`",
    )


@replace_conv3d_with_conv2d.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, ranks=(3,), size=6, kernel=3, pads=2)
    opset = random.choice((10, 11, 13, 20))
    return Case(f"{drawn} opset {opset}", drawn.of, seed=random.getrandbits(32), opset=opset)
