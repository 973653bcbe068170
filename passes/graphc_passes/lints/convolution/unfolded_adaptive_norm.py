"""An adaptive normalisation λ·c + μ·bn(c) of a convolution, written out.

Why    once trained it is a scale and a shift per channel, which the convolution's weights and bias hold as well: three
       reads and writes of the activation for nothing. The networks of Chen, Xu and Koltun (ICCV 2017) have one after
       every convolution, and run 1.6 to 1.8 times as fast without.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from graphc import CaseBuilder, Problem, Subject, lint
from graphc_passes.nodes.deployed import sites
from graphc_passes.rewrites.folding.fold_adaptive_norm_into_conv import fold_adaptive_norm_into_conv


@lint(
    category="convolution",
    severity="warning",
    help="fold it into the convolution's weights",
    fix=fold_adaptive_norm_into_conv.name,
)
def unfolded_adaptive_norm(subject: Subject) -> Iterator[Problem]:
    for node in sites(subject, fold_adaptive_norm_into_conv):
        yield Problem("a convolution and its norm are added here, which the convolution could do itself", at=node)


def _normed(g: CaseBuilder, conv: ir.Value) -> object:
    scale, shift, mean = (g.weight(4) for _ in range(3))
    return g.BatchNormalization(conv, scale, shift, mean, g.weight(4, low=0.5))


@unfolded_adaptive_norm.bad
def with_a_factor_for_each(g: CaseBuilder) -> object:
    conv = g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3), dilations=(2, 2), pads=(2, 2, 2, 2))
    return g.LeakyRelu(g.Add(g.Mul(g.weight(1), conv), g.Mul(g.weight(1), _normed(g, conv))), alpha=0.2)


@unfolded_adaptive_norm.good
def of_an_activation(g: CaseBuilder) -> object:
    conv = g.Relu(g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3)))
    return g.Add(g.Mul(g.weight(1), conv), g.Mul(g.weight(1), _normed(g, conv)))
