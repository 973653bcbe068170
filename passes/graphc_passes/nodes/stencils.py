"""Linear local operators with constant weights as numbers that compose and add: convolutions, average pools, norms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import gcd, prod
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Axis, Refusal, Tape, View, read_convolution
from graphc_passes.nodes.averaging import Averaging
from graphc_passes.nodes.filters import ConstantConv, Filtered
from graphc_passes.nodes.nests import both_sides
from graphc_passes.nodes.norms import batchnorm_affine, is_training
from graphc_passes.nodes.stated import ANY_SIZE, rank_of, static_channels

LINEAR = ("Conv", "AveragePool", "BatchNormalization")


@dataclass(frozen=True)
class Stencil(Filtered):
    """out[k, o] = bias[k] + Σ filter[k, c, t]·data[c, i] over the (i, o, t) of the axes; zeros lie around the data.

    `filter` is [Cout, Cin/groups, *taps]; it and `bias` are float64. Where the size of an axis is not known it is not
    `fixed`, and the axis stands at a size of which nothing is left over at the end: its pads are those that are stated.
    `work` is the multiply-adds of the convolutions that it was made of, for one position of an axis that is not fixed.
    """

    filter: np.ndarray
    bias: np.ndarray
    groups: int
    axes: tuple[Axis, ...]
    fixed: tuple[bool, ...]
    work: int = 0

    @classmethod
    def read(cls, view: View) -> Stencil:
        """Read all of a node that is one of LINEAR. Raises Refusal when it is not linear or not constant."""
        read = {"Conv": _of_conv, "AveragePool": _of_average_pool, "BatchNormalization": _of_batchnorm}
        return read[view.op_type](view)

    @classmethod
    def per_channel(cls, data: ir.Value, scale: np.ndarray, bias: np.ndarray) -> Stencil:
        """`data` times scale[c] plus bias[c]. Raises Refusal when the rank of the data is not known."""
        sizes = _sizes(data, rank_of(data))
        axes = tuple(Axis.conv(ANY_SIZE if size is None else size, 1) for size in sizes)
        filter_ = scale.reshape(-1, 1, *[1] * len(axes))
        return cls(filter_, bias, len(scale), axes, tuple(size is not None for size in sizes))

    # ---------------------------------------------------------------- sizes

    @property
    def own_work(self) -> int:
        """The multiply-adds of this one convolution, counted as `work` is."""
        return self.filter.size * _positions(self.axes, self.fixed)

    @property
    def strides(self) -> int:
        """How many positions its data has for one of its own, along the axes that are not fixed."""
        return prod(axis.down for axis, fixed in zip(self.axes, self.fixed, strict=True) if not fixed)

    @property
    def meets_padding(self) -> bool:
        """Whether some tap reads padding."""
        return any(max(axis.pads) > 0 for axis in self.axes)

    def regrouped(self, groups: int) -> Stencil:
        """The same in fewer groups, a divisor of their number: their filters lie on a diagonal of zeros."""
        merge, inner = self.groups // groups, self.filter.shape[1]
        wide = np.zeros((self.out_channels, merge, inner, *self.filter.shape[2:]))
        rows = np.arange(self.out_channels)
        wide[rows, rows * self.groups // self.out_channels % merge] = self.filter
        shape = (self.out_channels, merge * inner, *self.filter.shape[2:])
        return replace(self, filter=wide.reshape(shape), groups=groups)

    def times(self, sign: int) -> Stencil:
        """The same, times a number."""
        return replace(self, filter=self.filter * sign, bias=self.bias * sign)

    # ---------------------------------------------------------------- one after another

    def vanishes_around(self, reader: Stencil) -> bool:
        """Whether, but for the bias, this makes zeros of the zeros around its data wherever `reader` reads padding."""
        return all(map(_vanishes, self.axes, reader.axes, self.fixed))

    def work_saved_by(self, reader: Stencil) -> int:
        """How many multiply-adds fewer `read_by` would do than both."""
        axes, groups = tuple(map(_composed, self.axes, reader.axes)), gcd(self.groups, reader.groups)
        weights = reader.out_channels * self.in_channels // groups * prod(axis.taps for axis in axes)
        return self.work * reader.strides + reader.work - weights * _positions(axes, self.fixed)

    def read_by(self, reader: Stencil) -> Stencil:
        """The reader of this as a reader of its data, right where the reader meets no padding but zeros.

        Raises Refusal when the size between them is known on one side only.
        """
        if self.fixed != reader.fixed:
            raise Refusal("a size between them is not known")
        groups = gcd(self.groups, reader.groups)
        first, second = self.regrouped(groups), reader.regrouped(groups)
        axes = tuple(map(_composed, first.axes, second.axes))
        a, b = (
            each.filter.reshape(groups, -1, *each.filter.shape[1:]) for each in (first, second)
        )  # [groups, outer, inner, *taps]
        filter_ = np.zeros((groups, b.shape[1], a.shape[2], *(axis.taps for axis in axes)))
        for taps in product(*map(range, a.shape[3:])):
            for later in product(*map(range, b.shape[3:])):
                at = tuple(map(_place, axes, first.axes, second.axes, taps, later))
                filter_[_at(at)] += b[_at(later)] @ a[_at(taps)]
        with np.errstate(invalid="ignore"):
            level = (b.sum(axis=tuple(range(3, b.ndim))) @ self.bias.reshape(groups, -1, 1)).reshape(-1)
        return Stencil(
            filter_.reshape(-1, *filter_.shape[2:]),
            reader.bias + level,
            groups,
            axes,
            self.fixed,
            reader.work + self.work * reader.strides,
        )

    # ---------------------------------------------------------------- as a node

    def made(self, op: Tape, data: ir.Value, like: ir.Value, bias: np.ndarray | None = None) -> ir.Value:
        """The Conv of `data`, weights in the type of `like`; another `bias` is [1, Cout, *output] and added after."""
        made = op.Conv(
            data,
            op.constant(self.filter, like=like, name="weight"),
            op.constant(self.bias, like=like, name="bias") if bias is None and self.bias.any() else None,
            strides=[axis.down for axis in self.axes],
            dilations=[axis.step for axis in self.axes],
            pads=both_sides([(max(0, begin), max(0, end)) for begin, end in (axis.pads for axis in self.axes)]),
            group=self.groups,
        )
        if bias is not None:
            made = op.Add(made, op.constant(bias, like=like, name="bias"))
        return made


def total(stencils: Sequence[Stencil]) -> Stencil:
    """The sum of stencils over the same data: each filter laid where its pads put it on the support of all of them.

    Raises Refusal when their outputs do not lie upon each other.
    """
    first = stencils[0]
    for each in stencils[1:]:
        if (each.out_channels, each.fixed) != (first.out_channels, first.fixed):
            raise Refusal("the shapes of the branches differ")
        if not all(map(_coincide, first.axes, each.axes)):
            raise Refusal("the strides or the shapes of the branches differ")
    groups = gcd(*(each.groups for each in stencils))
    axes = tuple(_union(axes) for axes in zip(*(each.axes for each in stencils), strict=True))
    filter_ = np.zeros((first.out_channels, first.in_channels // groups, *(axis.taps for axis in axes)))
    for each in stencils:
        places = [
            [(axis.pad - own.pad + own.step * tap) // axis.step for tap in range(own.taps)]
            for axis, own in zip(axes, each.axes, strict=True)
        ]
        filter_[np.ix_(*map(range, filter_.shape[:2]), *places)] += each.regrouped(groups).filter
    bias = np.sum([each.bias for each in stencils], axis=0)
    return Stencil(filter_, bias, groups, axes, first.fixed, sum(each.work for each in stencils))


# ---------------------------------------------------------------- axes


def _at(taps: tuple[int, ...]) -> Any:
    """The index of these taps in an array whose last axes they are."""
    return ..., *taps


def _positions(axes: Sequence[Axis], fixed: Sequence[bool]) -> int:
    """The outputs along the axes of known sizes."""
    return prod(axis.output for axis, known in zip(axes, fixed, strict=True) if known)


def _vanishes(axis: Axis, reader: Axis, fixed: bool) -> bool:
    """Whether outputs that `reader` reads before or after those of `axis` would see none of its data."""
    before, after = (max(0, pad) for pad in reader.pads)
    axis = axis if fixed else replace(axis, input=axis.input + axis.down - 1)
    longer = replace(axis.preceded_by(before), output=before + axis.output + after)
    return longer.effective_macs == axis.effective_macs


def _composed(axis: Axis, reader: Axis) -> Axis:
    """The axis of `reader` over the outputs of `axis`: down·o − pad + step·t, put into the same of `axis`."""
    strides = (axis.step, axis.down * reader.step)
    taps = (axis.taps, reader.taps)
    last = sum(stride * (count - 1) for stride, count in zip(strides, taps, strict=True))
    step = gcd(*(stride for stride, count in zip(strides, taps, strict=True) if count > 1)) or 1
    input_ = axis.input + axis.down * (reader.input - axis.output)
    pad = axis.pad + axis.down * reader.pad
    return Axis(input_, reader.output, last // step + 1, 1, axis.down * reader.down, pad, step)


def _place(composed: Axis, axis: Axis, reader: Axis, tap: int, later: int) -> int:
    """The tap of the composed axis that is `tap` of the first after `later` of its reader."""
    return (axis.step * tap + axis.down * reader.step * later) // composed.step


def _coincide(a: Axis, b: Axis) -> bool:
    """Whether two axes over the same data have as many outputs at equal distances, whatever its size."""
    return a.down == b.down and b.input - a.input == a.down * (b.output - a.output)


def _union(axes: Sequence[Axis]) -> Axis:
    """The axis of the fewest taps that has a place for every tap of each of these."""
    pad = max(axis.pad for axis in axes)
    last = max(axis.step * (axis.taps - 1) - axis.pad for axis in axes)
    apart = [axis.step for axis in axes if axis.taps > 1] + [pad - axis.pad for axis in axes]
    step = gcd(*apart) or 1
    return replace(axes[0], taps=(pad + last) // step + 1, pad=pad, step=step)


# ---------------------------------------------------------------- reading


def _of_conv(view: View) -> Stencil:
    conv = ConstantConv.read(view)
    rank = conv.rank - 2
    sizes = _sizes(view.required("X"), conv.rank)
    stated = (view.attr("pads") or (0,) * (2 * rank))[rank:]
    if min(view.attr("pads") or (0,)) < 0:
        raise Refusal("a negative pad crops")

    def axes_of(sizes: Sequence[int]) -> tuple[Axis, ...]:
        return read_convolution(view, [1, conv.in_channels, *sizes]).axes

    if view.attr("auto_pad").startswith("SAME"):
        stated = (None,) * rank
    axes = _standing(axes_of, sizes, stated)
    made = Stencil(conv.filter, conv.bias, conv.groups, axes, tuple(size is not None for size in sizes))
    return replace(made, work=made.own_work)


def _of_average_pool(view: View) -> Stencil:
    averaging, data = Averaging.read(view), view.required("X")
    if not averaging.is_uniform:
        raise Refusal("the windows average different numbers of elements")
    channels = static_channels(data)
    sizes = _sizes(data, 2 + len(averaging.kernel))

    def axes_of(sizes: Sequence[int]) -> tuple[Axis, ...]:
        return tuple(map(Axis.conv, sizes, averaging.kernel, averaging.strides, averaging.dilations, averaging.pads))

    axes = _standing(axes_of, sizes, [end for _, end in averaging.pads])
    filter_ = np.full((channels, 1, *averaging.kernel), 1 / averaging.taps)
    return Stencil(filter_, np.zeros(channels), channels, axes, tuple(size is not None for size in sizes))


def _of_batchnorm(view: View) -> Stencil:
    if is_training(view):
        raise Refusal("training mode: the statistics depend on the batch")
    scale, shift = batchnorm_affine(view)
    return Stencil.per_channel(view.required("X"), scale, shift)


def _sizes(data: ir.Value, rank: int) -> list[int | None]:
    """The spatial sizes of data of that rank; None where one is not known."""
    sizes = (None,) * rank if data.shape is None else data.shape
    return [size if isinstance(size, int) else None for size in sizes[2:]]


def _standing(
    axes_of: Callable[[Sequence[int]], tuple[Axis, ...]],
    sizes: Sequence[int | None],
    ends: Sequence[int | None],
) -> tuple[Axis, ...]:
    """Axes over these sizes, those not known at one where the end pad is just what is stated (None: by auto_pad).

    Raises Refusal when an output is empty, or a pad depends on a size that is not known.
    """
    axes = axes_of([ANY_SIZE if size is None else size for size in sizes])
    found = []
    for axis, size, end in zip(axes, sizes, ends, strict=True):
        if size is None and end is None and axis.down > 1:
            raise Refusal("auto_pad depends on a size that is not known")
        left_over = 0 if size is not None or end is None else end - axis.pads[1]
        found.append(replace(axis, input=axis.input - left_over))
    if not all(axis.output for axis in found):
        raise Refusal("the output is empty")
    return tuple(found)
