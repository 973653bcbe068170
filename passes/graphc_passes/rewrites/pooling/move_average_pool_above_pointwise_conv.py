"""Move an average pooling above the pointwise convolution that it reads, which then runs on the smaller map.

Law    average_pool(conv1x1(x, w, b)) = conv1x1(average_pool(x), w, b)      sums over space and over channels commute;
       the bias passes where the weights of each mean add up to 1, that is where no padding is averaged in
Why    The convolution multiplies s² times less: the transitions of DenseNet (Huang et al., CVPR 2017), and every
       pointwise convolution before a global mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from random import Random

import onnx_ir as ir

from graphc import Case, CaseBuilder, Tape, View, require, rewrite
from graphc_passes.nodes.averaging import has_output, keeps_constants, sees_data, windows
from graphc_passes.nodes.pointwise import Pointwise
from graphc_passes.nodes.stated import attributes_of
from graphc_passes.sampling.convolutions import draw_pointwise
from graphc_passes.sampling.pools import draw_average_pool


@rewrite("AveragePool", "GlobalAveragePool", numerics="reassociates", improves=("macs",))
def move_average_pool_above_pointwise_conv(pool: View, op: Tape) -> ir.Value:
    conv = pool.producer("X", "Conv")
    Pointwise.read(conv)
    require(has_output(pool), "nothing comes out")
    if conv.input("B") is not None:
        require(keeps_constants(pool), "padding is averaged in, but the bias is not")
        require(sees_data(pool), "a window lies on padding alone, where a bias is not averaged")
    require(_shrinks(pool), "the pool leaves as many elements", conservative="the convolution would multiply no less")
    pooled = op.record(pool.op_type, conv.required("X"), **attributes_of(pool))
    return op.Conv(
        pooled,
        conv.required("W"),
        conv.input("B"),
        **attributes_of(conv),
    )


def _shrinks(pool: View) -> bool:
    """Whether fewer elements come out than go in."""
    if pool.op_type == "GlobalAveragePool":
        shape = pool.required("X").shape
        return shape is None or any(size != 1 for size in shape[2:])
    axes = windows(pool)
    return prod(axis.output for axis in axes) < prod(axis.input for axis in axes)


def _case(
    name: str,
    attributes: Mapping[str, object],
    refuses: str | None = None,
    *,
    data: tuple[int | str, ...] = (1, 4, 6, 6),
    bias: bool = True,
    group: int = 1,
    **options: object,
) -> Case:
    def build(g: CaseBuilder) -> ir.Value:
        ones, shift = (1,) * (len(data) - 2), g.weight(2) if bias else None
        return g.AveragePool(g.Conv(g.input(*data), g.weight(2, 4 // group, *ones), shift, group=group), **attributes)

    return Case(name, build, refuses, options=options)


TWO = {"kernel_shape": (2, 2), "strides": (2, 2)}


@move_average_pool_above_pointwise_conv.cases
def cases() -> Iterator[Case]:
    yield _case("pool 2", TWO)
    yield _case("grouped, windows that overlap", {"kernel_shape": (3, 3), "strides": (2, 1)}, group=2)
    yield _case("padding that does not count", {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1)})
    yield _case(
        "padding that counts, no bias",
        {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1), "count_include_pad": 1},
        bias=False,
    )
    yield _case("ceil_mode", {"kernel_shape": (3, 3), "strides": (2, 2), "ceil_mode": 1, "count_include_pad": 1})
    yield _case("1-D", {"kernel_shape": (3,), "strides": (3,)}, data=(2, 4, 7))
    yield _case("a dynamic size, whatever the price", TWO, data=("N", 4, "H", "W"), when="always")
    yield Case(
        "a global mean, computed weights",
        lambda g: g.GlobalAveragePool(g.Conv(g.input(1, 4, 5, 5), g.input(2, 4, 1, 1), g.weight(2))),
    )
    yield _case(
        "padding that counts, with a bias",
        {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1), "count_include_pad": 1},
        "padding is averaged in, but the bias is not",
    )
    yield _case(
        "a window that sees nothing",
        {"kernel_shape": (2, 2), "dilations": (2, 1), "pads": (1, 0, 1, 0)},
        "a window lies on padding alone, where a bias is not averaged",
        data=(1, 4, 1, 3),
    )
    yield _case("a window larger than its data", {"kernel_shape": (2, 2)}, "nothing comes out", data=(1, 4, 1, 6))
    yield _case("stride 1", {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}, "the pool leaves as many elements")
    yield Case(
        "a kernel of 3",
        lambda g: g.AveragePool(g.Conv(g.input(1, 3, 6, 6), g.weight(4, 3, 3, 3)), **TWO),
        refuses="the kernel has more than one tap",
    )
    yield Case(
        "a stride",
        lambda g: g.AveragePool(g.Conv(g.input(1, 3, 6, 6), g.weight(4, 3, 1, 1), strides=(2, 2)), kernel_shape=(2, 2)),
        refuses="the convolution has a stride",
    )
    yield Case(
        "a padded convolution",
        lambda g: g.AveragePool(g.Conv(g.input(1, 3, 4, 4), g.weight(4, 3, 1, 1), pads=(1, 1, 1, 1)), **TWO),
        refuses="the convolution is padded",
    )


@move_average_pool_above_pointwise_conv.samples
def samples(random: Random) -> Case:
    drawn, conv = draw_average_pool(random), draw_pointwise(random)
    while drawn.oracle == "reference":  # ONNX Runtime would be wrong about what is made, too
        drawn = draw_average_pool(random)
    data = (drawn.data[0], conv.in_channels, *drawn.data[2:])
    return Case(
        f"{conv} then {drawn}",
        lambda g: drawn.of(g, conv.of(g, g.input(*data))),
        seed=random.getrandbits(32),
    )
