"""Replace DepthToSpace or SpaceToDepth with Reshape, Transpose, Reshape.

Law    depth_to_space(x)[n, k, b·i + r] = x[n, channel of (k, r), i]      a split, an exchange and a join of axes
Why    a target that lacks the two has these.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.sizes import reshape, sizes_of

ORDERS = {"DCR": [0, 3, 4, 1, 5, 2], "CRD": [0, 1, 4, 2, 5, 3]}  # of [N, *channel parts, H, W]
TO_DEPTH = [0, 3, 5, 1, 2, 4]  # of [N, C, H/b, b, W/b, b]


@rewrite("DepthToSpace", "SpaceToDepth", numerics="exact")
def replace_depth_to_space_with_reshape(root: View, op: Tape) -> ir.Value:
    data, block = root.required("input"), root.attr("blocksize")
    channels = data.shape[1] if data.shape is not None else None
    if not isinstance(channels, int):
        raise Refusal("the number of channels is not known")
    require(0 not in (data.shape or ()), "the data is empty")
    batch, _, height, width = sizes_of(op, data)
    if root.op_type == "SpaceToDepth":
        low = height // block, width // block
        apart = reshape(op, data, [batch, channels, low[0], block, low[1], block])
        return reshape(op, op.Transpose(apart, perm=TO_DEPTH), [batch, channels * block**2, *low])
    mode = root.attr("mode") or "DCR"
    inner = channels // block**2
    parts = (block, block, inner) if mode == "DCR" else (inner, block, block)
    apart = reshape(op, data, [batch, *parts, height, width])
    return reshape(op, op.Transpose(apart, perm=ORDERS[mode]), [batch, inner, height * block, width * block])


def _case(name: str, op_type: str, x: tuple[int | str, ...], opset: int = 20, **attributes: Any) -> Case:
    def build(g: CaseBuilder) -> ir.Value:
        return g.record(op_type, g.input(*x), **attributes)

    return Case(name, build, opset=opset)


@replace_depth_to_space_with_reshape.cases
def cases() -> Iterator[Case]:
    yield _case("DepthToSpace", "DepthToSpace", (2, 8, 3, 4), blocksize=2)
    yield _case("DepthToSpace, CRD", "DepthToSpace", (1, 9, 2, 3), blocksize=3, mode="CRD")
    yield _case("SpaceToDepth", "SpaceToDepth", (2, 3, 4, 6), blocksize=2)
    yield _case("a dynamic size", "DepthToSpace", ("N", 8, "H", "W"), blocksize=2, mode="CRD")
    yield _case("SpaceToDepth, a dynamic size", "SpaceToDepth", ("N", 2, 4, "W"), blocksize=1)
    yield _case("opset 9", "DepthToSpace", (1, 4, 2, "W"), opset=9, blocksize=2)
    yield Case(
        "channels unknown",
        lambda g: g.DepthToSpace(g.input(1, "C", 2, 2), blocksize=1),
        refuses="the number of channels is not known",
    )
    yield Case(
        "no data",
        lambda g: g.DepthToSpace(g.input("N", 4, 0, "W"), blocksize=2),
        refuses="the data is empty",
    )


@replace_depth_to_space_with_reshape.samples
def samples(random: Random) -> Case:
    block, inner = random.randint(1, 3), random.randint(1, 3)
    low: list[int | str] = [random.randint(1, 3), random.choice((1, 2, "W"))]
    batch = random.choice((1, 2, "N"))
    if random.random() < 0.5:
        spatial = [size * block if isinstance(size, int) else size for size in low]
        return _case(f"SpaceToDepth {block} {spatial}", "SpaceToDepth", (batch, inner, *spatial), blocksize=block)
    mode = random.choice(("DCR", "CRD"))
    x = (batch, inner * block**2, *low)
    return _case(f"DepthToSpace {block} {mode} {list(x)}", "DepthToSpace", x, blocksize=block, mode=mode)
