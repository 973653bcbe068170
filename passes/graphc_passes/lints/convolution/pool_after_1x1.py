"""An average pooling right behind a pointwise convolution, which could run on the smaller map.

Why    sums over space and over channels commute: with the pool first the convolution multiplies as many times less as
       the pool leaves elements. The transitions of DenseNet (Huang et al., CVPR 2017) took a third of the time so.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import CaseBuilder, Problem, Subject, View, lint
from graphc_passes.nodes.deployed import sites
from graphc_passes.nodes.workload import WORTH, macs_of
from graphc_passes.rewrites.pooling.move_average_pool_above_pointwise_conv import (
    move_average_pool_above_pointwise_conv,
)


@lint(
    category="convolution",
    severity="warning",
    help="pool first",
    fix=move_average_pool_above_pointwise_conv.name,
)
def pool_after_1x1(subject: Subject) -> Iterator[Problem]:
    for node in sites(subject, move_average_pool_above_pointwise_conv):
        conv = node.inputs[0].producer() if node.inputs[0] is not None else None
        macs = macs_of(View(conv)) if conv is not None else 0
        if macs >= WORTH:
            yield Problem(f"the 1×1 convolution before it multiplies {macs:,} times on the larger map", at=node)


@pool_after_1x1.bad
def a_transition(g: CaseBuilder) -> object:
    conv = g.Conv(g.input(1, 128, 56, 56), g.weight(64, 128, 1, 1))
    return g.AveragePool(conv, kernel_shape=(2, 2), strides=(2, 2))


@pool_after_1x1.bad
def a_global_mean(g: CaseBuilder) -> object:
    return g.GlobalAveragePool(g.Conv(g.input(1, 512, 14, 14), g.weight(256, 512, 1, 1), g.weight(256)))


@pool_after_1x1.good
def behind_an_activation(g: CaseBuilder) -> object:
    conv = g.Relu(g.Conv(g.input(1, 128, 56, 56), g.weight(64, 128, 1, 1)))
    return g.AveragePool(conv, kernel_shape=(2, 2), strides=(2, 2))


@pool_after_1x1.good
def of_a_small_map(g: CaseBuilder) -> object:
    return g.GlobalAveragePool(g.Conv(g.input(1, 16, 8, 8), g.weight(8, 16, 1, 1)))
