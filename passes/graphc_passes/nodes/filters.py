"""What several rewrites share: a convolution with constant weights, and constants that act per channel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import ml_dtypes
import numpy as np
import onnx_ir as ir

from graphc import Axis, Refusal, Tape, View, read_convolution, transpose_filter
from graphc_passes.nodes.stated import attributes_of

LONGEST = 1 << 24  # outputs times taps of an axis


class Filtered:
    """Whatever has a `filter` [Cout, Cin/groups, ...] and the number of its `groups`."""

    filter: np.ndarray
    groups: int

    @property
    def out_channels(self) -> int:
        """Cout."""
        return self.filter.shape[0]

    @property
    def in_channels(self) -> int:
        """Cin."""
        return self.filter.shape[1] * self.groups


@dataclass(frozen=True)
class ConstantConv(Filtered):
    """A Conv or ConvTranspose whose filter and bias are constants.

    `filter` is [Cout, Cin/g, ...] for both, as in `Convolution`; it and `bias` are float64, so that folding rounds
    once, at the end.
    """

    view: View
    filter: np.ndarray
    bias: np.ndarray
    groups: int

    @classmethod
    def read(cls, view: View) -> ConstantConv:
        """Read all of a convolution. Raises Refusal when the filter or bias is not a constant."""
        stored, groups = view.constant("W").astype(np.float64), view.attr("group")
        filter_ = transpose_filter(stored, groups) if view.op_type == "ConvTranspose" else stored
        bias = view.optional_constant("B")
        return cls(view, filter_, np.zeros(len(filter_)) if bias is None else bias.astype(np.float64), groups)

    @property
    def transposed(self) -> bool:
        """Whether this is a ConvTranspose."""
        return self.view.op_type == "ConvTranspose"

    @property
    def rank(self) -> int:
        """Axes of the data: batch, channels and the spatial ones."""
        return self.filter.ndim

    def scale_outputs(self, scale: np.ndarray) -> np.ndarray:
        """The filter with output channel k times scale[k]."""
        return self.filter * scale.reshape(-1, *[1] * (self.rank - 1))

    def scale_inputs(self, scale: np.ndarray) -> np.ndarray:
        """The filter with input channel c times scale[c]."""
        by_group = scale.reshape(self.groups, self.filter.shape[1])
        seen = np.repeat(by_group, self.out_channels // self.groups, axis=0)
        return self.filter * seen.reshape(self.filter.shape[:2] + (1,) * (self.rank - 2))

    @property
    def borderless(self) -> bool:
        """Whether every tap of every output reads data, whatever its size: a Conv that nothing pads."""
        pads, mode = self.view.attr("pads") or (), self.view.attr("auto_pad")
        return not self.transposed and max(*pads, 0, 0) == 0 and mode in ("NOTSET", "VALID")

    @cached_property
    def axes(self) -> tuple[Axis, ...] | None:
        """The spatial axes, None where the size of the data is not known."""
        shape = self.view.required("X").shape
        sizes = [] if shape is None else [size for size in shape[2:] if isinstance(size, int)]
        if len(sizes) != self.rank - 2:
            return None
        return read_convolution(self.view, [1, self.in_channels, *sizes]).axes

    def of_level(self, level: np.ndarray) -> np.ndarray:
        """What it makes of data that is level[c] everywhere: [1, Cout, *output].

        An axis along which all outputs agree has length 1. Where sizes are not known, nothing is taken to be padded.
        """
        made = self.scale_inputs(level).sum(axis=1)
        for reads in self._reads:
            made = np.tensordot(made, reads, axes=(1, 1))
        return made[None] + self.bias.reshape(1, -1, *[1] * (self.rank - 2))

    @property
    def levels(self) -> int:
        """How many numbers `of_level` makes."""
        return self.out_channels * prod(len(reads) for reads in self._reads)

    @cached_property
    def _reads(self) -> list[np.ndarray]:
        """For each axis [output, taps]: 1 where a tap reads data. One row where all are alike."""
        if self.borderless or self.axes is None:
            return [np.ones((1, taps)) for taps in self.filter.shape[2:]]
        if any(axis.output * axis.taps > LONGEST for axis in self.axes):
            raise Refusal("the data is too long to see what each output reads")
        reads = [axis.reads().astype(np.float64) for axis in self.axes]
        return [each[:1] if (each == each[:1]).all() else each for each in reads]

    def remade(self, op: Tape, data: ir.Value, filter_: np.ndarray, bias: np.ndarray) -> ir.Value:
        """The same convolution of `data` with another filter and bias.

        The bias is [Cout], or [N or 1, Cout, ...] that broadcasts to the output: more than one number per channel are
        added after.
        """
        stored = transpose_filter(filter_, self.groups) if self.transposed else filter_
        weights = self.view.required("W")
        inside = bias.size == self.out_channels
        if not inside and op.opset < 7:
            raise Refusal("an Add before opset 7 does not broadcast")
        made = op.record(
            self.view.op_type,
            data,
            op.constant(stored, like=weights, name="weight"),
            op.constant(bias.reshape(-1), like=weights, name="bias") if inside else None,
            **attributes_of(self.view),
        )
        if inside:
            return made
        out = list(made.shape or ())
        if any(size not in (1, stated) for size, stated in zip(bias.shape[2:], out[2:], strict=False)) or not out:
            raise Refusal("the size of the output is not known")
        return op.Add(made, op.constant(bias, like=weights, name="bias"))


def survives(filter_: np.ndarray, bias: np.ndarray, like: ir.Value) -> bool:
    """Whether a filter [Cout, ...] and bias ([Cout] or [N, Cout, ...]) keep their precision in the type of `like`.

    Rounding may take an eps of each channel's largest number and no more: overflow and underflow take all of it.
    """
    bias = bias if bias.ndim == 1 else bias.swapaxes(0, 1)
    dtype = like.dtype.numpy() if like.dtype is not None else np.dtype(np.float32)
    eps = float(ml_dtypes.finfo(dtype).eps)  # type: ignore[no-untyped-call] # numpy's does not know bfloat16
    weights, shifts = (each.reshape(len(each), prod(each.shape[1:])) for each in (filter_, bias))
    largest = np.abs(weights).max(axis=1, initial=0.0, keepdims=True)
    with np.errstate(over="ignore", invalid="ignore"):
        lost = [np.abs(each - each.astype(dtype).astype(np.float64)) for each in (weights, shifts)]
        kept = lost[0] <= eps * largest, lost[1] <= eps * np.maximum(largest, np.abs(shifts))
    return bool(kept[0].all() and kept[1].all())
