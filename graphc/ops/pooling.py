"""Pooling over windows and over whole maps, dense: a tap on padding counts, and is told apart as `padding_step`."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from graphc.convolution import pool_axes, static_shape
from graphc.costs import Cost
from graphc.ops.op import Op, Saved, buffer, elements, gradient_traffic, keep, op, operand, size_in_bytes, traffic
from graphc.view import View

INDEX_BYTES = 8  # of a position in a window


@dataclass(frozen=True)
class Windows:
    """How many `outputs` there are, the `taps` of all their windows together, and how many of these are `real`."""

    outputs: int
    taps: int
    real: int

    def per_tap(self, each: Cost) -> Cost:
        """That cost for every tap, on padding too."""
        return each * self.taps + Cost(padding_step=each.flops * (self.taps - self.real))

    def combined(self, each: Cost) -> Cost:
        """That cost for every tap but the first of each window."""
        steps, real = self.taps - self.outputs, max(0, self.real - self.outputs)
        return each * max(0, steps) + Cost(padding_step=each.flops * max(0, steps - real))


class _Pool(Op):
    """Over the windows that the node's attributes say, on as many axes as the data has."""

    gradients = frozenset({0})

    def windows(self, view: View) -> Windows:
        """Read from the axes."""
        batch, channels, *sizes = static_shape(operand(view, 0))
        axes, maps = pool_axes(view, sizes), batch * channels
        outputs = maps * prod(axis.output for axis in axes)
        real = maps * prod(axis.effective_macs for axis in axes)
        return Windows(outputs, outputs * prod(axis.taps for axis in axes), real)


class _Whole(_Pool):
    """Each map is one window."""

    def windows(self, view: View) -> Windows:
        batch, channels, *sizes = static_shape(operand(view, 0))
        maps = batch * channels
        return Windows(maps, maps * prod(sizes), maps * prod(sizes))


@op("MaxPool")
class MaxPool(_Pool):
    """Comparisons among the window of each output; back, each gradient is added to where the largest was."""

    def forward(self, view: View) -> Cost:
        return self.windows(view).combined(Cost(cmp=1)) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        outputs = self.windows(view).outputs
        indices = Cost(bytes_read=outputs * INDEX_BYTES)
        return Cost(add=outputs) + indices + gradient_traffic(view, index)

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """The data and the position of each largest."""
        return keep(operand(view, 0), "data") + buffer(self.windows(view).outputs * INDEX_BYTES, "indices")


@op("GlobalMaxPool")
class GlobalMaxPool(_Whole, MaxPool):
    """Comparisons among each whole map."""


@op("AveragePool")
class AveragePool(_Pool):
    """Adds over the window of each output, and one division; back, a quotient is added to each of the window.

    `count_include_pad` changes what is divided by, not how often.
    """

    def forward(self, view: View) -> Cost:
        windows = self.windows(view)
        return windows.combined(Cost(add=1)) + Cost(div=windows.outputs) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        windows = self.windows(view)
        return windows.per_tap(Cost(add=1)) + Cost(div=windows.outputs) + gradient_traffic(view, index)

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        return keep(operand(view, 0), "data")


@op("GlobalAveragePool")
class GlobalAveragePool(_Whole, AveragePool):
    """Adds over each whole map, and one division; windows do not overlap, so back is a division and a copy."""

    def toward(self, view: View, index: int) -> Cost:
        return Cost(div=self.windows(view).outputs) + gradient_traffic(view, index)

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """A mean needs nothing of its data."""
        return ()


@op("LpPool")
class LpPool(_Pool):
    """(Σ |x|^p)^(1/p) over windows; back g·(x/y)^(p−1) with the sign of x, for each of the window.

    A power is one transcendental function, whatever p.
    """

    def forward(self, view: View) -> Cost:
        windows, inputs = self.windows(view), elements(operand(view, 0))
        powers = Cost(cmp=inputs, transcendental=inputs + windows.outputs)
        return powers + windows.combined(Cost(add=1)) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        taps = self.windows(view).per_tap(Cost(div=1, transcendental=1, cmp=1, mul=1, add=1))
        return taps + gradient_traffic(view, index, operand(view, 0), view.node.outputs[0])

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        return keep(operand(view, 0), "data") + keep(view.node.outputs[0], "output")


@op("GlobalLpPool")
class GlobalLpPool(_Whole, LpPool):
    """Over each whole map."""


@op("MaxUnpool")
class MaxUnpool(Op):
    """Each element is put where the indices say, the rest is zero; back, it is picked from there."""

    gradients = frozenset({0})

    def forward(self, view: View) -> Cost:
        return traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        own = size_in_bytes([operand(view, 0)])
        return Cost(bytes_read=own + size_in_bytes([operand(view, 1)]), bytes_written=own)

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        return keep(operand(view, 1), "indices")
