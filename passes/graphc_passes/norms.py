"""Reading an inference-mode BatchNormalization, at every opset."""

from __future__ import annotations

import numpy as np

from graphc import View


def is_training(bn: View) -> bool:
    """Whether the statistics are those of the batch: an attribute says so, before opset 14 the number of outputs."""
    if bn.opset < 7:
        return not bn.attr("is_test")
    return bool(bn.attr("training_mode")) or (bn.opset < 14 and len(bn.node.outputs) > 1)


def batchnorm_affine(bn: View) -> tuple[np.ndarray, np.ndarray]:
    """Scale γ/√(σ² + ε) and shift β − μ·scale per channel, float64. Raises Refusal unless all four are constants."""
    bn.attr("momentum")  # only training reads it
    gamma, beta = bn.constant("scale").astype(np.float64), bn.constant("B").astype(np.float64)
    mean, variance = (bn.constant(name).astype(np.float64) for name in _statistics(bn))
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = gamma / np.sqrt(variance + bn.attr("epsilon"))
        return scale, beta - mean * scale


def _statistics(bn: View) -> tuple[str, str]:
    """The names of mean and variance, which changed with opset 14."""
    return ("mean", "var") if bn.opset < 14 else ("input_mean", "input_var")
