"""Replace a Resize by a rational factor with a depthwise convolution that makes all outputs of one period at once.

Law    y[p·n + r] = Σ_j W[r, j]·x[q·n + first + j]     scale p/q; W: the weights of the first p outputs
       so resize(x) = depth_to_space(conv(edge_pad(x), W, stride q)): p channels for each, q = 1 where it enlarges by p
Why    A convolution runs everywhere, at sizes that are only known at run time too, and is differentiated everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from math import prod
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, Tape, View, require, rewrite
from graphc_passes.nodes.padding import filled
from graphc_passes.nodes.rearranging import crop, depth_to_space
from graphc_passes.nodes.resampling import Periodic, Resampling
from graphc_passes.sampling.resizes import draw_resize, resize_case

MOST_TAPS = 4096  # numbers of the filter for one channel


@rewrite("Resize", "Upsample", numerics="reassociates")
def replace_resize_with_depthwise_conv(root: View, op: Tape, *, only: str = "") -> ir.Value:
    """`only`: kinds of Resize, as in `Resampling.kinds`, with + between."""
    resampling = Resampling.read(root)
    require(
        not only or resampling.kinds & set(only.split("+")),
        "another kind of Resize than asked for",
        conservative="it would be slower",
    )
    channels = resampling.channels
    periods = resampling.spatial_periods()
    filter_ = _filter(periods)
    require(filter_.size <= MOST_TAPS, "the filter is large", conservative="it would be slower")
    begin, end = zip(*resampling.pads(periods), strict=True)
    before, after = ([0, 0, *(max(0, pad) for pad in pads)] for pads in (begin, end))
    bordered = filled(op, resampling.data, before, after)
    cropped = crop(op, bordered, [max(0, -pad) for pad in begin], [max(0, -pad) for pad in end])
    low = op.Conv(
        cropped,
        op.constant(np.tile(filter_, (channels, *[1] * (filter_.ndim - 1))), like=resampling.data, name="weight"),
        group=channels,
        strides=[period.down for period in periods],
    )
    blocks = [period.up for period in periods]
    full = depth_to_space(op, low, channels, blocks)
    return crop(op, full, [0] * len(blocks), resampling.excess(periods))


def _filter(periods: list[Periodic]) -> np.ndarray:
    """[Πup, 1, *widths]: the products of the axes' weights, phases row-major."""
    tables = reduce(np.multiply.outer, [period.table for period in periods])
    rank = len(periods)
    ordered = tables.transpose(*range(0, 2 * rank, 2), *range(1, 2 * rank, 2))
    return np.asarray(ordered.reshape(prod(period.up for period in periods), 1, *(period.width for period in periods)))


IMAGE = (1, 2, 4, 5)


@replace_resize_with_depthwise_conv.cases
def cases() -> Iterator[Case]:
    case = resize_case
    yield case("nearest", IMAGE, [1, 1, 2, 2])
    yield case("linear", IMAGE, [1, 1, 2, 3], mode="linear")
    yield case("cubic", IMAGE, [1, 1, 2, 2], mode="cubic", cubic_coeff_a=-0.5)
    yield case(
        "asymmetric, dynamic sizes",
        ("N", 2, "H", "W"),
        [1, 1, 2, 3],
        mode="linear",
        coordinate_transformation_mode="asymmetric",
    )
    yield case("half the size, dynamic", ("N", 2, "H", "W"), [1, 1, 0.5, 0.25], mode="linear")
    yield case("half the size, cubic and antialiased", (1, 2, 6, 7), [1, 1, 0.5, 1], mode="cubic", antialias=1)
    yield case("three halves of it", IMAGE, [1, 1, 1.5, 1.5], mode="linear", oracle="reference")
    yield case("to sizes", (1, 2, 3, 6), sizes=[1, 2, 5, 4], mode="linear")
    yield case("1-D", (1, 2, 5), [1, 1, 2], mode="linear")
    yield case("3-D", (1, 2, 2, 3, 2), [1, 1, 2, 2, 2], mode="linear")
    yield case("Upsample", IMAGE, [1, 1, 2, 3], op_type="Upsample", opset=9)
    yield case("channels", IMAGE, [1, 2, 2, 2], refuses="the batch or the channels are resized")
    yield case(
        "aligned corners",
        IMAGE,
        [1, 1, 2, 2],
        mode="linear",
        coordinate_transformation_mode="align_corners",
        refuses="the weights do not repeat along the axis",
    )
    yield case(
        "without the outside",
        IMAGE,
        [1, 1, 2, 2],
        mode="cubic",
        exclude_outside=1,
        refuses="the weights do not repeat along the axis",
    )
    yield case(
        "three halves of a dynamic size",
        (1, 2, "H", 5),
        [1, 1, 1.5, 1],
        refuses="how many outputs the last period has is not known",
    )
    yield case(
        "Upsample linear, of which opset 9 says too little",
        IMAGE,
        [1, 1, 2, 2],
        op_type="Upsample",
        mode="linear",
        opset=9,
        refuses="before opset 11 the standard does not say where the samples lie",
    )
    yield case(
        "nearest, where cubic is asked for",
        IMAGE,
        [1, 1, 2, 2],
        options={"only": "cubic"},
        refuses="another kind of Resize than asked for",
    )
    yield case("a large filter", IMAGE, [1, 1, 37, 41], mode="linear", refuses="the filter is large")


@replace_resize_with_depthwise_conv.samples
def samples(random: Random) -> Case:
    drawn = draw_resize(random, transforms=("half_pixel", "asymmetric", "pytorch_half_pixel"), spatial=True)
    return Case(str(drawn), drawn.of, seed=random.getrandbits(32), oracle="reference")
