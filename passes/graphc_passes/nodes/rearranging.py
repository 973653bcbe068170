"""Moving elements between channels and space, in any rank and for sizes that are only known at run time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Literal, TypeVar

import onnx_ir as ir

from graphc import Refusal, Tape
from graphc_passes.nodes.reshaping import unsqueeze
from graphc_passes.nodes.sizes import Size, as_tensor, known, reshape, sizes_of
from graphc_passes.nodes.slicing import TO_THE_END, Cut, sliced

T = TypeVar("T")


def depth_to_space(
    op: Tape, data: ir.Value, channels: int, blocks: Sequence[int], mode: Literal["CRD", "DCR"] = "CRD"
) -> ir.Value:
    """[N, channels·Πblocks, L...] to [N, channels, L·block...]; r is row-major over the axes.

    In CRD order phase r of channel k is channel k·Πblocks + r, in DCR order r·channels + k. For two equal blocks that
    is DepthToSpace; else Reshape, Transpose, Reshape.
    """
    if prod(blocks) == 1:
        return data
    if len(blocks) == 2 and blocks[0] == blocks[1] and (op.opset >= 11 or mode == "DCR"):
        return op.DepthToSpace(data, blocksize=blocks[0], mode=mode if op.opset >= 11 else None)
    rank = len(blocks)
    parts = [channels, *blocks] if mode == "CRD" else [*blocks, channels]
    first, channel = (2, 1) if mode == "CRD" else (1, 1 + rank)  # where the blocks and the channels are in `parts`
    batch, _, *low = sizes_of(op, data)
    batch = 0 if all(isinstance(size, int) and size for size in low) else batch
    split = reshape(op, data, [batch, *parts, *low])
    order = [0, channel, *_in_turn(range(2 + rank, 2 + 2 * rank), range(first, first + rank))]
    return reshape(op, op.Transpose(split, perm=order), [batch, channels, *_grown(low, blocks)])


def crop(op: Tape, data: ir.Value, begin: Sequence[int], end: Sequence[int]) -> ir.Value:
    """Take `begin` elements off the front and `end` off the back of each spatial axis."""
    widths = enumerate(zip(begin, end, strict=True), 2)
    return sliced(op, data, {axis: Cut(b, -e or TO_THE_END) for axis, (b, e) in widths if b or e})


def crop_to(op: Tape, data: ir.Value, sizes: Sequence[Size]) -> ir.Value:
    """Take that many elements from the front of each spatial axis."""
    found = sizes_of(op, data)[2:]
    axes = [axis for axis, size in enumerate(sizes) if not (isinstance(size, int) and size == found[axis])]
    ends = known([has - size for has, size in zip(found, sizes, strict=True)])
    if ends is not None:
        return crop(op, data, [0] * len(ends), ends)
    if op.opset < 10:
        raise Refusal(f"opset {op.opset} has no Slice to a size that is computed")
    kept = as_tensor(op, [sizes[axis] for axis in axes])
    return op.Slice(data, op.constant([0] * len(axes)), kept, op.constant([2 + axis for axis in axes]))


def space_to_depth(
    op: Tape, data: ir.Value, channels: int, blocks: Sequence[int], mode: Literal["CRD", "DCR"] = "CRD"
) -> ir.Value:
    """[N, channels, L·block...] to [N, channels·Πblocks, L...]: the inverse of `depth_to_space` in that mode.

    For two equal blocks in DCR order that is SpaceToDepth; else Reshape, Transpose, Reshape.
    """
    if prod(blocks) == 1:
        return data
    if len(blocks) == 2 and blocks[0] == blocks[1] and mode == "DCR":
        return op.SpaceToDepth(data, blocksize=blocks[0])
    rank = len(blocks)
    low = [size // block for size, block in zip(sizes_of(op, data)[2:], blocks, strict=True)]
    split = reshape(op, data, [0, channels, *_in_turn(low, blocks)])
    phases, lengths = range(3, 3 + 2 * rank, 2), range(2, 2 + 2 * rank, 2)
    inner = [1, *phases] if mode == "CRD" else [*phases, 1]
    moved = op.Transpose(split, perm=[0, *inner, *lengths])
    return reshape(op, moved, [0, channels * prod(blocks), *low])


def space_to_batch(op: Tape, data: ir.Value, channels: int, blocks: Sequence[int]) -> ir.Value:
    """[N, channels, L·block...] to [Πblocks·N, channels, L...]: element m·block + r of an axis goes to phase r.

    Phases lie row-major over the axes, outside the batch.
    """
    rank = len(blocks)
    low = [size // block for size, block in zip(sizes_of(op, data)[2:], blocks, strict=True)]
    split = reshape(op, data, [0, channels, *_in_turn(low, blocks)])
    moved = op.Transpose(split, perm=[*range(3, 3 + 2 * rank, 2), 0, 1, *range(2, 2 + 2 * rank, 2)])
    return reshape(op, moved, [-1, channels, *low])


def batch_to_space(op: Tape, data: ir.Value, channels: int, blocks: Sequence[int]) -> ir.Value:
    """[Πblocks·N, channels, L...] to [N, channels, L·block...]: the inverse of `space_to_batch`."""
    rank = len(blocks)
    low = sizes_of(op, data)[2:]
    split = reshape(op, data, [*blocks, -1, channels, *low])
    order = [rank, rank + 1, *_in_turn(range(rank + 2, 2 * rank + 2), range(rank))]
    moved = op.Transpose(split, perm=order)
    return reshape(op, moved, [-1, channels, *_grown(low, blocks)])


def _grown(low: Sequence[Size], blocks: Sequence[int]) -> list[Size]:
    """Each size times its block."""
    return [size * block for size, block in zip(low, blocks, strict=True)]


def _in_turn(first: Iterable[T], second: Iterable[T]) -> list[T]:
    """first[0], second[0], first[1], second[1], ..."""
    return [each for pair in zip(first, second, strict=True) for each in pair]


def repeat_channels(op: Tape, data: ir.Value, channels: int, times: int) -> ir.Value:
    """[N, channels, L...] to [N, channels·times, L...]: channel k is channel k // times of the data."""
    if times == 1:
        return data
    lengths = sizes_of(op, data)[2:]
    single = reshape(op, data, [0, channels, 1, *lengths])
    return reshape(op, op.Concat(*[single] * times, axis=2), [0, channels * times, *lengths])


