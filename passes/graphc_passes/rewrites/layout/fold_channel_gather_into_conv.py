"""Fold a Gather of channels into the convolution behind it or in front of it.

Law    conv(gather(x, π, axis 1), w) = conv(x, W)     W[:, c] = Σ over j with π[j] = c of w[:, j]
       gather(conv(x, w, b), π, axis 1) = conv(x, w[π], b[π])     with groups only where π stays within each of them
Why    the Gather is gone, at no cost: of two shuffles that enclose a dense convolution none is left (ShuffleNet).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Tape, View, require, rewrite, transpose_filter
from graphc_passes.nodes.channels import read_channel_gather
from graphc_passes.nodes.filters import ConstantConv, survives
from graphc_passes.nodes.stated import attributes_of, only_user
from graphc_passes.sampling.convolutions import DrawnConv, draw_conv
from graphc_passes.sampling.operands import gathered

CONVOLUTIONS = ("Conv", "ConvTranspose")


@rewrite("Gather", *CONVOLUTIONS, numerics="reassociates")
def fold_channel_gather_into_conv(root: View, op: Tape) -> ir.Value:
    return _fold_behind(root, op) if root.op_type == "Gather" else _fold_in_front(root, op)


def _fold_in_front(root: View, op: Tape) -> ir.Value:
    data, channels, indices = read_channel_gather(root.producer("X", "Gather"))
    conv = ConstantConv.read(root)
    require(_within_groups(indices, channels, conv.groups), "the Gather in front mixes groups")
    require(
        len(indices) >= channels,
        "channels are left out",
        conservative="they would be multiplied with zeros",
    )
    filter_ = _summed(conv.filter, indices, channels, conv.groups)
    require(survives(filter_, conv.bias, root.required("W")), "the summed weights would overflow")
    return _remade(conv, op, data, filter_, conv.bias)


def _summed(filter_: np.ndarray, indices: np.ndarray, channels: int, groups: int) -> np.ndarray:
    """The filter over the channels that the indices are of: where one is taken twice, its weights add up."""
    width = channels // groups
    made = np.zeros((len(filter_), width, *filter_.shape[2:]))
    for rows, taken in zip(np.split(np.arange(len(filter_)), groups), np.split(indices, groups), strict=True):
        for column, index in enumerate(taken % width):
            made[rows, index] += filter_[rows, column]
    return made


def _fold_behind(root: View, op: Tape) -> ir.Value:
    made, channels, indices = read_channel_gather(root)
    conv = ConstantConv.read(root.made_by(made, *CONVOLUTIONS))
    require(_within_groups(indices, channels, conv.groups), "the Gather behind mixes groups")
    require(
        len(indices) <= channels,
        "channels are repeated",
        conservative="they would be computed more than once",
    )
    require(only_user(made), "the convolution is used elsewhere", conservative="it would run twice")
    return _remade(conv, op, conv.view.required("X"), conv.filter[indices], conv.bias[indices])


def _within_groups(indices: np.ndarray, channels: int, groups: int) -> bool:
    """Whether each group of the indices lies in the same group of the channels."""
    if len(indices) % groups or channels % groups:
        return False
    own = np.repeat(np.arange(groups), len(indices) // groups)
    return bool((indices // (channels // groups) == own).all())


def _remade(conv: ConstantConv, op: Tape, data: ir.Value, filter_: np.ndarray, bias: np.ndarray) -> ir.Value:
    stored, like = transpose_filter(filter_, conv.groups) if conv.transposed else filter_, conv.view.required("W")
    return op.record(
        conv.view.op_type,
        data,
        op.constant(stored, like=like, name="weight"),
        op.constant(bias, like=like, name="bias") if conv.view.input("B") is not None else None,
        **attributes_of(conv.view),
    )


@fold_channel_gather_into_conv.cases
def cases() -> Iterator[Case]:
    yield Case(
        "permuted in front, bias, any size",
        lambda g: g.Conv(gathered(g, g.input("N", 3, "H", 4), 2, -3, 1), g.weight(2, 3, 2, 1), g.weight(2)),
    )
    yield Case(
        "repeated in front, negative axis",
        lambda g: g.Conv(gathered(g, g.input(1, 2, 4), 1, 0, 1, axis=-2), g.weight(2, 3, 2), pads=(1, 1)),
    )
    yield Case(
        "in front, within groups",
        lambda g: g.Conv(gathered(g, g.input(1, 4, 4), 1, 0, 2, 3), g.weight(2, 2, 3), group=2, auto_pad="SAME_UPPER"),
    )
    yield Case(
        "in front, transposed, within groups",
        lambda g: g.ConvTranspose(gathered(g, g.input(1, 4, 4), 1, 0, 2, 3), g.weight(4, 3, 3), g.weight(6), group=2),
    )
    yield Case(
        "permuted behind",
        lambda g: gathered(g, g.Conv(g.input(1, 2, 4), g.weight(3, 2, 2), g.weight(3), strides=(2,)), 2, 0, 1),
    )
    yield Case(
        "selected behind, transposed, within groups",
        lambda g: gathered(g, g.ConvTranspose(g.input(1, 2, 4), g.weight(2, 3, 2), group=2), 2, 0, 5, 4),
    )
    yield Case(
        "in front of two convolutions",
        lambda g: _two(g, gathered(g, g.Relu(g.input(1, 2, 4)), 1, 0)),
    )
    yield Case(
        "in front, across groups",
        lambda g: g.Conv(gathered(g, g.input(1, 4, 4), 0, 2, 1, 3), g.weight(2, 2, 3), group=2),
        refuses="the Gather in front mixes groups",
    )
    yield Case(
        "behind, across groups",
        lambda g: gathered(g, g.Conv(g.input(1, 4, 4), g.weight(4, 2, 3), group=2), 0, 2, 1, 3),
        refuses="the Gather behind mixes groups",
    )
    yield Case(
        "a selection in front",
        lambda g: g.Conv(gathered(g, g.input(1, 4, 4), 3, 1), g.weight(2, 2, 3)),
        refuses="channels are left out",
    )
    yield Case(
        "repeated behind",
        lambda g: gathered(g, g.Conv(g.input(1, 2, 4), g.weight(2, 2, 3)), 0, 1, 1),
        refuses="channels are repeated",
    )
    yield Case(
        "behind, and used elsewhere",
        _used_elsewhere,
        refuses="the convolution is used elsewhere",
    )
    yield Case(
        "weights whose sum overflows",
        _overflowing,
        refuses="the summed weights would overflow",
    )
    yield Case(
        "a Gather of space",
        lambda g: g.Conv(gathered(g, g.input(1, 2, 4), 2, 1, 0, axis=2), g.weight(2, 2, 2)),
        refuses="the Gather is not one of channels",
    )


def _two(g: CaseBuilder, x: ir.Value) -> tuple[ir.Value, ...]:
    return g.Conv(x, g.weight(3, 2, 2)), g.Conv(x, g.weight(1, 2, 3))


def _used_elsewhere(g: CaseBuilder) -> tuple[ir.Value, ...]:
    conv = g.Conv(g.input(1, 2, 4), g.weight(2, 2, 3))
    return gathered(g, conv, 1, 0), g.Relu(conv)


def _overflowing(g: CaseBuilder) -> ir.Value:
    """A convolution of zeros stays zero, but infinite weights would make it not a number."""
    x = g.input(1, 1, 3)
    return g.Conv(gathered(g, g.Sub(x, x), 0, 0), g.constant(np.full((1, 2, 1), 3e38, np.float32)))


@fold_channel_gather_into_conv.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, op_type=random.choice(CONVOLUTIONS), groups=(1, 1, 1, 2, 3))
    behind, groups = random.random() < 0.5, drawn.attributes["group"]
    channels = drawn.out_channels if behind else drawn.data[1]
    assert isinstance(channels, int)
    width = channels // groups
    indices = [group * width + random.randrange(width) for group in range(groups) for _ in range(width)]
    if random.random() < 0.6:
        indices = [group * width + each for group in range(groups) for each in random.sample(range(width), width)]
    if random.random() < 0.2:
        random.shuffle(indices)
    build = partial(_sample, drawn=drawn, behind=behind, indices=indices)
    name = f"{drawn} {'behind' if behind else 'in front'} {indices}"
    return Case(name, build, opset=random.choice((9, 13, 20)), seed=random.getrandbits(32))


def _sample(g: CaseBuilder, *, drawn: DrawnConv, behind: bool, indices: list[int]) -> ir.Value:
    return gathered(g, drawn.of(g), *indices) if behind else drawn.of(g, gathered(g, g.input(*drawn.data), *indices))
