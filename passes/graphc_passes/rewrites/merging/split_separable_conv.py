"""Split a convolution whose filter has a low rank into two narrower ones.

Law    w[k, c, (t, u)] = Σ_m a[m, c, t]·b[k, m, u]    ⇒    conv(x, w, bias) = conv(conv(x, a), b, bias)
       with some of the spatial axes in a (their strides, dilations and pads too) and the others in b: 1×k and k×1, but
       also k×k and 1×1. A depthwise blur has rank 1. What the factors leave out is no more than the rounding of the
       stored weights; of several such splits it is that of the fewest multiply-adds.
Why    k·(C + K)·r multiplications instead of k²·C·K: separable filters, and layers that were made of a low rank
       (Jaderberg et al., Speeding up Convolutional Neural Networks with Low Rank Expansions, BMVC 2014).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from random import Random
from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir as ir

from graphc import Axis, Case, CaseBuilder, Refusal, Tape, View, rewrite
from graphc_passes.nodes.filters import survives
from graphc_passes.nodes.stencils import Stencil
from graphc_passes.sampling.convolutions import draw_conv

Pair = tuple[Stencil, Stencil]


@rewrite("Conv", numerics="reassociates", improves=("macs",))
def split_separable_conv(root: View, op: Tape) -> ir.Value:
    whole, weights = Stencil.read(root), root.required("W")
    if not np.isfinite(whole.filter).all():
        raise Refusal("the filter is not finite")
    dtype = weights.dtype.numpy() if weights.dtype is not None else np.dtype(np.float32)
    choices = product(*((False, True) if axis.taps > 1 else (False,) for axis in whole.axes))
    pairs = [pair for first in choices if (pair := _factors(whole, first, dtype)) is not None]
    if not pairs:
        raise Refusal("no two narrower filters make this one with fewer multiply-adds")
    before, after = min(pairs, key=_work)
    if not all(survives(each.filter, each.bias, weights) for each in (before, after)):
        raise Refusal("the factors would overflow or underflow")
    return after.made(op, before.made(op, root.required("X"), weights), weights)


def _factors(whole: Stencil, first: Sequence[bool], dtype: np.dtype[Any]) -> Pair | None:
    """The two convolutions with the axes that are `first` in the first; None where they are not less work."""
    if _work(_pair(whole, first, 1)) >= whole.work:
        return None
    groups, rank = whole.groups, len(whole.axes)
    filter_ = whole.filter.reshape(groups, -1, *whole.filter.shape[1:])
    largest = np.abs(filter_).max(axis=tuple(range(2, filter_.ndim)), keepdims=True)
    scale = np.where(largest > 0, largest, 1)
    inside = [2, *(3 + axis for axis in range(rank) if first[axis])]
    outside = [1, *(3 + axis for axis in range(rank) if not first[axis])]
    grid = (filter_ / scale).transpose(0, *inside, *outside)
    matrix = grid.reshape(groups, prod(grid.shape[1 : 1 + len(inside)]), -1)
    left, right = _product(matrix, dtype)
    before, after = pair = _pair(whole, first, left.shape[2])
    if _work(pair) >= whole.work:
        return None
    a = left.swapaxes(1, 2).reshape(before.filter.shape)
    b = right.reshape(groups, -1, filter_.shape[1], *after.filter.shape[2:]).swapaxes(1, 2)
    scaled = b * scale.reshape(groups, -1, *[1] * (rank + 1))
    return replace(before, filter=a), replace(after, filter=scaled.reshape(after.filter.shape))


def _product(matrices: np.ndarray, dtype: np.dtype[Any]) -> tuple[np.ndarray, np.ndarray]:
    """[g, m, n] as [g, m, r] @ [g, r, n] of the least r at which no element, none above 1, is off by more than eps.

    Where elements are rounded, singular values up to eps·(√m + √n) are noise. Of several such products it is the one
    that is nearest once the factors are rounded to `dtype`: rows as they are need no rounding.
    """
    eps = _eps(dtype)
    left, values, right = np.linalg.svd(matrices, full_matrices=False)
    root = np.sqrt(values)
    for floor in (eps * sum(np.sqrt(matrices.shape[1:])), eps):
        width = max(1, int((values > floor).sum(axis=1).max()))
        products = [
            (left[..., :width] * root[:, None, :width], root[:, :width, None] * right[:, :width]),
            _by_rows(matrices, width),
            _turned(*_by_rows(matrices.swapaxes(1, 2), width)),
        ]
        near = [(a, b) for a, b in products if np.abs(matrices - a @ b).max(initial=0) <= eps]
        if near:
            break

    def rounded(pair: tuple[np.ndarray, np.ndarray]) -> float:
        a, b = (each.astype(dtype).astype(np.float64) for each in pair)
        return float(np.square(matrices - a @ b).sum())

    return min(near or products[:1], key=rounded)


def _turned(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return b.swapaxes(1, 2), a.swapaxes(1, 2)


def _by_rows(matrices: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Each matrix as combinations of that many of its own rows, each the furthest from those before it."""
    rest, kept = matrices.copy(), []
    every = np.arange(len(matrices))
    for _ in range(width):
        lengths = np.linalg.norm(rest, axis=2)
        chosen = lengths.argmax(axis=1)
        direction = rest[every, chosen] / np.maximum(lengths[every, chosen], np.finfo(float).tiny)[:, None]
        rest -= (rest @ direction[:, :, None]) * direction[:, None]
        kept.append(matrices[every, chosen])
    rows = np.stack(kept, axis=1)
    return matrices @ np.linalg.pinv(rows), rows


