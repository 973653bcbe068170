"""Replace a Resize that enlarges by whole factors with a depthwise transposed convolution.

Law    resize(x)[o] = Σ_i w[o − s·i]·edge_pad(x)[i]     w: what one input weighs in the outputs around it
       nearest: w is s ones; linear: a tent over 2s (s even) or 2s − 1 outputs
Why    Every training framework has this operator with its gradient; it is the equation of the axis: up = s, step = −1.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Axis, Case, Refusal, Tape, View, rewrite
from graphc_passes.nodes.padding import filled
from graphc_passes.nodes.resampling import Periodic, Resampling
from graphc_passes.sampling.resizes import draw_resize, resize_case


@rewrite("Resize", "Upsample", numerics="reassociates")
def replace_resize_with_conv_transpose(root: View, op: Tape) -> ir.Value:
    resampling = Resampling.read(root)
    channels = resampling.channels
    periods = resampling.spatial_periods()
    if any(period.down != 1 for period in periods):
        raise Refusal("it does not enlarge by whole factors")
    borders = resampling.pads(periods)
    axes, responses = zip(
        *(_axis(period, *border) for period, border in zip(periods, borders, strict=True)), strict=True
    )
    before, after = zip(*borders, strict=True)
    begin, end = zip(*(axis.pads for axis in axes), strict=True)
    filter_ = reduce(np.multiply.outer, responses)
    return op.ConvTranspose(
        filled(op, resampling.data, [0, 0, *before], [0, 0, *after]),
        op.constant(np.stack([filter_[None]] * channels), like=resampling.data, name="weight"),
        group=channels,
        strides=[axis.up for axis in axes],
        pads=[*begin, *(max(0, pad) for pad in end)],
        output_padding=[max(0, -pad) for pad in end],
    )


def _axis(period: Periodic, before: int, after: int) -> tuple[Axis, np.ndarray]:
    """The axis over data with that border, and w from its first number that is not zero to its last."""
    scale = period.up
    offsets = np.arange(scale)[:, None] - scale * (period.first + np.arange(period.width))  # o − s·i of each weight
    least = int(offsets.min())
    response = np.zeros(int(offsets.max()) - least + 1)
    response[offsets - least] = period.table
    used = np.flatnonzero(response)
    first, taps = least + int(used[0]), int(used[-1] - used[0]) + 1
    length = 8  # of any length: the pads do not depend on it
    axis = Axis(length + before + after, scale * length, taps, up=scale, pad=first - scale * before, step=-1)
    return axis, response[used[0] : used[-1] + 1]


IMAGE = (1, 2, 4, 5)


@replace_resize_with_conv_transpose.cases
def cases() -> Iterator[Case]:
    case = resize_case
    yield case("nearest", IMAGE, [1, 1, 2, 3])
    yield case("linear", IMAGE, [1, 1, 2, 3], mode="linear")
    yield case("cubic, to sizes", IMAGE, sizes=[1, 2, 8, 5], mode="cubic")
    yield case(
        "asymmetric, dynamic sizes",
        ("N", 2, "H", "W"),
        [1, 1, 2, 3],
        mode="linear",
        coordinate_transformation_mode="asymmetric",
    )
    yield case("nearest above, 1-D", (1, 2, 5), [1, 1, 3], nearest_mode="ceil")
    yield case("3-D", (1, 2, 2, 3, 2), [1, 1, 2, 1, 2], mode="linear")
    yield case("Upsample", IMAGE, [1, 1, 2, 2], op_type="Upsample", opset=9)
    yield case("channels", IMAGE, [1, 2, 2, 2], refuses="the batch or the channels are resized")
    yield case("half", IMAGE, [1, 1, 0.5, 2], mode="linear", refuses="it does not enlarge by whole factors")


@replace_resize_with_conv_transpose.samples
def samples(random: Random) -> Case:
    drawn = draw_resize(
        random, transforms=("half_pixel", "asymmetric", "pytorch_half_pixel"), scales=(1, 2, 2, 3, 4, 1.5), spatial=True
    )
    return Case(str(drawn), drawn.of, seed=random.getrandbits(32), oracle="reference")
