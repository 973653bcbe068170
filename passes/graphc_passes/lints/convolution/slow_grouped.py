"""A grouped convolution whose groups are half as wide as the blocks that runtimes compute in.

Why    ONNX Runtime's blocked kernels take a grouped convolution only where a group has a multiple of 16 channels (of 8
       without AVX-512) on both sides. Two groups made one, with zeros between, took 0.75 of the time at 128 channels in
       16 groups. Narrower groups cost more zeros than that gains: of them nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import CaseBuilder, Problem, Subject, lint
from graphc_passes.nodes.deployed import sites
from graphc_passes.nodes.workload import WORTH
from graphc_passes.rewrites.grouped.replace_grouped_conv_with_coarser_groups import (
    replace_grouped_conv_with_coarser_groups,
)


@lint(
    category="convolution",
    severity="info",
    help="make every two groups one",
    fix=replace_grouped_conv_with_coarser_groups.name,
)
def slow_grouped(subject: Subject) -> Iterator[Problem]:
    for node in sites(subject, replace_grouped_conv_with_coarser_groups, worth=WORTH):
        yield Problem("its groups are too narrow for blocked kernels, and twice as wide ones are not", at=node)


@slow_grouped.bad
def groups_of_eight(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 128, 56, 56), g.weight(128, 8, 3, 3), group=16, pads=(1, 1, 1, 1))


@slow_grouped.good
def groups_of_sixteen(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 128, 56, 56), g.weight(128, 16, 3, 3), group=8, pads=(1, 1, 1, 1))


@slow_grouped.good
def depthwise(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 128, 112, 112), g.weight(128, 1, 3, 3), group=128, pads=(1, 1, 1, 1))


@slow_grouped.good
def of_a_small_map(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 128, 8, 8), g.weight(128, 8, 3, 3), group=16, pads=(1, 1, 1, 1))