def _pair(whole: Stencil, first: Sequence[bool], width: int) -> Pair:
    """The two convolutions of that many channels between them in each group; their filters are zeros."""
    groups, (out, inner) = whole.groups, whole.filter.shape[:2]
    axes = [
        (axis, Axis.conv(axis.output, 1)) if here else (Axis.conv(axis.input, 1), axis)
        for axis, here in zip(whole.axes, first, strict=True)
    ]
    a, b = (tuple(pair) for pair in zip(*axes, strict=True))
    between = groups * width
    before = replace(whole, filter=_zeros(between, inner, a), bias=np.zeros(between), axes=a)
    return before, replace(whole, filter=_zeros(out, width, b), axes=b)


def _zeros(out: int, inner: int, axes: Sequence[Axis]) -> np.ndarray:
    return np.broadcast_to(0.0, (out, inner, *(axis.taps for axis in axes)))


def _work(pair: Pair) -> int:
    return pair[0].own_work * pair[1].strides + pair[1].own_work


def _eps(dtype: np.dtype[Any]) -> float:
    """The distance from 1 to the next number of this type; no less than what is lost in finding factors in float64."""
    return max(2.0**-46, float(ml_dtypes.finfo(dtype).eps))  # type: ignore[no-untyped-call] # numpy's knows no bfloat16


BINOMIAL = np.outer((1, 3, 3, 1), (1, 2, 1)) / 64


