"""Fuse a sum of convolutions of different values into one convolution of their concatenation.

Law    conv(x1, w1, b1) + conv(x2, w2, b2) + ... = conv(concat(x1, x2, ...), [w1, w2, ...], b1 + b2 + ...)
       The values are alike in all but their channels, the convolutions in all but their weights.
Why    The sum is made inside the convolution, and only one result is written. The copy of the values has to be smaller
       than that: where they have fewer channels than the results. `split-concat-conv` is the other direction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.filters import survives
from graphc_passes.nodes.siblings import Sibling
from graphc_passes.nodes.stated import attributes_of
from graphc_passes.sampling.convolutions import draw_conv


@rewrite("Add", "Sum", numerics="reassociates", improves=("nodes",))
def fuse_sum_of_convs(root: View, op: Tape) -> ir.Value:
    operands = [value for value in root.inputs() if value is not None]
    convs = [Sibling.read(root.made_by(value, "Conv")) for value in operands]
    first = convs[0]
    if len(convs) < 2 or len({conv.data for conv in convs}) < len(convs):
        raise Refusal("they are not convolutions of different values")
    if any(conv.windows != first.windows or conv.out_channels != first.out_channels for conv in convs):
        raise Refusal("they read different elements, or make different channels")
    require(all(_alike(first.data, conv.data) for conv in convs), "the values may differ in more than their channels")
    require(
        sum(conv.read_for_one for conv in convs) <= len(convs) * first.out_channels,
        "the copy of the values outweighs the sum",
        conservative="it would be slower",
    )
    filter_ = np.concatenate([conv.filter for conv in convs], axis=1)
    biases = [conv.bias.astype(np.float64) for conv in convs if conv.bias is not None]
    bias = np.sum(biases, axis=0) if biases else np.zeros(first.out_channels)
    weights = first.view.required("W")
    require(survives(filter_, bias, weights), "the sum of the biases would overflow")
    return op.Conv(
        op.Concat(*(conv.data for conv in convs), axis=1),
        op.constant(filter_, like=weights, name="weight"),
        op.constant(bias, like=weights, name="bias") if biases else None,
        **attributes_of(first.view),
    )


def _alike(a: ir.Value, b: ir.Value) -> bool:
    """Whether the sizes of two values are the same, known or named, but for the channels."""
    if a.shape is None or b.shape is None or len(a.shape) != len(b.shape):
        return False
    pairs = [(x, y) for axis, (x, y) in enumerate(zip(a.shape, b.shape, strict=True)) if axis != 1]
    return all(x == y and (isinstance(x, int) or x.value is not None) for x, y in pairs)


def _case(
    name: str,
    *pairs: tuple[tuple[int | str, ...], tuple[int, ...]],
    biased: Sequence[int] = (),
    kind: str = "Add",
    refuses: str | None = None,
    opset: int = 20,
    **attributes: object,
) -> Case:
    """The sum of a convolution for each pair of data and filter, those in `biased` with a bias."""

    def build(g: CaseBuilder) -> ir.Value:
        made = [
            g.Conv(g.input(*data), g.weight(*shape), g.weight(shape[0]) if index in biased else None, **attributes)
            for index, (data, shape) in enumerate(pairs)
        ]
        return g.record(kind, *made)

    return Case(name, build, refuses=refuses, opset=opset)


@fuse_sum_of_convs.cases
def cases() -> Iterator[Case]:
    yield _case("1×1, with a bias", ((2, 2, 5, 4), (4, 2, 1, 1)), ((2, 3, 5, 4), (4, 3, 1, 1)), biased=(1,))
    yield _case(
        "three, padded, strided and dilated",
        *[((1, 1, 7, 8), (3, 1, 3, 2))] * 3,
        kind="Sum",
        biased=(0, 2),
        strides=(2, 1),
        dilations=(1, 2),
        pads=(1, 0, 1, 2),
    )
    yield _case("1-D, named sizes, opset 9", *[(("N", 1, "L"), (2, 1, 3))] * 2, auto_pad="SAME_UPPER", opset=9)
    yield _case("3-D", ((1, 1, 3, 4, 3), (6, 1, 2, 1, 2)), ((1, 2, 3, 4, 3), (6, 2, 2, 1, 2)))
    yield _case(
        "as many inputs as all outputs",
        *[((1, 5, 4, 4), (4, 5, 1, 1))] * 2,
        refuses="the copy of the values outweighs the sum",
    )
    yield _case(
        "one for a batch",
        ((1, 1, 4, 4), (4, 1, 1, 1)),
        (("N", 1, 4, 4), (4, 1, 1, 1)),
        refuses="the values may differ in more than their channels",
    )
    yield _case(
        "other kernels",
        ((1, 1, 4, 4), (4, 1, 1, 1)),
        ((1, 1, 4, 5), (4, 1, 1, 2)),
        refuses="they read different elements, or make different channels",
    )
    yield Case("biases that overflow", _overflowing, refuses="the sum of the biases would overflow")
    yield Case("one value", _of_one_value, refuses="they are not convolutions of different values")
    yield Case("read by another", _read_twice, refuses="it would not be cheaper here")


def _overflowing(g: CaseBuilder) -> ir.Value:
    """The first convolution cancels half of its bias, but both biases together are infinite."""
    large = np.full((1, 1, 1, 1), 2e38, np.float32)
    x, y = g.input(1, 1, 3, 3), g.input(1, 1, 3, 3)
    first = g.Conv(g.Exp(g.Sub(x, x)), g.constant(-large / 2), g.constant(large.reshape(1)))
    second = g.Conv(y, g.constant(0 * large), g.constant(large.reshape(1)))
    return g.Add(first, second)


def _of_one_value(g: CaseBuilder) -> ir.Value:
    x = g.input(1, 1, 4, 4)
    return g.Add(g.Conv(x, g.weight(2, 1, 3, 3)), g.Conv(x, g.weight(2, 1, 3, 3)))


def _read_twice(g: CaseBuilder) -> tuple[ir.Value, ir.Value]:
    first, second = (g.Conv(g.input(1, 1, 4, 4), g.weight(2, 1, 3, 3)) for _ in range(2))
    return g.Add(first, second), g.Relu(first)


@fuse_sum_of_convs.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, groups=(1, 1, 1, 1, 1, 2))
    counts = [random.randint(1, 3) for _ in range(random.randint(1, 2))]
    kind, opset, outer = random.choice(("Add", "Sum")), random.choice((9, 12, 13, 20, 21)), random.choice((1, 3, 9))
    drawn = replace(drawn, filter=(drawn.filter[0] * outer, *drawn.filter[1:]))
    group = drawn.attributes["group"]
    others = [
        replace(
            drawn,
            data=(drawn.data[0], count * group, *drawn.data[2:]),
            filter=(drawn.filter[0], count, *drawn.filter[2:]),
            bias=count > 1,
        )
        for count in counts
    ]

    def build(g: CaseBuilder) -> ir.Value:
        made = [each.of(g) for each in (drawn, *others)]
        return g.Sum(*made) if kind == "Sum" else reduce(g.Add, made)

    return Case(f"{kind} {counts} {drawn} opset={opset}", build, opset=opset, seed=random.getrandbits(32))
