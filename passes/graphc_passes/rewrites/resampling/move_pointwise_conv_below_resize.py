"""Move a pointwise convolution below the Resize that it feeds.

Law    resize(conv1x1(x, w, b)) = conv1x1(resize(x), w, b)     resizing is linear and treats channels alike; its
       weights sum to 1, so the bias passes through
Why    Where the Resize makes less of it, the convolution has fewer places to compute.
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


@rewrite("Resize", numerics="reassociates")
def move_pointwise_conv_below_resize(root: View, op: Tape) -> ir.Value:
    resampling = Resampling.read(root)
    conv = root.producer("X", "Conv")
    pointwise = Pointwise.read(conv)
    if 1 in resampling.indices:
        raise Refusal("the channels are resized")
    require(not resampling.extrapolates, "what lies outside of a region is no sum of inputs")
    grown, taps = prod(axis.scale for axis in resampling.axes), resampling.taps
    before = pointwise.macs + grown * pointwise.out_channels * taps
    after = grown * (pointwise.macs + pointwise.in_channels * taps)
    require(after < before, "it would not need fewer multiplications", conservative="it would be slower")
    small = remade(op, resampling, conv.required("X"), pointwise.in_channels)
    return op.Conv(small, conv.required("W"), conv.input("B"), group=pointwise.groups)


def _case(name: str, x: tuple[int | str, ...], *targets: Any, refuses: str | None = None, **attributes: Any) -> Case:
    def build(g: CaseBuilder) -> ir.Value:
        return resize(g, pointwise_over(g, g.input(*x), 4, bias=True), *targets, **attributes)

    return Case(name, build, refuses=refuses)


IMAGE = (1, 4, 4, 6)


@move_pointwise_conv_below_resize.cases
def cases() -> Iterator[Case]:
    yield _case("nearest", IMAGE, [1, 1, 0.5, 0.5])
    yield _case("nearest, dynamic sizes", ("N", 4, "H", "W"), [1, 1, 0.5, 0.25])
    yield _case("linear, to sizes", IMAGE, sizes=[1, 4, 2, 2], mode="linear")
    yield _case("one axis, to a size", IMAGE, sizes=[2], axes=(2,))
    yield Case("grouped, 1-D", lambda g: resize(g, pointwise_over(g, g.input(2, 4, 4), 4, group=2), [1, 1, 0.5]))
    yield Case("computed weights", lambda g: resize(g, g.Conv(g.input(*IMAGE), g.input(4, 4, 1, 1)), [1, 1, 0.5, 0.5]))
    yield _case("channels", IMAGE, [1, 0.5, 0.5, 0.5], refuses="the channels are resized")
    yield _case(
        "a region",
        IMAGE,
        sizes=[1, 4, 2, 3],
        roi=[0, 0, 0.1, 0, 1, 1, 1.3, 1],
        coordinate_transformation_mode="tf_crop_and_resize",
        refuses="what lies outside of a region is no sum of inputs",
    )
    yield _case("twice", IMAGE, [1, 1, 2, 2], refuses="it would not need fewer multiplications")


@move_pointwise_conv_below_resize.samples
def samples(random: Random) -> Case:
    drawn = draw_resize(random, scales=(1, 0.5, 0.5, 0.75, 1.5), spatial=True, channels=4)
    inputs, bias = random.randint(1, 6), random.random() < 0.5

    def build(g: CaseBuilder) -> ir.Value:
        batch, outputs, *spatial = drawn.data
        assert isinstance(outputs, int)
        return drawn.of(g, pointwise_over(g, g.input(batch, inputs, *spatial), outputs, bias=bias))

    return Case(f"{drawn} from {inputs}", build, seed=random.getrandbits(32))
