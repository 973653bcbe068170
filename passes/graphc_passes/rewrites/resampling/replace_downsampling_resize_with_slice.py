"""Replace a Resize that keeps every q-th element with a Slice.

Law    resize(x)[o] = x[start + q·o]     where each output weighs one input alone and these lie q apart: nearest, or
       linear and cubic where every place is that of an element
Why    A Slice copies what it keeps and nothing else, runs everywhere, and folds into a convolution before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, Refusal, Tape, View, rewrite
from graphc_passes.nodes.resampling import Resampling, ResizedAxis
from graphc_passes.nodes.slicing import TO_THE_END, Cut, sliced
from graphc_passes.sampling.resizes import draw_resize, resize_case


@rewrite("Resize", numerics="exact")
def replace_downsampling_resize_with_slice(root: View, op: Tape) -> ir.Value:
    resampling = Resampling.read(root)
    cuts = {axis.index: _cut(resampling, axis) for axis in resampling.axes}
    return sliced(op, resampling.data, cuts)


def _cut(resampling: Resampling, axis: ResizedAxis) -> Cut:
    if axis.input is None or axis.output is None:
        return _periodic_cut(resampling, axis.index)
    index, weights, outside = resampling.rows(axis)
    if outside.any():
        raise Refusal("an output lies outside")
    if not (((weights == 0) | (weights == 1)).all() and (weights.sum(axis=1) == 1).all()):
        raise Refusal("an output weighs several inputs")
    kept = index[np.arange(len(index)), weights.argmax(axis=1)]
    steps = np.unique(np.diff(kept))
    if len(steps) > 1 or (len(steps) == 1 and steps[0] < 1):
        raise Refusal("the elements that are kept do not lie one distance apart")
    step = int(steps[0]) if len(steps) else 1
    return Cut(int(kept[0]), int(kept[-1]) + 1, step)


def _periodic_cut(resampling: Resampling, index: int) -> Cut:
    """⌊L/q⌋ elements of a length that is not known: so many that a whole period lies behind each."""
    period = resampling.periodic(index)
    if period.up > 1 or period.width > 1 or not 0 <= period.first < period.down:
        raise Refusal("an output weighs several inputs")
    behind = period.down - 1 - period.first
    return Cut(period.first, -behind if behind else TO_THE_END, period.down)


@replace_downsampling_resize_with_slice.cases
def cases() -> Iterator[Case]:
    case = resize_case
    yield case("half", (1, 2, 4, 6), [1, 1, 0.5, 0.5])
    yield case("half, half up", (1, 2, 4, 6), [1, 1, 0.5, 0.5], nearest_mode="round_prefer_ceil")
    yield case("a third, to sizes", (1, 2, 6, 9), sizes=[1, 2, 2, 3])
    yield case(
        "dynamic sizes, asymmetric",
        ("N", 2, "H", "W"),
        [1, 1, 0.5, 0.25],
        mode="linear",
        coordinate_transformation_mode="asymmetric",
    )
    yield case("dynamic sizes", ("N", 2, "H", "W"), [1, 1, 0.25, 0.5])
    yield case("the ends alone", (1, 2, 5), sizes=[1, 2, 2], coordinate_transformation_mode="align_corners")
    yield case("channels", (1, 4, 3, 3), [1, 0.5, 1, 1])
    yield case(
        "beyond the region",
        (1, 1, 4, 6),
        sizes=[1, 1, 4, 3],
        roi=[0, 0, 0, 0, 1, 1, 1, 1.5],
        coordinate_transformation_mode="tf_crop_and_resize",
        refuses="an output lies outside",
        oracle="reference",
    )
    yield case("linear", (1, 2, 4, 4), [1, 1, 0.5, 0.5], mode="linear", refuses="an output weighs several inputs")
    yield case(
        "enlarged", (1, 2, 4, 4), [1, 1, 2, 2], refuses="the elements that are kept do not lie one distance apart"
    )
    yield case(
        "half, a dynamic size, linear",
        (1, 2, "H", 4),
        [1, 1, 0.5, 1],
        mode="linear",
        refuses="an output weighs several inputs",
    )


@replace_downsampling_resize_with_slice.samples
def samples(random: Random) -> Case:
    drawn = draw_resize(random, modes=("nearest", "nearest", "linear"), scales=(0.5, 0.5, 0.25, 1 / 3))
    return Case(str(drawn), drawn.of, seed=random.getrandbits(32), oracle="reference")
