"""Replace a pointwise convolution of several groups with one matrix product batched over the groups.

Law    conv1x1(x, W, b, groups = g) = reshape(W · reshape(x, [N, g, Cin/g, ΠL]) + b)      W [g, Cout/g, Cin/g]
Why    Narrow groups are what convolution kernels are worst at, and a batch of products is an operator of its own: the
       form of a locally connected layer, where every place of the output is a group.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, rewrite
from graphc_passes.nodes.pointwise import Pointwise, as_matmul
from graphc_passes.sampling.convolutions import pointwise_sample


@rewrite("Conv", numerics="reassociates")
def replace_grouped_pointwise_conv_with_matmul(conv: View, op: Tape) -> ir.Value:
    shape = Pointwise.read(conv)
    if shape.groups == 1:
        raise Refusal("it has one group")
    return as_matmul(op, conv, shape)


def _case(
    name: str,
    data: tuple[int | str, ...],
    refuses: str | None = None,
    *,
    kernel: int = 1,
    group: int = 2,
    **attributes: object,
) -> Case:
    def build(g: CaseBuilder) -> ir.Value:
        taps = [kernel] * (len(data) - 2)
        return g.Conv(g.input(*data), g.weight(6, 6 // group, *taps), g.weight(6), group=group, **attributes)

    return Case(name, build, refuses)


@replace_grouped_pointwise_conv_with_matmul.cases
def cases() -> Iterator[Case]:
    yield _case("2-D", (2, 6, 4, 3))
    yield _case("a locally connected layer", ("N", 6, 1, 1), group=3)
    yield _case("depthwise, 1-D", ("N", 6, "L"), group=6)
    yield _case("3-D, a dynamic size", (1, 6, 2, "H", 2))
    yield Case(
        "computed weights, opset 11",
        lambda g: g.Conv(g.input(1, 4, 2, 3), g.input(6, 2, 1, 1), g.input(6), group=2),
        opset=11,
    )
    yield _case("one group", (1, 6, 4, 3), "it has one group", group=1)
    yield _case("a kernel of 2", (1, 6, 4, 4), "the kernel has more than one tap", kernel=2)
    yield _case("a stride", (1, 6, 4, 4), "the convolution has a stride", strides=(1, 2))
    yield _case("padded", (1, 6, 4, 4), "the convolution is padded", pads=(0, 0, 1, 0))


@replace_grouped_pointwise_conv_with_matmul.samples
def samples(random: Random) -> Case:
    return pointwise_sample(random, groups=(2, 3))
