"""A depthwise convolution that makes several channels of each.

Why    kernels for depthwise convolutions want one channel out of one; with a multiplier ONNX Runtime falls back on one
       matrix product per channel. Over channels repeated first it took half the time (32 channels, 56×56, 3×3, twice).
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import CaseBuilder, Problem, Subject, lint
from graphc_passes.nodes.deployed import sites
from graphc_passes.rewrites.grouped.replace_depthwise_multiplier_with_gather import (
    replace_depthwise_multiplier_with_gather,
)

WORTH = 1_000_000  # multiply-adds: half of those of the one that was measured


@lint(
    category="convolution",
    severity="info",
    help="repeat the channels and take a plain depthwise convolution",
    fix=replace_depthwise_multiplier_with_gather.name,
)
def depthwise_multiplier(subject: Subject) -> Iterator[Problem]:
    for node in sites(subject, replace_depthwise_multiplier_with_gather, worth=WORTH):
        yield Problem("it makes several channels of each, for which runtimes have slow kernels only", at=node)


@depthwise_multiplier.bad
def two_of_each(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 32, 56, 56), g.weight(64, 1, 3, 3), group=32, pads=(1, 1, 1, 1))


@depthwise_multiplier.good
def one_of_each(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 32, 56, 56), g.weight(32, 1, 3, 3), group=32, pads=(1, 1, 1, 1))


@depthwise_multiplier.good
def of_a_small_map(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 32, 8, 8), g.weight(64, 1, 3, 3), group=32, pads=(1, 1, 1, 1))
