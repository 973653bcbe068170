"""Drop a DepthToSpace and a SpaceToDepth that undo each other.

Law    space_to_depth(depth_to_space(x)) = x = depth_to_space(space_to_depth(x))      in DCR order, of one block
       in CRD order the channels come back in another order: a Gather
Why    two copies of the activation less, where two rewritten convolutions meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, rewrite

INVERSE = {"SpaceToDepth": "DepthToSpace", "DepthToSpace": "SpaceToDepth"}


@rewrite("DepthToSpace", "SpaceToDepth", numerics="exact", improves=("bytes", "nodes"))
def drop_inverse_rearrangement(root: View, op: Tape) -> ir.Value:
    first = root.producer("input", INVERSE[root.op_type])
    block = root.attr("blocksize")
    if first.attr("blocksize") != block:
        raise Refusal("the blocks differ")
    mode = (root if root.op_type == "DepthToSpace" else first).attr("mode")
    data = first.required("input")
    if mode != "CRD":
        return data
    channels = data.shape[1] if data.shape is not None else None
    if not isinstance(channels, int):
        raise Refusal("the number of channels is not known")
    return op.Gather(data, op.constant(_order(channels, block, root.op_type)), axis=1)


def _order(channels: int, block: int, last: str) -> np.ndarray:
    """Which channel comes out where: SpaceToDepth puts the phases first, DepthToSpace in CRD order reads them last."""
    inner = channels // block**2
    if last == "SpaceToDepth":
        return np.arange(channels).reshape(inner, block**2).T.reshape(-1)
    raise Refusal("DepthToSpace in CRD order mixes channels and space of SpaceToDepth")


def _both(g: CaseBuilder, *, x: tuple[int | str, ...], last: str, blocks: tuple[int, int], mode: str) -> ir.Value:
    data = g.Neg(g.input(*x))
    for op_type, block in zip((INVERSE[last], last), blocks, strict=True):
        data = g.record(op_type, data, blocksize=block, mode=mode if op_type == "DepthToSpace" else None)
    return g.Relu(data)


@drop_inverse_rearrangement.cases
def cases() -> Iterator[Case]:
    yield Case("back to depth", partial(_both, x=("N", 8, 3, "W"), last="SpaceToDepth", blocks=(2, 2), mode="DCR"))
    yield Case("back to space", partial(_both, x=(1, 3, 4, 6), last="DepthToSpace", blocks=(2, 2), mode="DCR"))
    yield Case("back to depth, CRD", partial(_both, x=(2, 8, 3, 2), last="SpaceToDepth", blocks=(2, 2), mode="CRD"))
    yield Case(
        "back to space, CRD",
        partial(_both, x=(1, 3, 4, 6), last="DepthToSpace", blocks=(2, 2), mode="CRD"),
        refuses="DepthToSpace in CRD order mixes channels and space of SpaceToDepth",
    )
    yield Case(
        "two blocks",
        partial(_both, x=(1, 16, 4, 4), last="SpaceToDepth", blocks=(2, 4), mode="DCR"),
        refuses="the blocks differ",
    )


@drop_inverse_rearrangement.samples
def samples(random: Random) -> Case:
    block, inner, last = random.randint(1, 3), random.randint(1, 3), random.choice(tuple(INVERSE))
    batch, mode = random.choice((1, 2, "N")), random.choice(("DCR", "DCR", "CRD"))
    low = [random.randint(1, 3), random.choice((1, 2, "W"))]
    x = (batch, inner * block**2, *low)
    if last == "DepthToSpace":
        x = (batch, inner, *(size if isinstance(size, str) else size * block for size in low))
        x = tuple(6 if size == "W" else size for size in x)
    name = f"{INVERSE[last]}, {last} {list(x)} {block} {mode}"
    return Case(name, partial(_both, x=x, last=last, blocks=(block, block), mode=mode))
