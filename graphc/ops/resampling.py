"""Interpolation: an output is a weighted sum of two (linear) or four (cubic) neighbours per resized axis.

Weights depend on positions alone and are not counted. Back, the same weights scatter each output's gradient; a nearest
neighbour's is one add.
"""

from __future__ import annotations

from math import ceil, prod

import numpy as np

from graphc.convolution import static_shape
from graphc.costs import Cost
from graphc.ops.op import Op, Saved, elements, gradient_traffic, keep, op, operand, size_in_bytes, traffic
from graphc.view import Refusal, View, constant

RADIUS = {"nearest": 0, "linear": 1, "bilinear": 1, "cubic": 2, "bicubic": 2}  # neighbours on either side


@op("Resize", "Upsample")
class Resize(Op):
    """Joint over the r resized axes: 2^r or 4^r multiply-adds per output, none for nearest.

    Antialiasing widens the window of an axis that shrinks by s to 2·⌈radius/s⌉ neighbours.
    """

    gradients = frozenset({0})

    def forward(self, view: View) -> Cost:
        out, neighbours = self._sizes(view)
        return Cost(mac=out * neighbours) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        out, neighbours = self._sizes(view)
        work = Cost(mac=out * neighbours) if neighbours else Cost(add=out)
        return work + gradient_traffic(view, index)

    def _sizes(self, view: View) -> tuple[int, int]:
        """(outputs, neighbours of each, 0 where it is a copy)"""
        out, radius = elements(view.node.outputs[0]), RADIUS[view.attr("mode")]
        factors = [factor for factor in _factors(view) if factor != 1]
        if not radius or not factors:
            return out, 0
        widened = view.op_type == "Resize" and view.attr("antialias")
        return out, prod(2 * ceil(radius / min(factor, 1)) if widened else 2 * radius for factor in factors)


def _factors(view: View) -> list[float]:
    """By how much each axis grows; an axis cut to a region counts as resized, whatever its size."""
    before, after = static_shape(operand(view, 0)), static_shape(view.node.outputs[0])
    sizes = [new / old if old else 1.0 for old, new in zip(before, after, strict=True)]
    if view.op_type == "Upsample":
        return sizes
    given = _stated(view, len(before))
    if view.attr("coordinate_transformation_mode") != "tf_crop_and_resize":
        return given or sizes
    axes = view.attr("axes") or range(len(before))
    region = view.constant("roi").reshape(2, -1)
    cut = {axis for axis, (first, last) in zip(axes, region.T, strict=True) if (first, last) != (0, 1)}
    return [0.5 if axis in cut and factor == 1 else factor for axis, factor in enumerate(given or sizes)]


def _stated(view: View, rank: int) -> list[float]:
    """The factors that the node states for all axes; empty where it states sizes or the factors are not known."""
    scales = view.node.inputs[1 if view.opset < 11 else 2] if len(view.node.inputs) > 1 + (view.opset >= 11) else None
    known = None if scales is None else constant(scales)
    if known is None or not known.size:
        return []
    axes = (view.attr("axes") if view.opset >= 18 else None) or range(rank)
    factors = np.ones(rank)
    factors[list(axes)] = known
    return [float(factor) for factor in factors]


@op("GridSample")
class GridSample(Op):
    """Each output lies at a place of the grid: a multiply-add per coordinate, then as Resize on all r spatial axes.

    Back, towards the grid: r differences of the same neighbours for each output, over the channels.
    """

    gradients = frozenset({0, 1})

    def forward(self, view: View) -> Cost:
        places = Cost(mul=1, add=1) * elements(operand(view, 1))
        out, neighbours, _ = self._sizes(view)
        return Cost(mac=out * neighbours) + places + traffic(view)

    def differentiable(self, view: View, index: int) -> bool:
        stepped = index == 1 and RADIUS[view.attr("mode")] == 0
        return not stepped and super().differentiable(view, index)

    def toward(self, view: View, index: int) -> Cost:
        out, neighbours, rank = self._sizes(view)
        read = gradient_traffic(view, index, operand(view, 0), operand(view, 1))
        if index == 1:
            return Cost(mac=out * neighbours * rank, mul=elements(operand(view, 1))) + read
        return (Cost(mac=out * neighbours) if neighbours else Cost(add=out)) + read

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        return keep(operand(view, 0), "data") + keep(operand(view, 1), "grid") if wanted else ()

    def _sizes(self, view: View) -> tuple[int, int, int]:
        """(outputs, neighbours of each, spatial axes)"""
        rank, radius = len(static_shape(operand(view, 0))) - 2, RADIUS[view.attr("mode")]
        return elements(view.node.outputs[0]), (2 * radius) ** rank if radius else 0, rank


@op("AffineGrid")
class AffineGrid(Op):
    """A matrix [r, r + 1] for each image times every place: r·(r + 1) multiply-adds; back as many."""

    gradients = frozenset({0})

    def forward(self, view: View) -> Cost:
        return self._products(view) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        return self._products(view) + gradient_traffic(view, index)

    def _products(self, view: View) -> Cost:
        grid = view.node.outputs[0]
        return Cost(mac=elements(grid) * (static_shape(grid)[-1] + 1))


@op("RoiAlign")
class RoiAlign(Op):
    """Each output is the mean (or the largest) of sampling_ratio² samples, four multiply-adds each.

    A sampling_ratio of 0 takes as many as the region is large, which is data.
    """

    gradients = frozenset({0})

    def forward(self, view: View) -> Cost:
        out, samples = self._sizes(view)
        joined = Cost(cmp=samples - 1) if view.attr("mode") == "max" else Cost(add=samples - 1, div=1)
        return (Cost(mac=4 * samples) + joined) * out + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        out, samples = self._sizes(view)
        work = Cost(mac=4) if view.attr("mode") == "max" else Cost(mac=4 * samples, div=1)
        return work * out + gradient_traffic(view, index, operand(view, 1), operand(view, 2))

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        return keep(operand(view, 1), "regions") + keep(operand(view, 2), "images") if wanted else ()

    def _sizes(self, view: View) -> tuple[int, int]:
        ratio = view.attr("sampling_ratio")
        if ratio < 1:
            raise Refusal("how many samples a region takes depends on its size, which is data")
        return elements(view.node.outputs[0]), ratio**2


@op("Col2Im")
class ColumnsToImage(Op):
    """Each element of the columns is added to its place; back, it is picked from there."""

    gradients = frozenset({0})

    def forward(self, view: View) -> Cost:
        return Cost(add=elements(operand(view, 0))) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        own = size_in_bytes([operand(view, 0)])
        return Cost(bytes_read=own, bytes_written=own)
