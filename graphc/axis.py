"""One spatial axis of every convolution-like operator: one equation.

    up·i = down·o − pad + step·t          0 ≤ i < input, 0 ≤ o < output, 0 ≤ t < taps

relates an input index `i`, an output index `o` and a tap `t` of the filter.

| operator, stride s, dilation d, begin pad p | up | down | pad | step |
|---|---|---|---|---|
| Conv, AveragePool, BlurPool                 | 1  | s    | p   | d    |
| ConvTranspose                               | s  | 1    | −p  | −d   |
| integer nearest Resize ×s (taps = s)        | s  | 1    | 0   | −1   |

The gradients are the same triples (i, o, t) with another index summed into, so they are the same equation
solved for another letter. The canonical forms (space-to-depth, sub-pixel, ...) are the same equation written
with phases.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gcd
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Direction: TypeAlias = Literal["forward", "filter_grad", "input_grad"]


@dataclass(frozen=True)
class Axis:
    """The triples (i, o, t) with up·i = down·o − pad + step·t inside the three lengths.

    One of the three indices is the sum of the two others, up to factors: `i` in a Conv, `o` in a
    ConvTranspose, `t` in the filter gradient of a ConvTranspose. The sign of the whole equation is free; it
    is kept such that `up` is positive. Raises ValueError for a negative length, a zero factor, or an
    equation where no index is such a sum.
    """

    input: int
    output: int
    taps: int
    up: int = 1
    down: int = 1
    pad: int = 0
    step: int = 1

    def __post_init__(self) -> None:
        if min(self.input, self.output, self.taps) < 0:
            raise ValueError(f"negative length in {self}")
        if not (self.up and self.down and self.step):
            raise ValueError(f"zero factor in {self}")
        if self.up < 0:
            for name in ("up", "down", "pad", "step"):
                object.__setattr__(self, name, -getattr(self, name))
        if self.down < 0 and self.step < 0:
            raise ValueError(f"no index is the sum of the two others in {self}")

    @classmethod
    def conv(
        cls,
        input: int,
        kernel: int,
        stride: int = 1,
        dilation: int = 1,
        pads: tuple[int, int] = (0, 0),
        ceil_mode: bool = False,
    ) -> Axis:
        """The axis of a Conv or a pooling: output = ⌊(input + pads − extent) / stride⌋ + 1, at least 0.

        `extent` = dilation·(kernel − 1) + 1. Pads may be negative (cropping). With `ceil_mode` (pooling) the
        division rounds up, but no window may begin in the end pad. Source: ONNX operators Conv and MaxPool.
        """
        begin, end = pads
        free = input + begin + end - extent(kernel, dilation)
        output = max(0, free // stride + 1)
        if ceil_mode and free >= 0 and free % stride and output * stride < input + begin:
            output += 1
        return cls(input, output, kernel, 1, stride, begin, dilation)

    @classmethod
    def conv_transpose(
        cls,
        input: int,
        kernel: int,
        stride: int = 1,
        dilation: int = 1,
        pads: tuple[int, int] = (0, 0),
        output_padding: int = 0,
    ) -> Axis:
        """The axis of a ConvTranspose: output = stride·(input − 1) + extent + output_padding − pads, or 0.

        Pads may be negative: outputs that no tap reaches. Source: ONNX operator ConvTranspose.
        """
        begin, end = pads
        output = stride * (input - 1) + extent(kernel, dilation) + output_padding - begin - end
        return cls(input, max(0, output), kernel, stride, 1, -begin, -dilation)

    # ---------------------------------------------------------------- the same triples, other roles

    def input_grad(self) -> Axis:
        """The gradient towards the input: `i` is summed into. A Conv becomes a ConvTranspose, and back."""
        return Axis(self.output, self.input, self.taps, self.down, self.up, -self.pad, -self.step)

    def filter_grad(self) -> Axis:
        """The gradient towards the filter: `t` is summed into. Stride becomes dilation, and back."""
        return Axis(self.input, self.taps, self.output, self.up, self.step, self.pad, self.down)

    def toward(self, direction: Direction) -> Axis:
        """This axis, or one of its two gradients."""
        if direction == "forward":
            return self
        return self.input_grad() if direction == "input_grad" else self.filter_grad()

    def preceded_by(self, outputs: int) -> Axis:
        """The same axis with that many outputs more in front: crop them off, and this axis is left."""
        return replace(self, output=self.output + outputs, pad=self.pad + self.down * outputs)

    @property
    def gathered(self) -> Axis:
        """The Conv axis that has these triples: turned so that `i` is the sum. All factors are positive."""
        if self.down < 0:
            return self.filter_grad().input_grad()
        return self.input_grad() if self.step < 0 else self

    @property
    def pads(self) -> tuple[int, int]:
        """(begin, end) with which ONNX says this Conv or ConvTranspose axis exactly.

        Negative in a Conv: crop the input. A negative end in a ConvTranspose: output padding.
        """
        conv = self.gathered
        end = conv.down * (conv.output - 1) + extent(conv.taps, conv.step) - conv.pad - conv.input
        return conv.pad, end

    # ---------------------------------------------------------------- counts

    @property
    def macs(self) -> int:
        """Multiply-adds of this axis alone, dense: taps on padding count. Equal in all three directions.

        The pairs of the two indices that add up to the third: taps·output of a Conv, taps·input of a
        ConvTranspose.
        """
        conv = self.gathered
        return sum(conv._outputs_of(tap, 0, conv.output - 1) for tap in range(conv.taps))

    @property
    def effective_macs(self) -> int:
        """Multiply-adds on real elements: the number of triples, equal in all three directions. O(taps)."""
        conv = self.gathered
        total = 0
        for tap in range(conv.taps):
            least = conv.pad - conv.step * tap  # down·o at i = 0
            first = max(0, -(-least // conv.down))
            last = min(conv.output - 1, (least + conv.up * (conv.input - 1)) // conv.down)
            total += conv._outputs_of(tap, first, last)
        return total

    def zero_insertion_macs(self, direction: Direction = "forward") -> int:
        """Multiply-adds of that direction as a stride-1 convolution over an operand stretched with zeros."""
        if direction == "forward":
            return self.output * self.taps
        if direction == "input_grad":
            return self.input * self.taps
        conv = self.gathered  # its output, stretched by the stride, is the filter that slides to every tap
        return conv.taps * extent(conv.output, conv.down) if conv.output else 0

    def _outputs_of(self, tap: int, first: int, last: int) -> int:
        """How many o in [first, last] make i an integer: down·o ≡ pad − step·tap (mod up)."""
        common, target = gcd(self.up, self.down), self.pad - self.step * tap
        if last < first or target % common:
            return 0
        period = self.up // common
        root = target // common * pow(self.down // common, -1, period)
        return (last - root) // period - (first - 1 - root) // period

    def triples(self) -> Array:
        """Every (i, o, t) that satisfies the equation, by trying all of them. Shape [effective_macs, 3]."""
        i, o, t = np.ogrid[: self.input, : self.output, : self.taps]
        return np.argwhere(self.up * i == self.down * o - self.pad + self.step * t)

    def reads(self) -> Array:
        """Whether tap t reads real data for output o. Shape [output, taps]."""
        o, t = np.ogrid[: self.output, : self.taps]
        position = self.down * o - self.pad + self.step * t
        return (position % self.up == 0) & (position >= 0) & (position < self.up * self.input)

    # ---------------------------------------------------------------- phases

    def phases(self, multiple: int = 1) -> Phases:
        """The stride-1 form: SpaceToDepth(P), a Conv of `width` low-resolution taps, DepthToSpace(Q), a crop.

        (P, Q) is the smallest pair with up·P = down·Q, times `multiple`. With i = P·m + q and o = Q·n + r,
        tap t connects input phase q to output phase r at the offset

            m − n = (down·r − up·q − pad + step·t) / (up·P)        whenever that is an integer

        so (r, q, m − n) determine t: two taps never collide. A phase that no tap reaches (kernel < stride)
        is all −1. Raises ValueError when `down` is negative: the output then runs against the input.
        """
        if self.down < 0 or multiple < 1:
            raise ValueError(f"no phases of {self} at multiple {multiple}")
        common = gcd(self.up, self.down)
        P, Q = self.down // common * multiple, self.up // common * multiple  # noqa: N806 - the names of the law
        r, q, t = np.ogrid[:Q, :P, : self.taps]
        offset, rest = np.divmod(self.down * r - self.up * q - self.pad + self.step * t, self.up * P)
        connected = rest == 0
        offsets = offset[connected]
        first, last = (int(offsets.min()), int(offsets.max())) if offsets.size else (0, 0)
        table = np.full((Q, P, last - first + 1), -1)
        output_phase, input_phase, tap = np.nonzero(connected)
        table[output_phase, input_phase, offsets - first] = tap
        table.setflags(write=False)
        low = Axis(-(-self.input // P), -(-self.output // Q), last - first + 1, pad=-first)
        return Phases(P, Q, table, low, self.output)


@dataclass(frozen=True, eq=False)
class Phases:
    """One axis in its stride-1 form.

    `table[r, q, j]` is the tap that connects input phase q to output phase r at the offset m − n = first +
    j, or −1. `axis` is the low-resolution Conv: from ⌈input/P⌉ to ⌈output/Q⌉ positions over `width` taps,
    with `axis.pads`. The input is first extended with zeros to P·axis.input, the result cropped from
    Q·axis.output to `output`.
    """

    P: int
    Q: int
    table: Array
    axis: Axis
    output: int

    @property
    def first(self) -> int:
        """The smallest offset m − n of any tap."""
        return -self.axis.pad

    @property
    def width(self) -> int:
        """The number of low-resolution taps."""
        return self.axis.taps


def extent(taps: int, step: int) -> int:
    """The length that `taps` taps (at least one) span at distance `step`."""
    return step * (taps - 1) + 1


def same_pads(total: int, mode: str = "SAME_UPPER") -> tuple[int, int]:
    """(begin, end) of that total, at least 0: the odd one at the end in SAME_UPPER, else at the beginning."""
    less, more = max(0, total) // 2, (max(0, total) + 1) // 2
    return (less, more) if mode == "SAME_UPPER" else (more, less)
