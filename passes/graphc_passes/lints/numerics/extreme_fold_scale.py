"""A batch norm that cannot be folded into its convolution in the type of its weights.

Why    folding multiplies each filter by γ/√(σ² + ε); where the products leave the type, the folded model is another
       one: infinite, or with a channel that became 0. Runtimes fold without a word.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir

from graphc import CaseBuilder, Problem, Refusal, View, lint
from graphc_passes.nodes.norms import batchnorm_affine, is_training


@lint(
    "BatchNormalization",
    category="numerics",
    severity="warning",
    help="keep weights and norm in float32 until they are folded",
)
def extreme_fold_scale(norm: View) -> Problem | None:
    x = norm.input("X")
    maker = x.producer() if x is not None else None
    if maker is None or maker.op_type != "Conv" or maker.domain or x is None or is_training(norm):
        return None
    try:
        conv = norm.producer("X", "Conv")
        weights, (scale, _) = conv.constant("W"), batchnorm_affine(norm)
    except Refusal:
        return None  # nothing of it could be folded
    if weights.size == 0 or scale.shape != weights.shape[:1]:
        return None
    bounds = ml_dtypes.finfo(weights.dtype)  # type: ignore[no-untyped-call] # ml_dtypes ships none
    before = np.abs(weights.astype(np.float64)).reshape(len(weights), -1).max(1)
    after = before * np.abs(scale)
    small, large = float(bounds.smallest_normal), float(bounds.max)
    lost = (after > large) | ((after > 0) & (after < small) & (before >= small))
    if not lost.any():
        return None
    name = ir.DataType.from_numpy(weights.dtype).name.lower()
    worst = float(after[lost][0])
    message = f"folded, {int(lost.sum())} of {len(lost)} filters leave {name}: one reaches {worst:.3g}"
    return Problem(message, measured=worst, limit=large if worst > large else small)


def _conv(g: CaseBuilder, factor: float, dtype: type) -> object:
    weights: np.ndarray = (g.random.standard_normal((4, 3, 3, 3)) * factor).astype(dtype)
    ones = [g.constant(np.full(4, fill, np.float32).astype(dtype), name="p") for fill in (1.0, 0.0, 0.0, 1e-3)]
    x = g.input(1, 3, 8, 8, dtype=ir.DataType.from_numpy(np.dtype(dtype)))
    return g.BatchNormalization(g.Conv(x, g.constant(weights, name="w")), *ones)


@extreme_fold_scale.bad
def beyond_float16(g: CaseBuilder) -> object:
    return _conv(g, 5e3, np.float16)


@extreme_fold_scale.good(ignore=["convolution/unfolded-batchnorm"])
def within_float32(g: CaseBuilder) -> object:
    return _conv(g, 5e3, np.float32)


@extreme_fold_scale.good(ignore=["convolution/unfolded-batchnorm"])
def within_float16(g: CaseBuilder) -> object:
    return _conv(g, 0.1, np.float16)
