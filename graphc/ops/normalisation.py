"""Normalisations by the statistics of a group of elements: y = γ·x̂ + β with x̂ = (x − mean)·r.

Backward, with g the gradient of the output: that of β is Σ g, that of γ is Σ g·x̂, and that of x is

    r·(γ·g − mean(γ·g) − x̂·mean(γ·g·x̂))

with means over the group. x̂ is made again from x and the statistics, once (`shared`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from graphc.convolution import static_shape
from graphc.costs import ZERO, Cost
from graphc.ops.op import (
    Op,
    Saved,
    buffer,
    elements,
    gradient_traffic,
    keep,
    op,
    operand,
    optional,
    size_in_bytes,
    traffic,
)
from graphc.view import Refusal, View

DATA, SCALE, SHIFT = range(3)
FLOAT_BYTES = 4  # of a statistic, whatever the data


@dataclass(frozen=True)
class Groups:
    """`count` equal groups of `size` elements in all share statistics; `uniform`: γ is one number within a group."""

    size: int
    count: int
    uniform: bool = False


class Standardisation(Op):
    """Mean and variance of each group."""

    gradients = frozenset({DATA, SCALE, SHIFT})

    def groups(self, view: View) -> Groups:
        """What shares statistics."""
        raise NotImplementedError

    def forward(self, view: View) -> Cost:
        groups = self.groups(view)
        return standardised(groups.size, groups.count) + affine(view, groups.size) + traffic(view)

    def shared(self, view: View) -> Cost:
        size = self.groups(view).size
        return Cost(add=size, mul=size)

    def toward(self, view: View, index: int) -> Cost:
        groups = self.groups(view)
        if index == SHIFT:
            return Cost(add=groups.size) + gradient_traffic(view, index)
        data = operand(view, DATA)
        if index == SCALE:
            return Cost(add=groups.size, mul=groups.size) + gradient_traffic(view, index, data)
        scale = optional(view, SCALE)
        sums = Cost(add=2, mul=1)  # Σ γ·g and Σ γ·g·x̂
        each = sums + Cost(add=2, mul=2)
        if scale is not None and not groups.uniform:
            each += Cost(mul=1)
        per_group = Cost(div=2, mul=1 if groups.uniform else 0)
        return each * groups.size + per_group * groups.count + gradient_traffic(view, index, data, scale)

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """The data, γ and two statistics of each group, whichever gradient is wanted."""
        return keep(operand(view, DATA), "data") + keep(optional(view, SCALE), "scale") + self.statistics(view)

    def statistics(self, view: View) -> tuple[Saved, ...]:
        """Mean and 1/√(variance + ε) of each group."""
        return buffer(2 * self.groups(view).count * FLOAT_BYTES, "statistics")


@op("InstanceNormalization")
class InstanceNormalization(Standardisation):
    """Statistics per image and channel."""

    def groups(self, view: View) -> Groups:
        shape = static_shape(operand(view, DATA))
        return Groups(prod(shape), prod(shape[:2]), uniform=True)

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """As a batch norm over every image's own channels: γ repeated for each image."""
        repeated = buffer(self.groups(view).count * FLOAT_BYTES, "scale")
        return keep(operand(view, DATA), "data") + repeated + self.statistics(view)


@op("GroupNormalization")
class GroupNormalization(Standardisation):
    """Statistics per image and group of channels; before opset 21 γ and β are of a group, then of a channel."""

    def groups(self, view: View) -> Groups:
        shape = static_shape(operand(view, DATA))
        return Groups(prod(shape), shape[0] * view.attr("num_groups"), uniform=view.opset < 21)


@op("LayerNormalization")
class LayerNormalization(Standardisation):
    """Statistics over all dimensions from `axis` on."""

    def groups(self, view: View) -> Groups:
        shape = static_shape(operand(view, DATA))
        return Groups(prod(shape), prod(shape[: view.attr("axis")]))


