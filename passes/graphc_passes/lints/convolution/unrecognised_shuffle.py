"""A channel shuffle, DepthToSpace or SpaceToDepth spelled out as Reshape, Transpose, Reshape.

Why    a runtime that sees three nodes copies the activation through a Transpose of five or six axes: as one node a
       DepthToSpace of 2×2 took half the time, one of 4×4 a quarter. A channel shuffle that is one Gather can be taken
       up by the convolution beside it, and costs nothing then.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from graphc import CaseBuilder, Problem, Subject, lint
from graphc_passes.nodes.deployed import sites
from graphc_passes.rewrites.layout.replace_channel_shuffle_with_gather import replace_channel_shuffle_with_gather
from graphc_passes.rewrites.layout.replace_reshape_with_depth_to_space import replace_reshape_with_depth_to_space

WRITTEN = {
    replace_channel_shuffle_with_gather: "a permutation of channels",
    replace_reshape_with_depth_to_space: "a DepthToSpace or SpaceToDepth",
}


@lint(
    category="convolution",
    severity="info",
    help="write it as the one node that it is",
    fix=tuple(rewrite.name for rewrite in WRITTEN),
)
def unrecognised_shuffle(subject: Subject) -> Iterator[Problem]:
    for rewrite, what in WRITTEN.items():
        for node in sites(subject, rewrite):
            yield Problem(f"with the Transpose and Reshape before it, it is {what}", at=node)


def _spelled(g: CaseBuilder, apart: list[int], perm: list[int], together: list[int]) -> ir.Value:
    split = g.Reshape(g.Relu(g.input(1, 16, 8, 8)), g.constant(apart))
    found: ir.Value = g.Reshape(g.Transpose(split, perm=perm), g.constant(together))
    return found


@unrecognised_shuffle.bad
def of_channels(g: CaseBuilder) -> object:
    return _spelled(g, [1, 4, 4, 8, 8], [0, 2, 1, 3, 4], [1, 16, 8, 8])


@unrecognised_shuffle.bad
def of_pixels(g: CaseBuilder) -> object:
    return _spelled(g, [1, 4, 2, 2, 8, 8], [0, 1, 4, 2, 5, 3], [1, 4, 16, 16])


@unrecognised_shuffle.good
def the_node_itself(g: CaseBuilder) -> object:
    return g.DepthToSpace(g.Relu(g.input(1, 16, 8, 8)), blocksize=2, mode="CRD")


@unrecognised_shuffle.good
def windows_into_the_batch(g: CaseBuilder) -> object:
    return _spelled(g, [1, 16, 2, 4, 2, 4], [0, 2, 4, 1, 3, 5], [4, 16, 4, 4])
