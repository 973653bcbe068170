"""Replace a pointwise convolution of one group with a matrix product over the flattened maps.

Law    conv1x1(x, W, b) = reshape(W · reshape(x, [N, Cin, ΠL]) + b)      W [Cout, Cin]; one dimension needs no reshape
Why    A product has no windows, strides or pads to support; runtimes have their best kernels for it, and it merges with
       products around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, rewrite
from graphc_passes.nodes.pointwise import Pointwise, as_matmul
from graphc_passes.sampling.convolutions import pointwise_sample


@rewrite("Conv", numerics="reassociates")
def replace_pointwise_conv_with_matmul(conv: View, op: Tape) -> ir.Value:
    shape = Pointwise.read(conv)
    if shape.groups > 1:
        raise Refusal("it has groups")
    return as_matmul(op, conv, shape)


def _case(
    name: str, data: tuple[int | str, ...], refuses: str | None = None, *, kernel: int = 1, **attributes: object
) -> Case:
    def build(g: CaseBuilder) -> ir.Value:
        return g.Conv(g.input(*data), g.weight(4, 3, *[kernel] * (len(data) - 2)), g.weight(4), **attributes)

    return Case(name, build, refuses)


@replace_pointwise_conv_with_matmul.cases
def cases() -> Iterator[Case]:
    yield _case("2-D", (2, 3, 4, 5))
    yield _case("1-D", ("N", 3, "L"))
    yield _case("3-D", (1, 3, 2, 3, 2))
    yield _case("a dynamic size", ("N", 3, "H", "W"))
    yield _case("SAME_UPPER adds nothing", (1, 3, 4, 4), auto_pad="SAME_UPPER")
    yield _case("dilated, which is nothing to one tap", (1, 3, 4, 4), dilations=(2, 2))
    yield Case("no bias, opset 11", lambda g: g.Conv(g.input(1, 3, 4, 5), g.weight(4, 3, 1, 1)), opset=11)
    yield Case(
        "computed weights", lambda g: g.Conv(g.input(1, 3, 4, 5), g.input(4, 3, 1, 1), g.input(4), kernel_shape=(1, 1))
    )
    yield Case("groups", lambda g: g.Conv(g.input(1, 4, 4, 5), g.weight(4, 2, 1, 1), group=2), refuses="it has groups")
    yield _case("a kernel of 2", (1, 3, 4, 4), "the kernel has more than one tap", kernel=2)
    yield _case("a stride", (1, 3, 4, 4), "the convolution has a stride", strides=(1, 2))
    yield _case("padded", (1, 3, 4, 4), "the convolution is padded", pads=(0, 0, 1, 0))


@replace_pointwise_conv_with_matmul.samples
def samples(random: Random) -> Case:
    return pointwise_sample(random)
