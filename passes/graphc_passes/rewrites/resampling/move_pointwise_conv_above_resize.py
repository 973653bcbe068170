"""Move a pointwise convolution above the Resize that feeds it.

Law    conv1x1(resize(x), w, b) = resize(conv1x1(x, w, b))     resizing is linear and treats channels alike; its
       weights sum to 1, so the bias passes through
Why    Where the Resize enlarges, the convolution has fewer places to compute: s² times fewer multiplications.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from random import Random
from typing import Any

import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.pointwise import Pointwise
from graphc_passes.nodes.resampling import Resampling
from graphc_passes.nodes.resizes import remade
from graphc_passes.sampling.convolutions import pointwise_over
from graphc_passes.sampling.resizes import draw_resize, resize


@rewrite("Conv", numerics="reassociates")
def move_pointwise_conv_above_resize(root: View, op: Tape) -> ir.Value:
    pointwise = Pointwise.read(root)
    resampling = Resampling.read(root.producer("X", "Resize"))
    if 1 in resampling.indices:
        raise Refusal("the channels are resized")
    require(not resampling.extrapolates, "what lies outside of a region is no sum of inputs")
    grown, taps = prod(axis.scale for axis in resampling.axes), resampling.taps
    before = grown * (pointwise.macs + pointwise.in_channels * taps)
    after = pointwise.macs + grown * pointwise.out_channels * taps
    require(after < before, "it would not need fewer multiplications", conservative="it would be slower")
    low = op.Conv(resampling.data, root.required("W"), root.input("B"), group=pointwise.groups)
    return remade(op, resampling, low, pointwise.out_channels)


def _case(name: str, x: tuple[int | str, ...], *targets: Any, refuses: str | None = None, **attributes: Any) -> Case:
    def build(g: CaseBuilder) -> ir.Value:
        return pointwise_over(g, resize(g, g.input(*x), *targets, **attributes), 2, bias=True)

    return Case(name, build, refuses=refuses)


IMAGE = (1, 4, 3, 4)


@move_pointwise_conv_above_resize.cases
def cases() -> Iterator[Case]:
    yield _case("linear", IMAGE, [1, 1, 2, 2], mode="linear")
    yield _case("nearest, dynamic sizes", ("N", 4, "H", "W"), [1, 1, 2, 3])
    yield _case("cubic, to sizes", IMAGE, sizes=[1, 4, 5, 6], mode="cubic")
    yield _case("one axis, to a size", IMAGE, sizes=[6], axes=(2,), coordinate_transformation_mode="asymmetric")
    yield Case("grouped, 1-D", lambda g: pointwise_over(g, resize(g, g.input(2, 4, 3), [1, 1, 2]), 4, group=2))
    yield Case("computed weights", lambda g: g.Conv(resize(g, g.input(*IMAGE), [1, 1, 2, 2]), g.input(2, 4, 1, 1)))
    yield Case(
        "channels",
        lambda g: pointwise_over(g, resize(g, g.input(*IMAGE), [1, 1.5, 2, 2]), 2),
        refuses="the channels are resized",
    )
    yield _case(
        "a region",
        IMAGE,
        sizes=[1, 4, 6, 8],
        roi=[0, 0, 0.1, 0, 1, 1, 1.3, 1],
        coordinate_transformation_mode="tf_crop_and_resize",
        refuses="what lies outside of a region is no sum of inputs",
    )
    yield _case("half", IMAGE, [1, 1, 0.5, 0.5], refuses="it would not need fewer multiplications")
    yield Case(
        "more tap",
        lambda g: g.Conv(resize(g, g.input(*IMAGE), [1, 1, 2, 2]), g.weight(2, 4, 1, 2)),
        refuses="the kernel has more than one tap",
    )


@move_pointwise_conv_above_resize.samples
def samples(random: Random) -> Case:
    drawn = draw_resize(random, scales=(1, 2, 2, 3, 1.5, 0.5), spatial=True, channels=4)
    outputs, bias = random.randint(1, 4), random.random() < 0.5
    return Case(
        f"{drawn} to {outputs}",
        lambda g: pointwise_over(g, drawn.of(g), outputs, bias=bias),
        seed=random.getrandbits(32),
    )