@op("MeanVarianceNormalization")
class MeanVarianceNormalization(Standardisation):
    """Statistics over `axes`, without γ and β."""

    gradients = frozenset({DATA})

    def groups(self, view: View) -> Groups:
        shape = static_shape(operand(view, DATA))
        over = prod(shape[axis] for axis in view.attr("axes"))
        return Groups(prod(shape), prod(shape) // max(1, over))


@op("BatchNormalization")
class BatchNormalization(Standardisation):
    """In inference the statistics are constants: y = s·x + t, with s and t folded. In training they are computed.

    Mean and variance are running statistics, tracked but not trained.
    """

    def groups(self, view: View) -> Groups:
        shape = static_shape(operand(view, DATA))
        return Groups(prod(shape), shape[1], uniform=True)

    def forward(self, view: View) -> Cost:
        size, channels = (groups := self.groups(view)).size, groups.count
        folded = Cost(mul=size, add=size) + traffic(view)
        if not _training(view):
            return folded
        running = Cost(mul=4 * channels, add=2 * channels)  # mean and variance: m·old + (1 − m)·new
        return standardised(size, channels) + running + folded

    def shared(self, view: View) -> Cost:
        return super().shared(view) if _training(view) else ZERO

    def toward(self, view: View, index: int) -> Cost:
        if index != DATA or _training(view):
            return super().toward(view, index)
        return Cost(mul=self.groups(view).size) + gradient_traffic(view, index, operand(view, SCALE))

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """The data, γ and the running statistics; in training also those of the batch."""
        running = keep(view.node.inputs[3], "mean") + keep(view.node.inputs[4], "variance")
        kept = keep(operand(view, DATA), "data") + keep(optional(view, SCALE), "scale") + running
        return kept + self.statistics(view) if _training(view) else kept


def _training(view: View) -> bool:
    """Before opset 14, asking for statistics says it."""
    return bool(view.attr("training_mode")) or any(value.name for value in view.node.outputs[1:])


@op("RMSNormalization")
class RMSNormalization(Op):
    """γ·x̂ with x̂ = x·r, r = 1/√(mean(x²) + ε) over the dimensions from `axis` on.

    Backward: r·(γ·g − x̂·mean(γ·g·x̂)).
    """

    gradients = frozenset({DATA, SCALE})

    def forward(self, view: View) -> Cost:
        size, rows = self._rows(view)
        return Cost(add=size, mul=3 * size) + Cost(div=2, add=1, transcendental=1) * rows + traffic(view)

    def shared(self, view: View) -> Cost:
        return Cost(mul=self._rows(view)[0])

    def toward(self, view: View, index: int) -> Cost:
        size, rows = self._rows(view)
        if index == SCALE:
            return Cost(add=size, mul=size) + gradient_traffic(view, index, operand(view, DATA))
        read = gradient_traffic(view, index, operand(view, DATA), operand(view, SCALE))
        return Cost(add=2 * size, mul=4 * size, div=rows) + read

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """For the data: itself, r of each row and γ. For γ: x̂."""
        data, rows = operand(view, DATA), self._rows(view)[1]
        normalised = buffer(size_in_bytes([data]), "normalised data") if SCALE in wanted else ()
        if DATA not in wanted:
            return normalised
        statistics = buffer(rows * FLOAT_BYTES, "statistics")
        return keep(data, "data") + statistics + keep(operand(view, SCALE), "scale") + normalised

    def _rows(self, view: View) -> tuple[int, int]:
        shape = static_shape(operand(view, DATA))
        return prod(shape), prod(shape[: view.attr("axis")])


@op("LpNormalization")
class LpNormalization(Op):
    """x / ‖x‖ along an axis; backward (g − s·Σ g·y) / ‖x‖, with s the sign of x (p = 1) or y (p = 2)."""

    gradients = frozenset({DATA})

    def forward(self, view: View) -> Cost:
        size, rows = self._rows(view)
        if view.attr("p") == 1:
            return Cost(cmp=size, add=size - rows, div=size) + traffic(view)
        return Cost(mul=size, add=size, div=size, transcendental=rows) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        size, _ = self._rows(view)
        sign = Cost(cmp=size) if view.attr("p") == 1 else ZERO
        work = Cost(mul=2 * size, add=2 * size, div=size)
        return work + sign + gradient_traffic(view, index, operand(view, DATA), view.node.outputs[0])

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """The data and the norm of each row."""
        data = operand(view, DATA)
        size, rows = self._rows(view)
        return keep(data, "data") + buffer(size_in_bytes([data]) // max(1, size) * rows, "norms")

    def _rows(self, view: View) -> tuple[int, int]:
        shape = static_shape(operand(view, DATA))
        return prod(shape), prod(shape) // max(1, shape[view.attr("axis")])


@op("LRN")
class LocalResponse(Op):
    """y = x / s^β, s = bias + α/size·Σ x² over a window of channels; taps beyond the channels count.

    Backward: g/s^β − 2αβ/size·x·Σ g·y/s over the window.
    """

    gradients = frozenset({DATA})

    def forward(self, view: View) -> Cost:
        size, window = self._sizes(view)
        return Cost(mul=window + 1, add=window + 1, transcendental=1, div=1) * size + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        size, window = self._sizes(view)
        each = Cost(mul=4, add=window, transcendental=1, div=2)
        return each * size + gradient_traffic(view, index, operand(view, DATA), view.node.outputs[0])

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """The data, the output and s."""
        data, out = operand(view, DATA), view.node.outputs[0]
        return keep(data, "data") + keep(out, "output") + buffer(size_in_bytes([data]), "divisor")

    def _sizes(self, view: View) -> tuple[int, int]:
        window = view.attr("size")
        if window is None:
            raise Refusal("LRN has no size")
        return elements(operand(view, DATA)), window


def affine(view: View, size: int) -> Cost:
    """γ·x̂ + β, as far as they are there."""
    present = [value for value in view.node.inputs[SCALE : SHIFT + 1] if value is not None]
    return Cost(mul=size if present else 0, add=size if len(present) > 1 else 0)


def standardised(size: int, groups: int) -> Cost:
    """(x − mean) / √(variance + ε), with statistics over each of `groups` equal parts of `size` elements.

    Per element: one add to the mean, one to centre, a square and an add of it, a multiplication by 1/√.
    """
    groups = min(groups, size)  # empty groups have no statistics
    statistics = Cost(div=3, add=1, transcendental=1) * groups  # mean, variance, 1/√(variance + ε)
    return Cost(add=3 * size - groups, mul=2 * size) + statistics
