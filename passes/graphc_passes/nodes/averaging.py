"""Reading an AveragePool: its windows, and over how many elements each of them takes the mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, reduce
from math import prod

import numpy as np
import onnx_ir as ir

from graphc import Axis, GraphcError, Refusal, Tape, View, pool_axes
from graphc_passes.nodes.nests import both_sides
from graphc_passes.nodes.stated import ANY_SIZE, shape_of, spatial_sizes


@dataclass(frozen=True)
class Averaging:
    """An AveragePool with its attributes as numbers per axis.

    `pads` are those that an operator without `auto_pad` and `ceil_mode` needs for the same windows. `counted` are the
    axes over all that is averaged, padding too where it counts; None where sizes are not known, and then every sum is
    divided by `taps`. A size that is not known stands at ANY_SIZE: neither the pads nor the weights depend on it.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    axes: tuple[Axis, ...]
    counted: tuple[Axis, ...] | None

    @classmethod
    def read(cls, pool: View) -> Averaging:
        """Read all of an AveragePool. Raises Refusal when the rank is not known, or a size that decides the result."""
        shape, axes = shape_of(pool.required("X")), windows(pool)
        kernel, rank = pool.attr("kernel_shape"), len(shape) - 2
        strides, dilations = pool.attr("strides") or (1,) * rank, pool.attr("dilations") or (1,) * rank
        ceil, same = bool(pool.attr("ceil_mode")), pool.attr("auto_pad").startswith("SAME")
        given, padding_counts = pool.attr("pads") or (0,) * (2 * rank), bool(pool.attr("count_include_pad"))
        stated = tuple(zip(given[:rank], given[rank:], strict=True))
        if not all(isinstance(size, int) for size in shape[2:]):
            if ceil or same or (any(given) and not padding_counts):
                raise Refusal("the windows depend on a size that is not known")
            return cls(kernel, strides, dilations, stated, axes, None)
        pads = tuple((axis.pad, max(0, axis.pads[1])) for axis in axes) if ceil or same else stated
        ends = [end for _, end in (pads if same else stated)]
        counted = tuple(map(_with_padding, axes, ends)) if padding_counts else axes
        return cls(kernel, strides, dilations, pads, axes, counted)

    @property
    def is_static(self) -> bool:
        """Whether every size is known."""
        return self.counted is not None

    @property
    def taps(self) -> int:
        """The elements of a window, on padding too."""
        return prod(self.kernel)

    @property
    def has_output(self) -> bool:
        """Whether some window fits; of sizes that are not known, it is said that it does."""
        return all(axis.output for axis in self.axes)

    @cached_property
    def counts(self) -> np.ndarray:
        """[*output]: the elements that each window's sum is divided by; one number where that is always `taps`."""
        if self.counted is None:
            return np.full((1,) * len(self.kernel), self.taps)
        each = [np.bincount(axis.triples()[:, 1], minlength=axis.output) for axis in self.counted]
        return reduce(np.multiply.outer, each)

    @property
    def is_uniform(self) -> bool:
        """Whether every sum is divided by the number of taps: the pool is a convolution."""
        return bool((self.counts == self.taps).all())

    @property
    def keeps_constants(self) -> bool:
        """Whether the mean of a constant is that constant at every output: no padding is averaged in."""
        if self.counted is None:
            return not any(map(any, self.pads))
        pairs = zip(self.axes, self.counted, strict=True)
        return all(axis.effective_macs == counted.effective_macs for axis, counted in pairs)

    def depthwise(self, op: Tape, data: ir.Value, channels: int) -> ir.Value:
        """The convolution of each channel with 1/taps at every tap: the pool itself where it is uniform."""
        weight = np.full((channels, 1, *self.kernel), 1 / self.taps)
        return op.Conv(
            data,
            op.constant(weight, like=data, name="weight"),
            kernel_shape=self.kernel,
            strides=self.strides,
            dilations=self.dilations,
            pads=both_sides(self.pads),
            group=channels,
        )


def windows(pool: View) -> tuple[Axis, ...]:
    """The axes of a pool; a size that is not known stands at ANY_SIZE. Raises Refusal when the rank is not known."""
    try:
        return pool_axes(pool, spatial_sizes(pool.required("X")))
    except GraphcError as error:  # the node contradicts itself
        raise Refusal(error.message) from error


def has_output(pool: View) -> bool:
    """Whether some window fits; of sizes that are not known, it is said that it does."""
    return pool.op_type == "GlobalAveragePool" or all(axis.output for axis in windows(pool))


def sees_data(pool: View) -> bool:
    """Whether every window has an element that is no padding; of axes of unknown size, it is said that they do."""
    if pool.op_type == "GlobalAveragePool":
        return True
    known = [axis for axis in windows(pool) if axis.input != ANY_SIZE]
    return all(np.unique(axis.triples()[:, 1]).size == axis.output for axis in known)


def keeps_constants(pool: View) -> bool:
    """Whether each mean is of data alone: a constant stays what it is. Raises Refusal when that is not known."""
    if pool.op_type == "GlobalAveragePool" or not pool.attr("count_include_pad"):
        return True
    return Averaging.read(pool).keeps_constants


def _with_padding(axis: Axis, end: int) -> Axis:
    """The axis over its data with that padding around it."""
    return replace(axis, input=axis.pad + axis.input + end, pad=0)
