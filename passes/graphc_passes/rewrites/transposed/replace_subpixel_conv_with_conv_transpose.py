"""Replace a convolution whose outputs are interleaved into space with one transposed convolution.

Law    depth_to_space(conv(x, W)) = conv_transpose(x, w, stride s)     w[c, k, s·(taps − 1 − j) + r] = W[(k, r), c, j],
       with begin pad s·(taps − 1 − p), from s·i = o + s·(taps − 1 − p) − t with o = s·n + r and i = n − p + j
Why    one operator for a convolution and a rearrangement, where a runtime has a fast ConvTranspose; as many
       multiplications. The inverse of the sub-pixel convolution (Shi et al., CVPR 2016).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Literal

import numpy as np
import onnx_ir as ir

from graphc import Axis, Case, CaseBuilder, Refusal, Tape, View, require, rewrite, transpose_filter
from graphc_passes.nodes.filters import ConstantConv
from graphc_passes.nodes.nests import read_nest
from graphc_passes.nodes.rearrangements import Interleaving
from graphc_passes.nodes.rearranging import depth_to_space
from graphc_passes.nodes.transposed import transposed_attributes
from graphc_passes.sampling.convolutions import draw_conv


@rewrite("DepthToSpace", "Reshape", numerics="reassociates")
def replace_subpixel_conv_with_conv_transpose(root: View, op: Tape) -> ir.Value:
    found = Interleaving.read(root)
    view = root.made_by(found.data, "Conv")
    require(all(stride == 1 for stride in view.attr("strides") or ()), "the convolution has a stride")
    conv, nest = ConstantConv.read(view), read_nest(view)
    require(all(axis.step == 1 or axis.taps == 1 for axis in nest.axes), "the convolution is dilated")
    if found.channels % conv.groups:
        raise Refusal("the groups do not divide the channels that come out")
    require(_keeps_groups(found, conv.groups), "phases of one channel are of different groups")
    bias = conv.bias[found.rows].reshape(found.channels, -1)
    require((bias == bias[:, :1]).all(), "the bias differs between the phases")
    raised = [_raised(axis, block) for axis, block in zip(nest.axes, found.blocks, strict=True)]
    filter_ = np.pad(_joined(conv.filter[found.rows], found.blocks), [(0, 0), (0, 0), *(zeros for _, zeros in raised)])
    weights = view.required("W")
    return op.ConvTranspose(
        view.required("X"),
        op.constant(transpose_filter(filter_, conv.groups), like=weights, name="weight"),
        op.constant(bias[:, 0], like=weights, name="bias") if view.input("B") is not None else None,
        **transposed_attributes([axis for axis, _ in raised], conv.groups),
    )


def _keeps_groups(found: Interleaving, groups: int) -> bool:
    """Whether the phases of a channel all come from the group that a ConvTranspose has it in."""
    group_of = np.arange(len(found.rows)) * groups // len(found.rows)
    return np.array_equal(group_of[found.rows], group_of)


def _raised(axis: Axis, block: int) -> tuple[Axis, tuple[int, int]]:
    """The transposed axis that has the Conv axis `axis` as its low resolution, with (before, behind) zero taps more.

    They reach what no other tap does, which pads below zero would have to say.
    """
    begin, end = (block * (axis.taps - 1 - pad) for pad in axis.pads)
    before, behind = max(0, -begin), max(0, 1 - block - end)
    taps = block * axis.taps + before + behind
    return Axis(axis.input, block * axis.output, taps, block, 1, -begin - before, -1), (before, behind)


def _joined(lowered: np.ndarray, blocks: Sequence[int]) -> np.ndarray:
    """[Cout·Πblocks, Cin/g, taps...] to [Cout, Cin/g, taps·block...]: the inverse of `Convolution.lowered_filter`."""
    rank = len(blocks)
    taps = lowered.shape[2:]
    apart = np.flip(lowered, tuple(range(2, 2 + rank))).reshape(-1, *blocks, lowered.shape[1], *taps)
    order = [axis for pair in zip(range(2 + rank, 2 + 2 * rank), range(1, 1 + rank), strict=True) for axis in pair]
    joined = apart.transpose(0, 1 + rank, *order)
    return joined.reshape(*joined.shape[:2], *np.multiply(taps, blocks))


def _subpixel(
    g: CaseBuilder,
    data: tuple[int | str, ...],
    filter_: tuple[int, ...],
    blocks: Sequence[int],
    mode: Literal["CRD", "DCR"] = "CRD",
    *,
    bias: bool = False,
    **attributes: object,
) -> ir.Value:
    """A Conv, interleaved; its bias is the same for all phases."""
    channels = filter_[0] // int(np.prod(blocks))
    each = g.random.standard_normal(channels).astype(g.dtype.numpy())
    stored = np.repeat(each, np.prod(blocks)) if mode == "CRD" else np.tile(each, np.prod(blocks))
    low = g.Conv(g.input(*data), g.weight(*filter_), g.constant(stored) if bias else None, **attributes)
    return depth_to_space(g, low, channels, blocks, mode)


@replace_subpixel_conv_with_conv_transpose.cases
def cases() -> Iterator[Case]:
    sub = _subpixel
    yield Case("CRD", lambda g: sub(g, (1, 3, 3, 4), (8, 3, 2, 2), (2, 2), bias=True, pads=(1, 1, 1, 1)))
    yield Case("DCR", lambda g: sub(g, (1, 3, 3, 4), (8, 3, 3, 3), (2, 2), "DCR", bias=True, pads=(1, 2, 0, 1)))
    yield Case("DCR before opset 11", lambda g: sub(g, (1, 3, 3, 4), (8, 3, 1, 2), (2, 2), "DCR"), opset=10)
    yield Case("pointwise", lambda g: sub(g, (2, 3, 3, 4), (9, 3, 1, 1), (3, 3)))
    yield Case("grouped", lambda g: sub(g, (1, 4, 3, 4), (8, 2, 2, 1), (2, 2), group=2, bias=True))
    yield Case("1-D", lambda g: sub(g, ("N", 3, 5), (6, 3, 3), (3,), pads=(2, 1), bias=True))
    yield Case("1-D, DCR", lambda g: sub(g, (1, 3, 5), (6, 3, 2), (3,), "DCR", bias=True))
    yield Case("3-D", lambda g: sub(g, (1, 2, 2, 3, 2), (8, 2, 1, 2, 1), (2, 2, 2)))
    yield Case("unequal blocks", lambda g: sub(g, (1, 3, 3, 4), (6, 3, 2, 2), (1, 3), pads=(0, 1, 0, 1)))
    yield Case("SAME_UPPER", lambda g: sub(g, (1, 3, 3, 4), (4, 3, 2, 3), (2, 2), auto_pad="SAME_UPPER"))
    yield Case("dynamic sizes", lambda g: sub(g, ("N", 3, "H", "W"), (8, 3, 3, 3), (2, 2), pads=(1, 1, 1, 1)))
    yield Case(
        "strided",
        lambda g: sub(g, (1, 3, "H", "W"), (4, 3, 2, 2), (2, 2), strides=(2, 2)),
        refuses="the convolution has a stride",
    )
    yield Case(
        "dilated",
        lambda g: sub(g, (1, 3, 5, 5), (4, 3, 2, 2), (2, 2), dilations=(2, 1)),
        refuses="the convolution is dilated",
    )
    yield Case(
        "grouped, DCR",
        lambda g: sub(g, (1, 4, 3, 3), (8, 2, 2, 2), (2, 2), "DCR", group=2),
        refuses="phases of one channel are of different groups",
    )
    yield Case(
        "a channel of two groups",
        lambda g: sub(g, (1, 4, 3, 3), (4, 2, 2, 2), (2, 2), group=2),
        refuses="the groups do not divide the channels that come out",
    )
    yield Case(
        "a bias for each phase",
        lambda g: g.DepthToSpace(g.Conv(g.input(1, 3, 3, 3), g.weight(4, 3, 2, 2), g.weight(4)), blocksize=2),
        refuses="the bias differs between the phases",
    )
    yield Case("outputs that no tap reaches", lambda g: sub(g, (1, 3, 3, 3), (4, 3, 1, 2), (2, 2), pads=(1, 2, 2, 3)))
    yield Case("another rearrangement", _rows_apart, refuses="it does not interleave channels into space")


def _rows_apart(g: CaseBuilder) -> ir.Value:
    """Each block before its axis: the phases lie one after the other."""
    low = g.Conv(g.input(1, 3, 4), g.weight(6, 3, 2))
    apart = g.Reshape(low, g.constant([1, 3, 2, 3]))
    return g.Reshape(g.Transpose(apart, perm=[0, 1, 2, 3]), g.constant([1, 3, 6]))


@replace_subpixel_conv_with_conv_transpose.samples
def samples(random: Random) -> Case:
    dull = random.random() < 0.8
    drawn = draw_conv(random, strides=1 if dull else 2, dilations=1 if dull else 2, groups=(1, 1, 1, 2), pads=2)
    blocks = [random.randint(1, 3) for _ in drawn.filter[2:]]
    if random.random() < 0.5:
        blocks = blocks[:1] * len(blocks)
    filter_ = (drawn.filter[0] * int(np.prod(blocks)), *drawn.filter[1:])
    steps = zip(drawn.data[2:], drawn.filter[2:], drawn.attributes["dilations"], strict=True)
    data = (*drawn.data[:2], *(size + (k - 1) * d if isinstance(size, int) else size for size, k, d in steps))
    mode: Literal["CRD", "DCR"] = random.choice(("CRD", "DCR"))
    return Case(
        f"{drawn} over {data} blocks={blocks} {mode}",
        lambda g: _subpixel(g, data, filter_, blocks, mode, bias=drawn.bias, **drawn.attributes),
        opset=random.choice((9, 11, 13, 18, 20, 21)),
        seed=random.getrandbits(32),
    )
