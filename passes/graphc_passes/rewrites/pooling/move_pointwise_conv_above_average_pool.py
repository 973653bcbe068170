"""Move a pointwise convolution above the average pooling that it reads, where it leaves fewer channels to pool.

Law    conv1x1(average_pool(x), w, b) = average_pool(conv1x1(x, w, b))      sums over space and over channels commute;
       the bias passes where the weights of each mean add up to 1, that is where no padding is averaged in
Why    A pool of stride 1 then moves Cout instead of Cin maps: the pooling branch of Inception (Szegedy et al., CVPR
       2015).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random

import onnx_ir as ir

from graphc import Case, CaseBuilder, Tape, View, require, rewrite
from graphc_passes.nodes.averaging import has_output, keeps_constants, sees_data
from graphc_passes.nodes.pointwise import Pointwise
from graphc_passes.nodes.stated import attributes_of
from graphc_passes.sampling.convolutions import draw_pointwise
from graphc_passes.sampling.pools import draw_average_pool


@rewrite("Conv", numerics="reassociates", improves=("bytes",))
def move_pointwise_conv_above_average_pool(conv: View, op: Tape) -> ir.Value:
    pool, shape = conv.producer("X", "AveragePool"), Pointwise.read(conv)
    require(has_output(pool), "nothing comes out")
    if conv.input("B") is not None:
        require(keeps_constants(pool), "padding would be averaged in, and not the bias with it")
        require(sees_data(pool), "a window lies on padding alone, where a bias is not averaged")
    require(shape.out_channels < shape.in_channels, "no fewer channels to pool", conservative="it would move no less")
    less = op.Conv(
        pool.required("X"),
        conv.required("W"),
        conv.input("B"),
        **attributes_of(conv),
    )
    return op.AveragePool(less, **attributes_of(pool))


def _case(
    name: str,
    attributes: Mapping[str, object],
    refuses: str | None = None,
    *,
    data: tuple[int | str, ...] = (1, 4, 5, 6),
    bias: bool = True,
    group: int = 1,
    outputs: int = 2,
    **options: object,
) -> Case:
    def build(g: CaseBuilder) -> ir.Value:
        ones, shift = (1,) * (len(data) - 2), g.weight(outputs) if bias else None
        pooled = g.AveragePool(g.input(*data), **attributes)
        return g.Conv(pooled, g.weight(outputs, 4 // group, *ones), shift, group=group)

    return Case(name, build, refuses, options=options)


SAME = {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}


@move_pointwise_conv_above_average_pool.cases
def cases() -> Iterator[Case]:
    yield _case("stride 1, padding that does not count", SAME)
    yield _case("padding that counts, no bias, grouped", {**SAME, "count_include_pad": 1}, bias=False, group=2)
    yield _case("1-D", {"kernel_shape": (3,), "pads": (1, 1)}, data=(2, 4, 7))
    yield _case(
        "more macs, whatever the price", {"kernel_shape": (2, 2), "strides": (2, 2)}, data=("N", 4, 6, 6), when="always"
    )
    yield _case(
        "padding that counts, with a bias",
        {**SAME, "count_include_pad": 1},
        "padding would be averaged in, and not the bias with it",
    )
    yield _case(
        "a window that sees nothing",
        {"kernel_shape": (2, 2), "dilations": (2, 1), "pads": (1, 0, 1, 1)},
        "a window lies on padding alone, where a bias is not averaged",
        data=(1, 4, 1, 3),
    )
    yield _case("a window larger than its data", {"kernel_shape": (2, 2)}, "nothing comes out", data=(1, 4, 1, 6))
    yield _case("as many channels", SAME, "no fewer channels to pool", outputs=4)
    yield _case("stride 2", {"kernel_shape": (2, 2), "strides": (2, 2)}, "it would not be cheaper here")


@move_pointwise_conv_above_average_pool.samples
def samples(random: Random) -> Case:
    drawn, conv = draw_average_pool(random), draw_pointwise(random)
    while drawn.oracle == "reference":  # ONNX Runtime would be wrong about what is made, too
        drawn = draw_average_pool(random)
    data = (drawn.data[0], conv.in_channels, *drawn.data[2:])
    return Case(f"{drawn} then {conv}", lambda g: conv.of(g, drawn.of(g, g.input(*data))), seed=random.getrandbits(32))
