"""Reading Reshape, Transpose, Reshape: which parts of which axes the axes of the result are made of.

And, of these and of DepthToSpace, what interleaves channels into space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod

import numpy as np
import onnx_ir as ir

from graphc import Refusal, View
from graphc_passes.nodes.stated import shape_of, static_channels

UNLIKE = "it does not interleave channels into space"
ANY_BATCH = 1_000_003 * 5040**4  # stands for a batch that is not known: no other size, and blocks divide it


@dataclass(frozen=True)
class Part:
    """`size` positions of an axis of the source, `stride` elements apart."""

    axis: int
    size: int
    stride: int = 1


Parts = tuple[Part, ...]  # outermost first


@dataclass(frozen=True)
class Rearrangement:
    """What a Reshape, Transpose, Reshape makes of `source`, whose sizes are `sizes`: each axis from `axes`.

    Parts of size 1 are left out, and parts that lie behind one another in the source are one.
    """

    source: ir.Value
    sizes: tuple[int, ...]
    axes: tuple[Parts, ...]

    @classmethod
    def read(cls, last: View) -> Rearrangement:
        """Read all of the three nodes, of which `last` is the last Reshape.

        Raises Refusal when a size other than the batch is not known, or when an axis is not cut along its own parts.
        """
        transpose = last.producer("data", "Transpose")
        first = transpose.producer("data", "Reshape")
        for view in (first, last):
            if view.opset < 5:
                raise Refusal("Reshape of opset 1 says it otherwise")
            view.input("shape"), view.attr("allowzero")  # the shapes that come out say it all, and no size is 0
        source, perm = first.required("data"), transpose.attr("perm")
        sizes = _sizes(source, None)
        between, out = (_sizes(view.node.outputs[0], prod(sizes)) for view in (first, last))
        parts = _regrouped([Part(axis, size) for axis, size in enumerate(sizes)], between)
        order = perm or range(len(parts) - 1, -1, -1)
        moved = [part for axis in order for part in parts[axis]]
        return cls(source, tuple(sizes), tuple(simplest(axis) for axis in _regrouped(moved, out)))


@dataclass(frozen=True)
class Interleaving:
    """[N, channels·Πblocks, L...] to [N, channels, L·block...].

    `rows[k·Πblocks + r]` is the channel of `data` that becomes phase r of channel k, r row-major over the axes.
    """

    data: ir.Value
    channels: int
    blocks: tuple[int, ...]
    rows: np.ndarray

    @classmethod
    def read(cls, root: View) -> Interleaving:
        """Read all of a DepthToSpace, or of a Reshape and what is before it. Raises Refusal when it is neither."""
        return _of_depth_to_space(root) if root.op_type == "DepthToSpace" else _of_reshape(root)


def _of_depth_to_space(root: View) -> Interleaving:
    data, block = root.required("input"), root.attr("blocksize")
    each = static_channels(data) // block**2
    of_channel, of_row, of_column = (block**2, block, 1) if root.attr("mode") == "CRD" else (1, block * each, each)
    parts = [Part(1, each, of_channel)], [Part(1, block, of_row)], [Part(1, block, of_column)]
    return _interleaving(data, parts)


def _of_reshape(root: View) -> Interleaving:
    """Each spatial axis of the result is that of the source and, behind it, a part of the channels."""
    found = Rearrangement.read(root)
    own = [simplest([Part(axis, size)]) for axis, size in enumerate(found.sizes)]
    if len(own) < 3 or len(found.axes) != len(own) or found.axes[0] != own[0]:
        raise Refusal(UNLIKE)
    parts = [found.axes[1]]
    for axis, expected in zip(found.axes[2:], own[2:], strict=True):
        if axis[: len(expected)] != expected:
            raise Refusal(UNLIKE)
        parts.append(axis[len(expected) :])
    if any(part.axis != 1 for axis in parts for part in axis):
        raise Refusal(UNLIKE)
    return _interleaving(found.source, parts)


def _interleaving(data: ir.Value, parts: Sequence[Sequence[Part]]) -> Interleaving:
    """`parts` of the channels become the channels and the block of each axis."""
    channels, *blocks = (prod(part.size for part in each) for each in parts)
    if prod(blocks) == 1:
        raise Refusal(UNLIKE)
    rows = positions([part for each in parts for part in each])
    return Interleaving(data, channels, tuple(blocks), rows)


def positions(parts: Sequence[Part]) -> np.ndarray:
    """Where, along their axis of the source, the elements of an axis made of these parts come from."""
    each = [np.arange(part.size) * part.stride for part in parts]
    return reduce(np.add.outer, each, np.zeros((), np.int64)).reshape(-1)


def simplest(parts: Sequence[Part]) -> Parts:
    """The same parts, without those of size 1 and with neighbours joined."""
    found: list[Part] = []
    for part in parts:
        if part.size == 1:
            continue
        if found and found[-1].axis == part.axis and found[-1].stride == part.stride * part.size:
            part = Part(part.axis, found.pop().size * part.size, part.stride)
        found.append(part)
    return tuple(found)


def _sizes(value: ir.Value, total: int | None) -> list[int]:
    """The sizes of a value of `total` elements; where that is not given, a batch that is not known is ANY_BATCH."""
    known = [size if isinstance(size, int) else None for size in shape_of(value)]
    if 0 in known:
        raise Refusal("the data is empty")
    if None not in known[1:] and total is None:
        return [ANY_BATCH if size is None else size for size in known]
    if total is None or known.count(None) > 1:
        raise Refusal("a size is not known")
    rest = prod(size for size in known if size is not None)
    return [total // rest if size is None else size for size in known]


def _regrouped(parts: Sequence[Part], sizes: Sequence[int]) -> list[list[Part]]:
    """The parts, in their order, as axes of these sizes; a part is split where an axis ends in it."""
    pending = [part for part in reversed(parts) if part.size > 1]
    found = []
    for size in sizes:
        axis: list[Part] = []
        while size > 1:
            part = pending.pop() if pending else Part(0, 1)
            if part.size <= size and size % part.size == 0 and part.size > 1:
                axis.append(part)
                size //= part.size
            elif part.size > size and part.size % size == 0:
                inner = part.size // size
                axis.append(Part(part.axis, size, part.stride * inner))
                pending.append(Part(part.axis, inner, part.stride))
                size = 1
            else:
                raise Refusal("the axes are not cut along their parts")
        found.append(axis)
    return found
