"""What several rewrites share: a convolution with constant weights, and constants that act per channel."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import ml_dtypes
import numpy as np
import onnx_ir as ir

from graphc import Refusal, Tape, View, transpose_filter


@dataclass(frozen=True)
class ConstantConv:
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
    def out_channels(self) -> int:
        """Cout."""
        return self.filter.shape[0]

    @property
    def in_channels(self) -> int:
        """Cin."""
        return self.filter.shape[1] * self.groups

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

    def remade(self, op: Tape, data: ir.Value, filter_: np.ndarray, bias: np.ndarray) -> ir.Value:
        """The same convolution of `data` with another filter and bias."""
        stored = transpose_filter(filter_, self.groups) if self.transposed else filter_
        weights = self.view.required("W")
        made = op.record(
            self.view.op_type,
            data,
            op.constant(stored, like=weights, name="weight"),
            op.constant(bias, like=weights, name="bias"),
            **{name: self.view.attr(name) for name in self.view.node.attributes},
        )
        assert isinstance(made, ir.Value)
        return made


def per_channel(content: np.ndarray, rank: int, channels: int) -> np.ndarray:
    """A constant that broadcasts against [N, C, ...] of that rank as C numbers, float64.

    Raises Refusal when it differs along any other axis: `[W]` acts along the last axis, even where W = C.
    """
    if content.ndim > rank:
        raise Refusal("the constant has more axes than the data")
    shape = (1,) * (rank - content.ndim) + content.shape
    if any(size != 1 for axis, size in enumerate(shape) if axis != 1):
        raise Refusal("the constant does not act per channel")
    if shape[1] not in (1, channels):
        raise Refusal("the constant has another number of channels")
    return np.broadcast_to(content.reshape(-1).astype(np.float64), (channels,)).copy()


def survives(filter_: np.ndarray, bias: np.ndarray, like: ir.Value) -> bool:
    """Whether a filter [Cout, ...] and bias [Cout] keep their precision in the type of `like`.

    Rounding may take an eps of each channel's largest number and no more: overflow and underflow take all of it.
    """
    dtype = like.dtype.numpy() if like.dtype is not None else np.dtype(np.float32)
    eps = float(ml_dtypes.finfo(dtype).eps)  # type: ignore[no-untyped-call] # numpy's does not know bfloat16
    weights, shifts = filter_.reshape(len(bias), prod(filter_.shape[1:])), bias[:, None]
    largest = np.abs(weights).max(axis=1, initial=0.0, keepdims=True)
    with np.errstate(over="ignore", invalid="ignore"):
        lost = [np.abs(each - each.astype(dtype).astype(np.float64)) for each in (weights, shifts)]
        kept = lost[0] <= eps * largest, lost[1] <= eps * np.maximum(largest, np.abs(shifts))
    return bool(kept[0].all() and kept[1].all())
