"""Replace a Resize with one matrix product for each axis that it changes.

Law    resize(x) = R_h · x · R_wᵀ + e     R [output, input]: the weights of each output of an axis; e: what extrapolates
       (any mode, coordinate transform, antialiasing and axis; the last axis from the right, any other from the left
       with the axes behind it taken as one); for finite data: 0·∞ is not a number
Why    Runtimes have fast kernels for few kinds of Resize only, refuse some, and compute some wrongly: a matrix product
       is right, and for cubic interpolation many times faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from math import prod
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.resampling import FLOATS, LARGEST_CONSTANT, Resampling, ResizedAxis
from graphc_passes.sampling.resizes import draw_resize, resize_case


@rewrite("Resize", numerics="reassociates")
def replace_resize_with_matmul(root: View, op: Tape, *, only: str = "", largest: int = 0) -> ir.Value:
    """`only`: kinds of Resize, as in `Resampling.kinds`, with + between; `largest`: inputs of a resized axis."""
    resampling = Resampling.read(root)
    require(resampling.data.dtype in FLOATS, "integers are rounded to integers between")
    require(
        not only or resampling.kinds & set(only.split("+")),
        "another kind of Resize than asked for",
        conservative="it would be slower",
    )
    require(
        not largest or all((axis.input or 0) <= largest for axis in resampling.axes),
        "an axis is longer than asked for",
        conservative="it would be slower: the products grow with the square of the length",
    )
    found = [(axis, *resampling.matrix(axis)) for axis in resampling.axes]
    value = resampling.data
    for axis, matrix, _ in sorted(found, key=lambda each: each[0].scale):  # what shrinks first
        value = _product(op, value, axis.index, matrix)
    masks = [mask for _, _, mask in found]
    if resampling.rule.extrapolation == 0 or not any(mask.any() for mask in masks):
        return value
    if prod(len(mask) for mask in masks) > LARGEST_CONSTANT:
        raise Refusal("what lies outside would be a large constant")
    outside = _outside(resampling, masks)
    extrapolated = np.where(outside, resampling.rule.extrapolation, 0.0)
    return op.Add(value, op.constant(extrapolated, like=resampling.data, name="extrapolated"))


def _product(op: Tape, value: ir.Value, index: int, matrix: np.ndarray) -> ir.Value:
    """`value` with the matrix applied to one axis: from the right to the last, from the left to one before."""
    assert value.shape is not None
    rank, last = len(value.shape), len(value.shape) - 1
    if index == last:
        made = op.MatMul(value, op.constant(matrix.T, like=value, name="weights"))
    elif index == last - 1:
        made = op.MatMul(op.constant(matrix, like=value, name="weights"), value)
    else:
        behind = [int(size) if isinstance(size, int) else None for size in value.shape[index + 1 :]]
        flat = op.Reshape(value, op.constant([*[0] * index, matrix.shape[1], -1]))
        product = op.MatMul(op.constant(matrix, like=value, name="weights"), flat)
        made = op.Reshape(product, _target(op, value, index, rank, behind, len(matrix)))
    return made


def _target(op: Tape, value: ir.Value, index: int, rank: int, behind: Sequence[int | None], output: int) -> ir.Value:
    """The shape of `value` with another size at `index`."""
    if behind.count(None) <= 1:
        return op.constant([*[0] * index, output, *(-1 if size is None else size for size in behind)])
    sizes = op.Gather(op.Shape(value), op.constant(list(range(index + 1, rank))))
    return op.Concat(op.constant([*[0] * index, output]), sizes, axis=0)


def _outside(resampling: Resampling, masks: Sequence[np.ndarray]) -> np.ndarray:
    """Which outputs lie outside along any axis, as it broadcasts against them."""
    pairs: list[tuple[ResizedAxis, np.ndarray]] = list(zip(resampling.axes, masks, strict=True))
    shaped = [mask.reshape([-1] + [1] * (resampling.rank - axis.index - 1)) for axis, mask in pairs]
    return reduce(np.logical_or, shaped)


IMAGE = (1, 2, 4, 5)


@replace_resize_with_matmul.cases
def cases() -> Iterator[Case]:
    case = resize_case
    yield case("linear", IMAGE, [1, 1, 2, 2], mode="linear")
    yield case("nearest to sizes, rows only", IMAGE, sizes=[1, 2, 6, 5])
    yield case("cubic, columns only", IMAGE, [1, 1, 1, 2], mode="cubic", cubic_coeff_a=-0.5)
    yield case(
        "cubic without the outside", IMAGE, sizes=[1, 2, 8, 15], mode="cubic", exclude_outside=1, oracle="reference"
    )
    yield case("antialiased", IMAGE, sizes=[1, 2, 2, 3], mode="linear", antialias=1, oracle="reference")
    yield case(
        "aligned corners, a length that is not whole: ONNX Runtime rounds it",
        IMAGE,
        [0.6],
        axes=(3,),
        mode="linear",
        coordinate_transformation_mode="align_corners",
        oracle="reference",
    )
    yield case("cubic, 3-D: ONNX Runtime has none", (1, 2, 5), sizes=[1, 2, 9], mode="cubic", oracle="reference")
    yield case("linear, 5-D", (1, 2, 2, 3, 3), [1, 1, 2, 2, 2], mode="linear")
    yield case("linear channels: none either", (2, 4, 2, 3), sizes=[1, 7, 2, 3], mode="linear", oracle="reference")
    yield case(
        "a region with what lies outside",
        IMAGE,
        sizes=[3, 6],
        roi=[0.25, -0.4, 0.75, 1.3],
        axes=(-1, 2),
        mode="linear",
        coordinate_transformation_mode="tf_crop_and_resize",
        extrapolation_value=1.5,
        oracle="reference",
    )
    yield case("a dynamic size beside", ("N", "C", "D", 4, 5), sizes=[7], axes=(3,), mode="linear", oracle="reference")
    yield case("dynamic sizes behind", ("N", 2, "H", "W"), sizes=[6], axes=(1,), oracle="reference")
    yield case("opset 11", IMAGE, [1, 1, 2, 2], roi=[], mode="linear", opset=11)
    yield case(
        "integers",
        IMAGE,
        [1, 1, 2, 2],
        dtype=ir.DataType.INT32,
        mode="linear",
        refuses="integers are rounded to integers between",
    )
    yield case(
        "linear, where cubic is asked for",
        IMAGE,
        [1, 1, 2, 2],
        mode="linear",
        options={"only": "cubic+antialias"},
        refuses="another kind of Resize than asked for",
    )
    yield case(
        "longer than asked for",
        IMAGE,
        [1, 1, 1, 2],
        mode="cubic",
        options={"only": "cubic", "largest": 4},
        refuses="an axis is longer than asked for",
    )
    yield case("nothing in it", (1, 2, 0, 3), [1, 2, 1, 1], refuses="the data is empty")
    yield case(
        "a size that is not known",
        ("N", 2, "H", 5),
        [1, 1, 2, 2],
        refuses="the size of a resized axis is not known",
    )
    yield case(
        "a neighbour that rounding decides",
        (1, 1, 8),
        [0.4],
        axes=(2,),
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
        refuses="which neighbour is nearest depends on how places are rounded",
        oracle="reference",
    )
    yield case("nothing to do", IMAGE, [1, 1, 1, 1], refuses="no axis is resized")


@replace_resize_with_matmul.samples
def samples(random: Random) -> Case:
    drawn = draw_resize(random)
    return Case(str(drawn), drawn.of, seed=random.getrandbits(32), oracle="reference")
