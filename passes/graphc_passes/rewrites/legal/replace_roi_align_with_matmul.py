"""Replace the averaging RoiAlign with two matrix products for each region: one over the height, one over the width.

Law    y[r, c, i, j] = Σ_h Σ_w V[r, i, h]·x[b_r, c, h, w]·U[r, j, w]
       V[r, i, h] = the mean over the samples of bin i of max(0, 1 − |place − h|), where a place in [−1, H] is moved
       into [0, H − 1] and another counts nothing; U the same along the width
Why    ONNX Runtime has no RoiAlign of opset 22 (He et al., ICCV 2017); linear interpolation is separable, so that no
       gather is needed but that of the images.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.norms import mean


@rewrite("RoiAlign", numerics="reassociates")
def replace_roi_align_with_matmul(root: View, op: Tape) -> ir.Value:
    data, regions = root.required("X"), root.required("rois")
    require(root.attr("mode") == "avg", "the largest sample of each bin")
    samples = root.attr("sampling_ratio")
    if samples < 1:
        raise Refusal("the number of samples depends on the size of each region")
    sizes = list(data.shape or ())[2:]
    known = [size for size in sizes if isinstance(size, int) and size]
    if len(known) != 2:
        raise Refusal("the height or width is not known")
    half_pixel = root.attr("coordinate_transformation_mode") == "half_pixel"
    scaled = op.Mul(regions, op.constant(root.attr("spatial_scale"), like=data))
    if half_pixel:
        scaled = op.Sub(scaled, op.constant(0.5, like=data))
    bins = root.attr("output_height"), root.attr("output_width")
    rows, columns = (
        _weights(op, _corner(op, scaled, axis), _corner(op, scaled, axis + 2), size, count, samples, half_pixel)
        for axis, size, count in zip((1, 0), known, bins, strict=True)
    )
    indices = root.required("batch_indices")
    if indices.shape is None or regions.shape is None or indices.shape[0] != regions.shape[0]:
        raise Refusal("there may not be one image for each region")
    images = op.Gather(data, indices, axis=0)
    across = op.MatMul(images, op.Transpose(columns, perm=(0, 1, 3, 2)))
    return op.MatMul(rows, across)


def _corner(op: Tape, regions: ir.Value, column: int) -> ir.Value:
    """One coordinate of each region, [R, 1]."""
    return op.Gather(regions, op.constant([column]), axis=1)


def _weights(
    op: Tape, start: ir.Value, end: ir.Value, size: int, bins: int, samples: int, half_pixel: bool
) -> ir.Value:
    """What each element of an axis weighs in each bin of each region, [R, 1, bins, size]."""
    length = op.Sub(end, start)
    if not half_pixel:
        length = op.Max(length, op.constant(1, like=start))
    part = op.Div(length, op.constant(bins, like=start))
    whole, rest = np.repeat(np.arange(bins), samples), np.tile(np.arange(samples) + 0.5, bins)
    before = op.Add(start, op.Mul(part, op.constant(whole[None], like=start, name="bins")))
    beyond = op.Mul(part, op.constant(rest[None], like=start, name="samples"))
    place = op.Add(before, op.Div(beyond, op.constant(samples, like=start)))
    low, high = op.constant(0, like=start), op.constant(size - 1, like=start)
    inside = op.Min(op.Max(place, low), high)
    far = op.Abs(op.Sub(inside, place))
    counted = op.Cast(op.Not(op.Greater(far, op.constant(1, like=start))), to=_type(start).value)
    shape = op.constant([-1, 1, bins, samples, 1])
    away = op.Abs(op.Sub(op.Reshape(inside, shape), op.constant(np.arange(size), like=start, name="elements")))
    near = op.Mul(op.Relu(op.Sub(op.constant(1, like=start), away)), op.Reshape(counted, shape))
    return op.Reshape(mean(op, near, [3]), op.constant([-1, 1, bins, size]))


def _type(value: ir.Value) -> ir.DataType:
    if value.dtype is None:
        raise Refusal("the type of the regions is not known")
    return value.dtype


def _aligned(
    g: CaseBuilder, x: tuple[int | str, ...], regions: int = 3, spread: float = 4.0, **attributes: Any
) -> ir.Value:
    """Regions of any corners, some of them outside, the second often before the first."""
    data = g.input(*x)
    corners = g.Mul(g.input(regions, 4), g.constant(np.array([1, 1, 1.5, 1.5]) * spread, like=data))
    return g.RoiAlign(data, corners, g.constant([0] * regions), **attributes)


@replace_roi_align_with_matmul.cases
def cases() -> Iterator[Case]:
    case = partial(partial, _aligned)
    x = (2, 2, 5, 6)
    yield Case("2 × 3 bins", case(x=x, output_height=2, output_width=3, sampling_ratio=2))
    yield Case(
        "scaled, the older mode",
        case(
            x=x,
            output_height=3,
            output_width=2,
            sampling_ratio=1,
            spatial_scale=0.5,
            coordinate_transformation_mode="output_half_pixel",
        ),
    )
    yield Case("opset 10", case(x=("N", 1, 4, 4), sampling_ratio=3), opset=10)
    yield Case("opset 22", case(x=x, output_height=2, output_width=3, sampling_ratio=2), opset=22, oracle="reference")
    yield Case("the largest", case(x=x, mode="max", sampling_ratio=1), refuses="the largest sample of each bin")
    yield Case("adaptive", case(x=x), refuses="the number of samples depends on the size of each region")
    yield Case(
        "a height that is not known",
        case(x=(1, 2, "H", 6), sampling_ratio=2),
        refuses="the height or width is not known",
    )


@replace_roi_align_with_matmul.samples
def samples(random: Random) -> Case:
    opset = random.choice((10, 16, 20, 22))
    attributes: dict[str, Any] = {
        "output_height": random.randint(1, 4),
        "output_width": random.randint(1, 4),
        "sampling_ratio": random.randint(1, 3),
        "spatial_scale": random.choice((1.0, 0.5, 0.3)),
    }
    if opset >= 16:
        attributes["coordinate_transformation_mode"] = random.choice(("half_pixel", "output_half_pixel"))
    x = (random.choice((1, 2, "N")), random.randint(1, 3), random.randint(1, 7), random.randint(1, 7))
    build = partial(_aligned, x=x, regions=random.randint(1, 4), spread=random.choice((2.0, 6.0)), **attributes)
    return Case(
        f"{x} {attributes} at opset {opset}",
        build,
        opset=opset,
        seed=random.getrandbits(32),
        oracle="reference" if opset >= 22 else "runtime",
    )
