"""A large filter that is a product of a column and a row: of numerical rank 1.

Why    a k×k filter of rank 1 is a k×1 and a 1×k after each other, with k/2 times fewer multiply-adds: blurs, boxes,
       fixed derivatives, and layers that were made of a low rank (Jaderberg et al., BMVC 2014). Small filters and small
       maps gain less than the map between costs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from graphc import CaseBuilder, Convolution, Problem, Subject, View, constant, lint
from graphc_passes.nodes.workload import ANY_SIZE, WORTH, of_one
from graphc_passes.rewrites.merging.split_separable_conv import split_separable_conv

GAIN = 2  # times fewer multiply-adds, at least
NEAR = 1e-2  # of the square of the largest weight: what is farther off is not looked at closely
BLOCK = 8  # channels on each side, of which nearly every other filter shows that it is none


@lint(
    category="convolution",
    severity="info",
    help="convolve along one axis, then along the other",
    fix=split_separable_conv.name,
)
def separable_kernel(subject: Subject) -> Iterator[Problem]:
    for node, opset in subject.nodes("Conv") if subject.has_weights else ():
        view = View(node, opset)
        weights = view.input("W")
        filter_ = constant(weights) if weights is not None else None
        if filter_ is None or not _may_be(filter_):
            continue
        found = of_one(view, ANY_SIZE)
        if found is None or found.macs < WORTH or not _gains(found) or not _is_product(filter_, found):
            continue
        if split_separable_conv.would_fire(node, opset):
            kernel = "×".join(str(axis.taps) for axis in found.axes)
            yield Problem(f"its {kernel} filter is the product of one along each axis", at=node)


def _may_be(filter_: np.ndarray) -> bool:
    """Whether a minor of the filter from the first channel to the first comes near 0, as all do of a product."""
    if filter_.ndim != 4 or filter_.size == 0 or min(filter_.shape[2:]) < 2:
        return False
    first = filter_[0, 0].astype(np.float64)
    minor = first[0, 0] * first[1, 1] - first[0, 1] * first[1, 0]
    return bool(abs(minor) <= NEAR * np.abs(first).max() ** 2)


def _gains(conv: Convolution) -> bool:
    """Whether a column and a row are enough fewer multiply-adds, with one channel for each group between."""
    rows, columns = (axis.taps for axis in conv.axes)
    inner, outer = conv.in_channels // conv.groups, conv.out_channels // conv.groups
    return inner * outer * rows * columns >= GAIN * (inner * rows + outer * columns)


def _is_product(filter_: np.ndarray, conv: Convolution) -> bool:
    """Whether, for each group, [inputs and rows, outputs and columns] comes near a column times a row."""
    grouped = filter_.reshape(conv.groups, -1, *filter_.shape[1:])
    return all(_is_near(part.astype(np.float64)) for part in (grouped[:1, :BLOCK, :BLOCK], grouped))


def _is_near(grouped: np.ndarray) -> bool:
    groups, outer, inner, rows, columns = grouped.shape
    matrix = grouped.transpose(0, 2, 3, 1, 4).reshape(groups, inner * rows, outer * columns)
    row, column = np.unravel_index(np.abs(matrix).reshape(groups, -1).argmax(axis=1), matrix.shape[1:])
    each = np.arange(groups)
    pivot = matrix[each, row, column].reshape(-1, 1, 1)
    products = matrix[each, :, column][:, :, None] * matrix[each, row, :][:, None, :]
    return bool((np.abs(matrix * pivot - products) <= NEAR * pivot**2).all())


def _blurred(g: CaseBuilder, kernel: np.ndarray, size: int) -> object:
    filter_ = np.tile(kernel.astype(np.float32), (16, 1, 1, 1))
    half = len(kernel) // 2
    return g.Conv(g.input(1, 16, size, size), g.constant(filter_), group=16, pads=(half,) * 4)


BINOMIAL = np.array((1, 6, 15, 20, 15, 6, 1)) / 64


@separable_kernel.bad
def a_blur(g: CaseBuilder) -> object:
    return _blurred(g, np.outer(BINOMIAL, BINOMIAL), 128)


@separable_kernel.good
def a_disc(g: CaseBuilder) -> object:
    rows, columns = np.ogrid[-3:4, -3:4]
    return _blurred(g, (rows**2 + columns**2 <= 10) / 37, 128)


@separable_kernel.good
def over_a_small_map(g: CaseBuilder) -> object:
    return _blurred(g, np.outer(BINOMIAL, BINOMIAL), 16)


@separable_kernel.good
def of_three_taps(g: CaseBuilder) -> object:
    return _blurred(g, np.outer((1, 2, 1), (1, 2, 1)) / 16, 512)