def _low_rank(g: CaseBuilder, shape: Sequence[int], first: Sequence[bool], width: int, groups: int = 1) -> ir.Value:
    """A filter, [Cout, Cin/groups, *taps], that two narrower ones make."""
    inside, outside = (
        [k if here == part else 1 for k, here in zip(shape[2:], first, strict=True)] for part in (True, False)
    )
    a = g.random.standard_normal((groups, 1, width, shape[1], *inside))
    b = g.random.standard_normal((groups, shape[0] // groups, width, 1, *outside))
    return g.constant(np.asarray((a * b).sum(axis=2), g.dtype.numpy()).reshape(shape), name="w")


def _case(
    name: str,
    x: tuple[int | str, ...],
    shape: tuple[int, ...],
    first: tuple[bool, ...],
    width: int = 1,
    *,
    bias: bool = False,
    refuses: str | None = None,
    **attributes: object,
) -> Case:
    def build(g: CaseBuilder) -> ir.Value:
        data, groups = g.input(*x), attributes.get("group", 1)
        assert isinstance(groups, int)
        weight = _low_rank(g, shape, first, width, groups)
        return g.Conv(data, weight, g.weight(shape[0]) if bias else None, **attributes)

    return Case(name, build, refuses=refuses)


@split_separable_conv.cases
def cases() -> Iterator[Case]:
    yield Case("a depthwise blur, strided", _blur)
    yield _case(
        "dense, padded, strided and dilated",
        (1, 3, 8, 9),
        (3, 3, 3, 3),
        (True, False),
        bias=True,
        strides=(2, 1),
        dilations=(1, 2),
        pads=(1, 0, 2, 1),
    )
    yield _case("of rank 2", (2, 4, 6, 6), (4, 4, 3, 3), (False, True), 2, pads=(1, 1, 1, 1))
    yield _case("1×1", (1, 6, 4, 4), (6, 6, 1, 1), (False, False), 2)
    yield _case("3×3 then 1×1", (1, 4, 5, 5), (6, 4, 3, 3), (True, True))
    yield _case("1×1 then 3×3", (1, 6, 5, 5), (4, 6, 3, 3), (False, False), strides=(2, 2), bias=True)
    yield _case("in groups", (1, 4, 5, 6), (6, 2, 3, 3), (True, False), group=2)
    yield _case("1-D", (1, 6, 8), (6, 6, 3), (False,), pads=(2, 0))
    yield _case("3-D", (1, 2, 4, 4, 5), (2, 2, 2, 2, 3), (True, False, False), auto_pad="SAME_UPPER")
    yield _case(
        "of full rank",
        (1, 3, 6, 6),
        (3, 3, 3, 3),
        (True, False),
        9,
        refuses="no two narrower filters make this one with fewer multiply-adds",
    )
    yield Case(
        "a weak channel of another filter",
        _weak,
        refuses="no two narrower filters make this one with fewer multiply-adds",
    )
    yield _case(
        "a dynamic size",
        ("N", 3, "H", 6),
        (3, 3, 3, 3),
        (True, False),
    )
    yield Case("a filter that is not finite", _infinite, refuses="the filter is not finite")


def _blur(g: CaseBuilder) -> ir.Value:
    weight = g.constant(np.tile(BINOMIAL.astype(g.dtype.numpy()), (3, 1, 1, 1)))
    return g.Conv(g.input(1, 3, 8, 7), weight, group=3, strides=(2, 1), pads=(1, 1, 2, 1))


def _weak(g: CaseBuilder) -> ir.Value:
    """Beside the first channel the second is nothing, but it is its own output."""
    content = np.tile(BINOMIAL[:3, :3], (2, 1, 1, 1))
    content[1, 0] = 1e-12 * np.array([(0, 1, 0), (1, 0, 0), (0, 0, 1)])
    return g.Conv(g.input(1, 1, 5, 5), g.constant(content.astype(np.float32)))


def _infinite(g: CaseBuilder) -> ir.Value:
    return g.Conv(g.input(1, 3, 4, 4), g.constant(np.full((3, 3, 1, 1), np.inf, np.float32)))


@split_separable_conv.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, kernel=5)
    wide = random.choice((1, 2, 3))
    group = drawn.attributes["group"]
    shape = (drawn.filter[0] * wide, drawn.filter[1] * wide, *drawn.filter[2:])
    data = (drawn.data[0], shape[1] * group, *drawn.data[2:])
    first, width = [random.random() < 0.5 for _ in shape[2:]], random.choice((1, 1, 1, 2))

    def build(g: CaseBuilder) -> ir.Value:
        weight = _low_rank(g, shape, first, width, group)
        return g.Conv(g.input(*data), weight, g.weight(shape[0]) if drawn.bias else None, **drawn.attributes)

    name = f"{list(data)} {list(shape)} of rank {width}, first {first}, {drawn.attributes}"
    return Case(name, build, seed=random.getrandbits(32))
