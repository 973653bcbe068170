"""Replace Reshape, Transpose, Reshape with the DepthToSpace or SpaceToDepth that they spell out.

Law    split, exchange and join of axes = depth_to_space(x) or space_to_depth(x)      where channels and blocks meet so
Why    one node for three, which other rewrites recognise: exporters spell pixel shuffles out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random

import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, rewrite
from graphc_passes.nodes.rearrangements import Part, Parts, Rearrangement, simplest

ORDERS = {"CRD": [0, 1, 4, 2, 5, 3], "DCR": [0, 3, 4, 1, 5, 2]}  # of [N, *channel parts, H, W], for the cases
TO_DEPTH = [0, 3, 5, 1, 2, 4]  # of [N, C, H/b, b, W/b, b]


@rewrite("Reshape", numerics="exact", improves=("nodes",))
def replace_reshape_with_depth_to_space(root: View, op: Tape) -> ir.Value:
    found = Rearrangement.read(root)
    if len(found.sizes) != 4 or len(found.axes) != 4:
        raise Refusal("it has not four axes before and after")
    for mode, block in _candidates(found):
        if found.axes == _interleaved(found.sizes, mode, block):
            mode_or_none = mode if op.opset >= 11 or mode == "CRD" else None
            return op.DepthToSpace(found.source, blocksize=block, mode=mode_or_none)
    block = found.sizes[2] // _size(found.axes[2])
    if block > 1 and found.axes == _stacked(found.sizes, block):
        return op.SpaceToDepth(found.source, blocksize=block)
    raise Refusal("it is neither DepthToSpace nor SpaceToDepth")


def _candidates(found: Rearrangement) -> list[tuple[str, int]]:
    block = _size(found.axes[2]) // found.sizes[2]
    return [(mode, block) for mode in ORDERS if block > 1 and found.sizes[1] % block**2 == 0]


def _size(parts: Parts) -> int:
    size = 1
    for part in parts:
        size *= part.size
    return size


def _interleaved(sizes: tuple[int, ...], mode: str, block: int) -> tuple[Parts, ...]:
    """The axes of DepthToSpace."""
    batch, channels, height, width = sizes
    inner = channels // block**2
    of_channel, of_row, of_column = (block**2, block, 1) if mode == "CRD" else (1, inner * block, inner)
    return (
        simplest([Part(0, batch)]),
        simplest([Part(1, inner, of_channel)]),
        simplest([Part(2, height), Part(1, block, of_row)]),
        simplest([Part(3, width), Part(1, block, of_column)]),
    )


def _stacked(sizes: tuple[int, ...], block: int) -> tuple[Parts, ...]:
    """The axes of SpaceToDepth."""
    batch, channels, height, width = sizes
    return (
        simplest([Part(0, batch)]),
        simplest([Part(2, block), Part(3, block), Part(1, channels)]),
        simplest([Part(2, height // block, block)]),
        simplest([Part(3, width // block, block)]),
    )


def _spelled(g: CaseBuilder, *, x: tuple[int | str, ...], mode: str, block: int) -> ir.Value:
    """DepthToSpace spelled out."""
    channels, height, width = (size for size in x[1:] if isinstance(size, int))
    inner = channels // block**2
    parts = [inner, block, block] if mode == "CRD" else [block, block, inner]
    apart = g.Reshape(g.input(*x), g.constant([-1, *parts, height, width]))
    target = g.constant([-1, inner, height * block, width * block])
    return g.Reshape(g.Transpose(apart, perm=ORDERS[mode]), target)


def _to_depth(g: CaseBuilder, *, x: tuple[int | str, ...], block: int, order: list[int] = TO_DEPTH) -> ir.Value:
    channels, height, width = (size for size in x[1:] if isinstance(size, int))
    low = [height // block, width // block]
    apart = g.Reshape(g.input(*x), g.constant([-1, channels, low[0], block, low[1], block]))
    return g.Reshape(g.Transpose(apart, perm=order), g.constant([-1, channels * block**2, *low]))


@replace_reshape_with_depth_to_space.cases
def cases() -> Iterator[Case]:
    yield Case("CRD", partial(_spelled, x=("N", 8, 3, 4), mode="CRD", block=2))
    yield Case("DCR", partial(_spelled, x=(2, 18, 2, 1), mode="DCR", block=3))
    yield Case("SpaceToDepth", partial(_to_depth, x=("N", 3, 4, 6), block=2))
    yield Case(
        "channels first: SpaceToDepth orders them otherwise",
        partial(_to_depth, x=(1, 3, 4, 6), block=2, order=[0, 1, 3, 5, 2, 4]),
        refuses="it is neither DepthToSpace nor SpaceToDepth",
    )
    yield Case(
        "a channel shuffle",
        lambda g: g.Reshape(
            g.Transpose(g.Reshape(g.input(1, 6, 4, 4), g.constant([0, 2, 3, 4, 4])), perm=[0, 2, 1, 3, 4]),
            g.constant([1, 6, 4, 4]),
        ),
        refuses="it is neither DepthToSpace nor SpaceToDepth",
    )
    yield Case(
        "heads of attention",
        lambda g: g.Reshape(
            g.Transpose(g.Reshape(g.input(1, 6, 4), g.constant([0, 2, 3, 4])), perm=[0, 2, 1, 3]),
            g.constant([1, 6, 4]),
        ),
        refuses="it has not four axes before and after",
    )


@replace_reshape_with_depth_to_space.samples
def samples(random: Random) -> Case:
    block, inner = random.randint(1, 3), random.randint(1, 4)
    x = (random.choice((1, 2, "N")), inner * block**2, random.randint(1, 4), random.randint(1, 4))
    if random.random() < 0.3:
        x = (x[0], inner, block * random.randint(1, 3), block * random.randint(1, 3))
        middle = random.sample([1, 3, 5], 3)
        order = TO_DEPTH if random.random() < 0.7 else [0, *middle, 2, 4]
        return Case(f"space to depth {x} {block} {order}", partial(_to_depth, x=x, block=block, order=order))
    mode = random.choice(("CRD", "DCR"))
    return Case(f"depth to space {x} {block} {mode}", partial(_spelled, x=x, mode=mode, block=block))
