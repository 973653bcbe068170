"""Moving elements between channels and space, in any rank and for sizes that are only known at run time."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import onnx_ir as ir

from graphc import Tape

TO_THE_END = np.iinfo(np.int64).max


def depth_to_space(op: Tape, data: ir.Value, channels: int, blocks: Sequence[int]) -> ir.Value:
    """[N, channels·Πblocks, L...] to [N, channels, L·block...]; channel k·Πblocks + r, r row-major over the axes.

    For two equal blocks that is DepthToSpace in CRD order; else Reshape, Transpose, Reshape.
    """
    if prod(blocks) == 1:
        return data
    if len(blocks) == 2 and blocks[0] == blocks[1] and op.opset >= 11:
        return op.DepthToSpace(data, blocksize=blocks[0], mode="CRD")
    rank = len(blocks)
    apart, together = _targets(op, data, channels, blocks)
    split = op.Reshape(data, apart)
    order = [
        0,
        1,
        *(axis for pair in zip(range(2 + rank, 2 + 2 * rank), range(2, 2 + rank), strict=True) for axis in pair),
    ]
    return op.Reshape(op.Transpose(split, perm=order), together)


def _targets(op: Tape, data: ir.Value, channels: int, blocks: Sequence[int]) -> tuple[ir.Value, ir.Value]:
    """The shapes [N, channels, blocks..., L...] and [N, channels, L·block...], as constants where L is known."""
    rank = len(blocks)
    sizes = list(data.shape or [None] * (rank + 2))
    spatial = [int(size) for size in sizes[2:] if isinstance(size, int)]
    if len(spatial) == rank and 0 not in spatial:
        grown = [size * block for size, block in zip(spatial, blocks, strict=True)]
        return op.constant([0, channels, *blocks, *spatial]), op.constant([0, channels, *grown])
    shape = op.Shape(data)
    batch, lengths = (
        op.Gather(shape, op.constant([0])),
        op.Gather(shape, op.constant(list(range(2, 2 + rank)))),
    )
    apart = op.Concat(batch, op.constant([channels, *blocks]), lengths, axis=0)
    together = op.Concat(batch, op.constant([channels]), op.Mul(lengths, op.constant(list(blocks))), axis=0)
    return apart, together


def crop(op: Tape, data: ir.Value, begin: Sequence[int], end: Sequence[int]) -> ir.Value:
    """Take `begin` elements off the front and `end` off the back of each spatial axis."""
    axes = [2 + axis for axis, (b, e) in enumerate(zip(begin, end, strict=True)) if b or e]
    if not axes:
        return data
    starts = [begin[axis - 2] for axis in axes]
    ends = [-end[axis - 2] if end[axis - 2] else TO_THE_END for axis in axes]
    if op.opset < 10:
        return op.Slice(data, starts=starts, ends=ends, axes=axes)
    return op.Slice(data, op.constant(starts), op.constant(ends), op.constant(axes))