def with_spatial_of(op: Tape, data: ir.Value, channels: int, like: ir.Value) -> ir.Value:
    """`data` as [N, channels, *spatial], with batch and spatial sizes those of `like` [N, C, *spatial]."""
    sizes = sizes_of(op, like)
    computed = known(sizes[2:]) is None
    target = as_tensor(op, [sizes[0] if computed else 0, channels, *sizes[2:]])
    return op.Reshape(data, target, allowzero=1 if computed and op.opset >= 14 else None)


def interleaved(op: Tape, planes: Sequence[ir.Value], blocks: Sequence[int]) -> ir.Value:
    """Πblocks planes [N, C, L...] to [N, C, L·block...]: plane r, row-major over the axes, becomes phase r.

    As DepthToSpace of all of them, without a Transpose: the last axis by stacking, any other as the axis behind it is
    concatenated.
    """
    rank, joined = len(blocks), list(planes)
    for axis in reversed(range(rank)):
        block, behind = blocks[axis], 3 + axis
        if block == 1:
            continue
        sizes = sizes_of(op, joined[0])
        target = as_tensor(op, [*sizes[: 2 + axis], sizes[2 + axis] * block, *sizes[behind:]])
        if axis == rank - 1:
            joined = [unsqueeze(op, plane, [behind]) for plane in joined]
        joined = [
            op.Reshape(op.Concat(*joined[start : start + block], axis=behind), target)
            for start in range(0, len(joined), block)
        ]
    return joined[0]
