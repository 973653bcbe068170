"""Replace a convolution with few outputs by one that makes a block of neighbouring outputs at once, as channels.

Law    conv(x, w, s) = crop(depth_to_space(conv(x, W, s·b), b))      W[(k, r), c, u] = w[k, c, the tap of output phase r
       at u] from o = b·n + r (the phases of the axis): a kernel of k + s·(b − 1) taps
Why    Kernels compute outputs in lanes of 8 or 16: three outputs leave most idle, b² times as many fill them, for
       ((k + s·(b − 1))/k)² times the multiplications. On ONNX Runtime (AVX-512, 2 threads) 9×9 to 3 channels runs 3
       times as fast, 3×3 to 3 and to 6 channels 1.6 and 1.2 times. More outputs or short sums do not pay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Axis, Case, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.nests import both_sides
from graphc_passes.nodes.rearranging import crop_to, depth_to_space
from graphc_passes.nodes.sizes import sizes_of
from graphc_passes.nodes.windows import Window, WindowedConv
from graphc_passes.sampling.convolutions import draw_conv, plain_conv

LANES = 16  # of AVX-512


@rewrite("Conv", numerics="reassociates")
def replace_narrow_conv_with_output_blocking(
    root: View, op: Tape, *, block: int = 0, most_outputs: int = 6, most_stride: int = 2, least_sum: int = 24
) -> ir.Value:
    conv, content = WindowedConv.read(root), root.constant("W")
    windows, outputs, axes = conv.windows, conv.out_channels, len(conv.windows)
    if all(window.taps == 1 for window in windows) or block == 1:
        raise Refusal("neighbouring outputs have no input in common")
    require(outputs <= most_outputs, "it has many outputs", conservative="it would be slower: its lanes are full")
    require(
        axes == 2 and conv.groups == 1 and all(window.dilation == 1 for window in windows),
        "it is grouped, dilated, or not over two axes",
        conservative="it would be slower: more zeros than taps, or a rearrangement that is no DepthToSpace",
    )
    require(
        max(window.stride for window in windows) <= most_stride,
        "it skips outputs",
        conservative="it would be slower: neighbouring outputs have little input in common",
    )
    require(
        prod(content.shape[1:]) >= least_sum * outputs,
        "the sums are short",
        conservative="it would be slower: the rearrangement costs as much as is saved",
    )
    block = block or _best(outputs, [window.taps for window in windows])
    require(
        outputs * block**axes > most_outputs,
        "the result would be narrow itself",
        conservative="it would be blocked again",
    )
    blocked = [_blocked(window, block) for window in windows]
    filter_ = _filter(content, [reads for reads, _ in blocked])
    bias = root.optional_constant("B")
    low = op.Conv(
        conv.data,
        op.constant(filter_, like=conv.filter, name="weight"),
        None if bias is None else op.constant(np.repeat(bias, block**axes), like=conv.filter, name="bias"),
        group=conv.groups,
        strides=[window.stride * block for window in windows],
        pads=both_sides([pads for _, pads in blocked]),
    )
    full = depth_to_space(op, low, outputs, [block] * axes)
    lengths = sizes_of(op, conv.data)[2:]
    return crop_to(op, full, [w.outputs(length) for w, length in zip(windows, lengths, strict=True)])


def _best(outputs: int, taps: Sequence[int]) -> int:
    """The block of 2 or 4 for which the lanes make one output in the fewest steps."""

    def steps(block: int) -> float:
        return -(-outputs * block**2 // LANES) * prod(tap + block - 1 for tap in taps) / block**2

    return min((2, 4), key=steps)


def _blocked(window: Window, block: int) -> tuple[np.ndarray, tuple[int, int]]:
    """(the tap that phase r has at position u of the wide kernel, or −1 [block, wide]; the pads of that kernel)."""
    phases = window.axis.phases(block)
    table = phases.table.transpose(0, 2, 1).reshape(block, -1)  # over all positions from P·first on
    used = np.flatnonzero((table >= 0).any(axis=0))
    reads = table[:, used[0] : used[-1] + 1]
    begin = -phases.P * phases.first - int(used[0])
    low = Axis(window.axis.input, phases.axis.output, reads.shape[1], 1, phases.P, begin)
    end = max(0, low.pads[1]) if window.known else window.end + phases.P - window.stride
    return reads, (begin, end)


def _filter(content: np.ndarray, reads: Sequence[np.ndarray]) -> np.ndarray:
    """[Cout·Πblock, Cin, wide...]: output channel k·Πblock + r, zero where phase r has no tap."""
    axes = len(reads)
    found = np.pad(content, [(0, 0)] * 2 + [(0, 1)] * axes)  # so that tap −1 is a zero
    for axis in reversed(range(axes)):
        found = found[(slice(None),) * (2 + axis) + (reads[axis],)]
    phases, positions = range(2, 2 + 2 * axes, 2), range(3, 3 + 2 * axes, 2)
    moved = found.transpose(0, *phases, 1, *positions)
    return moved.reshape(-1, content.shape[1], *(read.shape[1] for read in reads))


@replace_narrow_conv_with_output_blocking.cases
def cases() -> Iterator[Case]:
    x, w = (1, 4, 6, 4), (1, 4, 3, 3)
    yield Case("kernel 3, one output", plain_conv(x, w, bias=True, pads=[1, 1, 1, 1]).of)
    yield Case("three outputs, cropped", plain_conv((1, 8, 5, 6), (3, 8, 3, 3), pads=[1, 1, 1, 1]).of)
    yield Case("strided", plain_conv((2, 8, 7, 6), (2, 8, 3, 2), bias=True, strides=[2, 1], pads=[0, 1, 2, 0]).of)
    yield Case("block 3", plain_conv((1, 3, 6, 8), (1, 3, 3, 3)).of, options={"block": 3})
    yield Case("dynamic sizes", plain_conv(("N", 4, "H", "W"), w, strides=[1, 2], pads=[1, 0, 1, 2]).of)
    yield Case("SAME_UPPER", plain_conv(x, (1, 4, 2, 3), auto_pad="SAME_UPPER").of, options={"least_sum": 8})
    for name, drawn, reason in (
        ("many outputs", plain_conv(x, (8, 4, 3, 3)), "it has many outputs"),
        ("1-D", plain_conv((1, 8, 6), (1, 8, 3)), "it is grouped, dilated, or not over two axes"),
        ("a large stride", plain_conv(x, w, strides=[3, 1]), "it skips outputs"),
        ("few inputs", plain_conv((1, 3, 6, 6), (3, 3, 3, 3)), "the sums are short"),
        ("one tap", plain_conv(x, (1, 4, 1, 1)), "neighbouring outputs have no input in common"),
    ):
        yield Case(name, drawn.of, refuses=reason)
    yield Case(
        "a small block",
        plain_conv(x, w, pads=[1, 1, 1, 1]).of,
        options={"block": 2},
        refuses="the result would be narrow itself",
    )


@replace_narrow_conv_with_output_blocking.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, ranks=(2,), groups=(1,), dilations=1)
    anything = {"block": random.randint(2, 3), "most_outputs": 3, "most_stride": 3, "least_sum": 0}
    return Case(str(drawn), drawn.of, options=anything, seed=random.getrandbits(32))
