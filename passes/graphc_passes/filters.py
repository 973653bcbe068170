"""What several rewrites share: a convolution with constant weights, and constants that act per channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Refusal, Tape, View


@dataclass(frozen=True)
class ConstantConv:
    """A Conv or ConvTranspose whose filter [Cout, Cin/g, ...] ([Cin, Cout/g, ...] transposed) and bias are constants.

    `filter` and `bias` are float64, so that folding rounds once, at the end.
    """

    view: View
    filter: np.ndarray
    bias: np.ndarray
    has_bias: bool
    groups: int

    @classmethod
    def read(cls, view: View) -> ConstantConv:
        """Read all of a convolution. Raises Refusal when the filter or bias is not a constant."""
        filter_ = view.constant("W").astype(np.float64)
        bias = view.optional_constant("B")
        groups = view.attr("group")
        outputs = filter_.shape[1] * groups if view.op_type == "ConvTranspose" else filter_.shape[0]
        content = np.zeros(outputs) if bias is None else bias.astype(np.float64)
        return cls(view, filter_, content, bias is not None, groups)

    @property
    def transposed(self) -> bool:
        """Whether this is a ConvTranspose."""
        return self.view.op_type == "ConvTranspose"

    @property
    def out_channels(self) -> int:
        """Cout."""
        return len(self.bias)

    @property
    def in_channels(self) -> int:
        """Cin."""
        return self.filter.shape[0] if self.transposed else self.filter.shape[1] * self.groups

    @property
    def rank(self) -> int:
        """Axes of the data: batch, channels and the spatial ones."""
        return self.filter.ndim

    def scale_outputs(self, scale: np.ndarray) -> np.ndarray:
        """The filter with output channel o times scale[o]."""
        if not self.transposed:
            return self.filter * _column(scale, self.filter.ndim)
        per_group = scale.reshape(self.groups, 1, -1)  # group, input channels of it, output channels of it
        by_group = self.filter.reshape(self.groups, self.in_channels // self.groups, self.filter.shape[1], -1)
        return (by_group * per_group[..., None]).reshape(self.filter.shape)

    def scale_inputs(self, scale: np.ndarray) -> np.ndarray:
        """The filter with input channel c times scale[c]."""
        if self.transposed:
            return self.filter * _column(scale, self.filter.ndim)
        per_group = scale.reshape(self.groups, 1, -1)  # group, output channels of it, input channels of it
        by_group = self.filter.reshape(self.groups, self.out_channels // self.groups, self.filter.shape[1], -1)
        return (by_group * per_group[..., None]).reshape(self.filter.shape)

    def remade(self, op: Tape, data: ir.Value, filter_: np.ndarray, bias: np.ndarray, **changed: Any) -> ir.Value:
        """The same convolution of `data` with another filter and bias; `changed` attributes replace its own."""
        attributes = {name: self.view.attr(name) for name in self.view.node.attributes} | changed
        weights = self.view.required("W")
        made = op.record(
            self.view.op_type,
            data,
            op.constant(filter_, like=weights, name="weight"),
            op.constant(bias, like=weights, name="bias"),
            **attributes,
        )
        assert isinstance(made, ir.Value)
        return made


def _column(scale: np.ndarray, rank: int) -> np.ndarray:
    return scale.reshape(-1, *[1] * (rank - 1))


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


def finite(*arrays: np.ndarray, dtype: ir.DataType | None) -> bool:
    """Whether every number stays finite in `dtype` (a fold may overflow a narrow type)."""
    kind = dtype.numpy() if dtype is not None else np.dtype(np.float32)
    with np.errstate(over="ignore"):
        return all(bool(np.isfinite(array.astype(kind)).all()) for array in arrays)
