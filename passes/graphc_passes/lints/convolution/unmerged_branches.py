"""Convolutions of one value whose results are added, with nothing but norms between: one convolution.

Why    branches help training, and cost their multiply-adds and an activation each in inference: RepVGG (Ding et al.,
       CVPR 2021), ACNet (Ding et al., ICCV 2019) and the Diverse Branch Block (Ding et al., CVPR 2021) are deployed as
       one convolution, and so is a residual without an activation inside.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import CaseBuilder, Problem, Subject, lint
from graphc_passes.nodes.deployed import sites
from graphc_passes.rewrites.folding.fold_adaptive_norm_into_conv import fold_adaptive_norm_into_conv
from graphc_passes.rewrites.merging.fuse_parallel_convs import fuse_parallel_convs


@lint(
    category="convolution",
    severity="warning",
    help="merge the branches into one convolution",
    fix=fuse_parallel_convs.name,
)
def unmerged_branches(subject: Subject) -> Iterator[Problem]:
    normed = set(sites(subject, fold_adaptive_norm_into_conv))  # of which another lint speaks
    for node in sites(subject, fuse_parallel_convs):
        if node not in normed:
            yield Problem("the branches that are added here are one convolution", at=node)


@unmerged_branches.bad
def three_and_one(g: CaseBuilder) -> object:
    x = g.input(1, 3, 8, 8)
    wide = g.Conv(x, g.weight(4, 3, 3, 3), g.weight(4), pads=(1, 1, 1, 1))
    return g.Relu(g.Add(wide, g.Conv(x, g.weight(4, 3, 1, 1))))


@unmerged_branches.bad
def a_residual_without_an_activation(g: CaseBuilder) -> object:
    x = g.Relu(g.input(1, 4, 8, 8))
    return g.Relu(g.Add(x, g.Conv(x, g.weight(4, 4, 3, 3), pads=(1, 1, 1, 1))))


@unmerged_branches.good
def a_residual_with_an_activation(g: CaseBuilder) -> object:
    x = g.Relu(g.input(1, 4, 8, 8))
    return g.Add(x, g.Relu(g.Conv(x, g.weight(4, 4, 3, 3), pads=(1, 1, 1, 1))))


@unmerged_branches.good
def of_two_values(g: CaseBuilder) -> object:
    x, y = g.Relu(g.input(1, 4, 8, 8)), g.Sigmoid(g.input(1, 4, 8, 8))
    return g.Add(g.Conv(x, g.weight(4, 4, 3, 3)), g.Conv(y, g.weight(4, 4, 3, 3)))
