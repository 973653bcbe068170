"""Move a permutation of channels below an operator that treats each channel, or each group of channels, by itself.

Law    f(gather(x, π, axis 1)) = gather(f(x), π, axis 1)     f pointwise or a pooling
       conv(gather(x, π), w, b, g) = gather(conv(x, w′, b′, g), π′)     π a permutation of whole groups, w′ and b′ in
       the order of the groups of x, π′ the same permutation of those of the outputs; of a depthwise one π is any
Why    the permutation comes to stand in front of the next dense convolution, which can take it up at no cost
       (ShuffleNet: a shuffle, a depthwise convolution, a pointwise one). It is smaller there after a stride.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.channels import read_channel_gather
from graphc_passes.nodes.grouping import GroupedConv, rows
from graphc_passes.nodes.stated import attributes_of, only_user
from graphc_passes.sampling.convolutions import draw_conv
from graphc_passes.sampling.operands import gathered

POINTWISE = (
    *("Abs", "Clip", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Neg", "Relu"),
    *("Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Tanh", "ThresholdedRelu"),
)
POOLS = ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool")


@rewrite("Conv", *POINTWISE, *POOLS, numerics="reassociates")
def move_channel_gather_below_pointwise(root: View, op: Tape) -> ir.Value:
    first, *more = root.inputs()
    if first is None:
        raise Refusal("an input is empty")
    gather = root.made_by(first, "Gather")
    data, channels, indices = read_channel_gather(gather)
    require(only_user(first), "the Gather is used elsewhere", conservative="it would be there twice")
    if root.op_type == "Conv":
        return _below_conv(root, op, data, channels, indices)
    moved = op.record(root.op_type, data, *more, **attributes_of(root))
    return op.Gather(moved, gather.required("indices"), axis=1)


def _below_conv(root: View, op: Tape, data: ir.Value, channels: int, indices: np.ndarray) -> ir.Value:
    conv = GroupedConv.read(root)
    require(conv.groups > 1, "there is only one group", conservative="a dense convolution takes the Gather up")
    order = _order_of_groups(indices, conv)
    require(channels == len(indices) and len(set(order)) == conv.groups, "channels are left out or repeated")
    back, bias = _channels_of(np.argsort(order), conv), root.input("B")
    moved = conv.remade(
        op,
        data,
        rows(op, root.required("W"), back),
        None if bias is None else rows(op, bias, back, "bias"),
    )
    return op.Gather(moved, op.constant(_channels_of(order, conv), name="channels"), axis=1)


def _order_of_groups(indices: np.ndarray, conv: GroupedConv) -> np.ndarray:
    """The group of the data that each group of the convolution reads."""
    by_group = indices.reshape(conv.groups, conv.inner)
    order = by_group[:, 0] // conv.inner
    whole = order[:, None] * conv.inner + np.arange(conv.inner)
    require((by_group == whole).all(), "groups are not moved as a whole")
    return order


def _channels_of(order: np.ndarray, conv: GroupedConv) -> list[int]:
    """The output channels of these groups, in this order."""
    channels: list[int] = (order[:, None] * conv.outer + np.arange(conv.outer)).reshape(-1).tolist()
    return channels


@move_channel_gather_below_pointwise.cases
def cases() -> Iterator[Case]:
    yield Case(
        "Clip", lambda g: g.Clip(gathered(g, g.input("N", 3, "H"), 2, 0, 1), g.weight(), g.weight(low=2, high=3))
    )
    yield Case(
        "two operators, a selection",
        lambda g: g.MaxPool(g.LeakyRelu(gathered(g, g.input(1, 3, 4), 2, 2, -3, 1), alpha=0.1), kernel_shape=(2,)),
    )
    yield Case(
        "depthwise, bias",
        lambda g: g.Conv(
            gathered(g, g.input(1, 3, 4, 4), 1, 2, 0), g.weight(3, 1, 2, 2), g.weight(3), group=3, strides=(2, 2)
        ),
    )
    yield Case(
        "depthwise with a multiplier, computed weights, 1-D, any size",
        lambda g: g.Conv(
            gathered(g, g.input("N", 3, "L"), 1, 2, 0), g.input(6, 1, 2), g.input(6), group=3, pads=(1, 0)
        ),
    )
    yield Case(
        "whole groups",
        lambda g: g.Conv(gathered(g, g.input(1, 4, 4), 2, 3, 0, 1), g.weight(6, 2, 2), group=2, auto_pad="SAME_UPPER"),
    )
    yield Case("opset 9", lambda g: g.GlobalAveragePool(gathered(g, g.input(1, 2, 3), 1, 0)), opset=9)
    yield Case(
        "channels of several groups",
        lambda g: g.Conv(gathered(g, g.input(1, 4, 4), 0, 3, 2, 1), g.weight(2, 2, 2), group=2),
        refuses="groups are not moved as a whole",
    )
    yield Case(
        "depthwise of a repeated channel",
        lambda g: g.Conv(gathered(g, g.input(1, 2, 4), 1, 1), g.weight(2, 1, 2), group=2),
        refuses="channels are left out or repeated",
    )
    yield Case(
        "dense",
        lambda g: g.Conv(gathered(g, g.input(1, 2, 4), 1, 0), g.weight(2, 2, 2)),
        refuses="there is only one group",
    )
    yield Case("used elsewhere", _used_elsewhere, refuses="the Gather is used elsewhere")


def _used_elsewhere(g: CaseBuilder) -> tuple[ir.Value, ...]:
    taken = gathered(g, g.input(1, 2, 4), 1, 0)
    return g.Relu(taken), g.Neg(taken)


@move_channel_gather_below_pointwise.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, groups=(1, 2, 3, 4), inner=(1, 1, 1, 2))
    groups, channels, computed = drawn.attributes["group"], drawn.data[1], random.random() < 0.3
    assert isinstance(channels, int)
    width = channels // groups
    order = random.sample(range(groups), groups)
    if random.random() < 0.2:
        order[0] = order[-1]
    indices = [group * width + each for group in order for each in range(width)]
    if random.random() < 0.1:
        random.shuffle(indices)

    def build(g: CaseBuilder) -> ir.Value:
        return drawn.of(g, gathered(g, g.input(*drawn.data), *indices), computed=computed)

    name = f"{drawn} of {indices} computed={computed}"
    return Case(name, build, opset=random.choice((9, 13, 20)), seed=random.getrandbits(32))


@move_channel_gather_below_pointwise.samples
def pointwise_samples(random: Random) -> Case:
    unsampled = ("Clip", "Sqrt", "GlobalMaxPool")  # have other inputs, make NaN of these, fail in onnx.reference (1-D)
    op_type = random.choice([name for name in (*POINTWISE, *POOLS) if name not in unsampled])
    window: dict[str, Any] = {"kernel_shape": (2,), "strides": (random.randint(1, 2),), "pads": (1, 0)}
    channels = random.randint(1, 4)
    indices = [random.randrange(channels) for _ in range(random.randint(1, 5))]
    shape = (random.choice((1, 2, "N")), channels, random.choice((1, 3, "L")))

    def build(g: CaseBuilder) -> ir.Value:
        attributes = window if op_type in ("AveragePool", "MaxPool") else {}
        return g.record(op_type, gathered(g, g.input(*shape), *indices), **attributes)

    return Case(f"{op_type} of {indices} of {list(shape)}", build, seed=random.getrandbits(32))
