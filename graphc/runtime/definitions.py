"""Operators by their definition in the ONNX specification, in numpy: those that `onnx.reference` gets wrong or lacks.

It has no dilation in AveragePool and LpPool under `auto_pad=VALID`, no `ceil_mode` under any `auto_pad`, one output too
few in MaxPool under SAME_LOWER with a stride, one zero point for each filter of a ConvInteger in two dimensions only,
and DeformConv in two dimensions and 32 bits only. Of a window without any element the specification says nothing: it is
0, or the lowest number, as in ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx.reference.op_run import OpRun
from onnx.reference.ops.op_roi_align import RoiAlign as RoiAlign16

from graphc.convolution import Axis, pool_axes, read_convolution
from graphc.view import View


def described(op_type: str, attributes: Mapping[str, Any], inputs: int = 2) -> ir.Node:
    """A node with those attributes, to be read with the shapes at hand."""
    given = {name: value for name, value in attributes.items() if value is not None}
    return ir.node(op_type, [ir.val(f"x{index}") for index in range(inputs)], given)


class AveragePool(OpRun):
    """The mean over each window: of the elements that are there, or also of the pads (not of what lies beyond them)."""

    def _run(self, x: np.ndarray, **attributes: Any) -> tuple[np.ndarray]:
        axes, pads = _pool("AveragePool", x, attributes)
        elements, inside = _windows(x, axes)
        counted = _inside(axes, pads) if attributes["count_include_pad"] else inside
        taps = tuple(range(-len(axes), 0))
        return ((np.where(inside, elements, 0).sum(taps) / counted.sum(taps).clip(1)).astype(x.dtype),)


class Flatten(OpRun):
    """Two axes of all, also where there are no elements."""

    def _run(self, x: np.ndarray, *, axis: int) -> tuple[np.ndarray]:
        split = axis % x.ndim if axis < 0 else axis
        return (x.reshape(prod(x.shape[:split]), prod(x.shape[split:])),)


class GlobalAveragePool(OpRun):
    """The mean over each map, also where there are no maps."""

    def _run(self, x: np.ndarray) -> tuple[np.ndarray]:
        return (x.mean(tuple(range(2, x.ndim)), keepdims=True),)


class LpPool(OpRun):
    """(Σ |x|^p)^(1/p) over each window."""

    def _run(self, x: np.ndarray, *, p: int, **attributes: Any) -> tuple[np.ndarray]:
        if p < 1:
            raise ValueError(f"there is no norm of order {p}")
        elements, inside = _windows(x, _pool("LpPool", x, attributes)[0])
        powers = np.where(inside, np.abs(elements), 0) ** p
        return ((powers.sum(tuple(range(2 - x.ndim, 0))) ** (1 / p)).astype(x.dtype),)


class MaxPool(OpRun):
    """The largest of each window, and where it lies in the flattened data."""

    def _run(self, x: np.ndarray, *, storage_order: int, **attributes: Any) -> tuple[np.ndarray, ...]:
        if storage_order not in (0, 1):
            raise ValueError(f"there is no order {storage_order}")
        axes, _ = _pool("MaxPool", x, attributes)
        elements, inside = _windows(x, axes)
        lowest = (np.finfo if x.dtype.kind == "f" else np.iinfo)(x.dtype).min
        flat = (*elements.shape[: x.ndim], prod(elements.shape[x.ndim :]))
        candidates = np.where(inside, elements, lowest).reshape(flat)
        if len(self.onnx_node.output) == 1:
            return (candidates.max(-1),)
        position = np.arange(prod(x.shape[2:])).reshape(x.shape[2:], order=("C", "F")[storage_order])
        image = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], *[1] * len(axes)) * position.size
        places = _windows(image + position, axes)[0].reshape(flat)
        first = candidates.argmax(-1)[..., None]
        return tuple(np.take_along_axis(each, first, -1)[..., 0] for each in (candidates, places))


class ConvInteger(OpRun):
    """The convolution of what is left when zero points, one or one for each filter, are taken off."""

    def _run(
        self,
        x: np.ndarray,
        w: np.ndarray,
        x_zero_point: np.ndarray | None = None,
        w_zero_point: np.ndarray | None = None,
        **attributes: Any,
    ) -> tuple[np.ndarray]:
        data, filter_ = x.astype(np.int64), w.astype(np.int64)
        if x_zero_point is not None:
            data -= x_zero_point.astype(np.int64)
        if w_zero_point is not None:
            filter_ -= w_zero_point.astype(np.int64).reshape(-1, *[1] * (w.ndim - 1))
        nest = read_convolution(described("ConvInteger", attributes), x.shape, w.shape)
        return (nest.run(data, filter_).astype(np.int64).astype(np.int32),)


class RoiAlign(RoiAlign16):
    """As before opset 16: regions are not moved by half a pixel, as `onnx.reference` moves them."""

    def _run(self, *inputs: np.ndarray, **attributes: Any) -> Any:
        given = {**attributes, "coordinate_transformation_mode": "output_half_pixel"}
        return super()._run(*inputs, **given)  # type: ignore[no-untyped-call]


class DeformConv(OpRun):
    """Each tap reads the data where its offset says, linearly between elements, zero outside; times its mask."""

    def _run(
        self,
        x: np.ndarray,
        w: np.ndarray,
        offset: np.ndarray,
        b: np.ndarray | None = None,
        mask: np.ndarray | None = None,
        *,
        offset_group: int,
        **attributes: Any,
    ) -> tuple[np.ndarray]:
        given = {**attributes, "offset_group": offset_group}
        nest = read_convolution(described("DeformConv", given, 3), x.shape, w.shape)
        out, taps, rank = nest.out_shape[2:], prod(w.shape[2:]), len(nest.axes)
        moved = offset.reshape(len(x), offset_group, taps, rank, *out)
        masks = np.ones((1, 1, taps)) if mask is None else mask.reshape(len(x), offset_group, taps, *out)
        data = x.reshape(len(x), offset_group, -1, *x.shape[2:])
        filters = w.reshape(nest.groups, -1, w.shape[1], taps)
        y = np.zeros((len(x), nest.groups, filters.shape[1], *out), x.dtype)
        for tap, steps in enumerate(np.ndindex(w.shape[2:])):
            places = [
                moved[:, :, tap, a] + _spread(axis.down * np.arange(axis.output) - axis.pad + axis.step * step, a, rank)
                for a, (axis, step) in enumerate(zip(nest.axes, steps, strict=True))
            ]
            samples = _between(data, places) * masks[:, :, None, tap]
            grouped = samples.reshape(len(x), nest.groups, -1, *out)
            y += np.einsum("ngc...,gkc->ngk...", grouped, filters[..., tap])
        y = y.reshape(nest.out_shape)
        return (y if b is None else y + b.reshape(-1, *[1] * rank),)


def _between(data: np.ndarray, places: Sequence[np.ndarray]) -> np.ndarray:
    """[N, G, C, *L] read at places [N, G, *out], one array for each axis of L: [N, G, C, *out]."""
    ones = [1] * len(places)
    lead = np.arange(data.shape[0]).reshape(-1, 1, *ones), np.arange(data.shape[1]).reshape(-1, *ones)
    last = np.moveaxis(data, 2, -1)
    total: np.ndarray = np.zeros((*data.shape[:3], *places[0].shape[2:]), data.dtype)
    for corner in product((0, 1), repeat=len(places)):
        weight, where = np.ones_like(places[0]), []
        for place, side, length in zip(places, corner, data.shape[3:], strict=True):
            index = np.floor(place) + side
            weight = weight * (1 - np.abs(place - index)) * ((index >= 0) & (index < length))
            where.append(index.clip(0, length - 1).astype(np.int64))
        total = total + weight[:, :, None] * np.moveaxis(last[(*lead, *where)], -1, 2)
    return total


def _spread(positions: np.ndarray, axis: int, rank: int) -> np.ndarray:
    return positions.reshape([-1 if a == axis else 1 for a in range(rank)])


def _pool(op_type: str, x: np.ndarray, attributes: Mapping[str, Any]) -> tuple[tuple[Axis, ...], list[tuple[int, int]]]:
    """The axes of a pooling node and its pads: as stated, or as `auto_pad` makes them."""
    view = View(described(op_type, attributes, 1))
    axes, stated = pool_axes(view, x.shape[2:]), attributes.get("pads")
    if stated is None or attributes["auto_pad"] != "NOTSET":
        same = attributes["auto_pad"].startswith("SAME")
        return axes, [axis.pads if same else (0, 0) for axis in axes]
    return axes, list(zip(stated[: len(axes)], stated[len(axes) :], strict=True))


def _windows(x: np.ndarray, axes: Sequence[Axis]) -> tuple[np.ndarray, np.ndarray]:
    """[N, C, *L] as [N, C, *outputs, *taps], with any element where there is none, and whether there is one."""
    where = tuple(index.clip(0, axis.input - 1) for index, axis in zip(_indices(axes), axes, strict=True))
    elements: np.ndarray = x[(..., *where)]  # type: ignore[arg-type] # mypy takes a tuple for one index
    return elements, _inside(axes, [(0, 0)] * len(axes))


def _inside(axes: Sequence[Axis], pads: Sequence[tuple[int, int]]) -> np.ndarray:
    """[*outputs, *taps]: whether an element or one of those pads lies there."""
    found = np.ones((1,) * 2 * len(axes), bool)
    for index, axis, (begin, end) in zip(_indices(axes), axes, pads, strict=True):
        found = found & (index >= -begin) & (index < axis.input + end)
    return found


def _indices(axes: Sequence[Axis]) -> list[np.ndarray]:
    """For each axis, the input index of each output and tap, shaped to broadcast as [*outputs, *taps]."""
    rank, found = len(axes), []
    for a, axis in enumerate(axes):
        index = axis.down * np.arange(axis.output)[:, None] - axis.pad + axis.step * np.arange(axis.taps)
        shape = [1] * (2 * rank)
        shape[a], shape[rank + a] = index.shape
        found.append(index.reshape(shape))
    return found
