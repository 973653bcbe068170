"""A batch norm with a channel whose variance was less than its epsilon.

Why    the channel hardly varied in training: dead, or constant. At inference the norm multiplies it by up to
       1/√ε = 316, so whatever it does differently there (another resolution, another rounding, float16) is blown up.
"""

from __future__ import annotations

import numpy as np

from graphc import CaseBuilder, Problem, View, constant, lint
from graphc_passes.nodes.norms import is_training, statistics


@lint(
    "BatchNormalization",
    category="numerics",
    severity="info",
    help="prune the channel, or look why it does not vary",
)
def tiny_variance(norm: View) -> Problem | None:
    _, name = statistics(norm)
    measured, scale = norm.input(name), norm.input("scale")
    variance = constant(measured) if measured is not None else None
    gamma = constant(scale) if scale is not None else None
    if variance is None or gamma is None or variance.shape != gamma.shape or is_training(norm):
        return None
    epsilon = norm.attr("epsilon")
    count = int(((variance < epsilon) & (gamma != 0)).sum())
    if not count:
        return None
    message = f"the variance of {count} of its {variance.size} channels is below its epsilon of {epsilon:g}"
    return Problem(message, measured=float(variance.min()), limit=epsilon)


def _norm(g: CaseBuilder, variance: float, scale: float = 1.0) -> object:
    variances = np.ones(4, np.float32)
    variances[2] = variance
    gamma = np.full(4, scale, np.float32)
    parameters = [g.constant(each, name=name) for name, each in (("scale", gamma), ("shift", np.ones(4, np.float32)))]
    mean, var = g.constant(np.zeros(4, np.float32), name="mean"), g.constant(variances, name="var")
    return g.BatchNormalization(g.input(1, 4, 8, 8), *parameters, mean, var)


@tiny_variance.bad
def a_dead_channel(g: CaseBuilder) -> object:
    return _norm(g, 1e-9)


@tiny_variance.good
def a_quiet_channel(g: CaseBuilder) -> object:
    return _norm(g, 1e-3)


@tiny_variance.good
def a_dead_channel_that_is_multiplied_by_0(g: CaseBuilder) -> object:
    return _norm(g, 1e-9, scale=0.0)
