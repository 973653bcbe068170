"""Reading an inference-mode BatchNormalization, and writing out a normalisation, at every opset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from graphc import Tape, View


def is_training(bn: View) -> bool:
    """Whether the statistics are those of the batch: an attribute says so, before opset 14 the number of outputs."""
    if bn.opset < 7:
        return not bn.attr("is_test")
    return bool(bn.attr("training_mode")) or (bn.opset < 14 and len(bn.node.outputs) > 1)


def batchnorm_affine(bn: View) -> tuple[np.ndarray, np.ndarray]:
    """Scale γ/√(σ² + ε) and shift β − μ·scale per channel, float64. Raises Refusal unless all four are constants."""
    bn.attr("momentum")  # only training reads it
    gamma, beta = bn.constant("scale").astype(np.float64), bn.constant("B").astype(np.float64)
    mean, variance = (bn.constant(name).astype(np.float64) for name in statistics(bn))
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = gamma / np.sqrt(variance + bn.attr("epsilon"))
        return scale, beta - mean * scale


def statistics(bn: View) -> tuple[str, str]:
    """The names of mean and variance, which changed with opset 14."""
    return ("mean", "var") if bn.opset < 14 else ("input_mean", "input_var")


# ---------------------------------------------------------------- written out


def mean(op: Tape, data: ir.Value, axes: Sequence[int]) -> ir.Value:
    """ReduceMean over `axes`, kept as sizes of 1; the axes were an attribute before opset 18."""
    if op.opset < 18:
        return op.ReduceMean(data, axes=list(axes), keepdims=1)
    return op.ReduceMean(data, op.constant(list(axes)), keepdims=1)


def standardised(op: Tape, data: ir.Value, axes: Sequence[int], epsilon: float) -> ir.Value:
    """(x − mean) / √(variance + ε) over `axes`, the variance that of all elements (no Bessel correction)."""
    centred = op.Sub(data, mean(op, data, axes))
    variance = mean(op, op.Mul(centred, centred), axes)
    return op.Div(centred, op.Sqrt(op.Add(variance, op.constant(epsilon, like=data, name="epsilon"))))
