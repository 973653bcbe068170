"""Replace a fully connected layer on [N, K] with a pointwise convolution of maps of one element.

Law    x · Wᵀ + b = squeeze(conv1x1(unsqueeze(x), W, b))      alpha, beta and the transposition go into W and b
Why    One operator less for a target to have; classifiers become fully convolutional (Long et al., CVPR 2015), and
       what merges with convolutions merges with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.dense import Dense
from graphc_passes.nodes.filters import survives
from graphc_passes.nodes.reshaping import squeeze, unsqueeze
from graphc_passes.sampling.dense import draw_gemm


@rewrite("Gemm", "MatMul", numerics="reassociates")
def replace_gemm_with_pointwise_conv(root: View, op: Tape) -> ir.Value:
    dense = Dense.read(root)
    if dense.data.shape is None or len(dense.data.shape) != 2:
        raise Refusal("the data is not a matrix")
    require(survives(dense.weight, dense.bias, dense.stored), "the scaled weights would overflow or underflow")
    made = op.Conv(
        unsqueeze(op, dense.data, (2, 3)),
        op.constant(dense.weight[:, :, None, None], like=dense.stored, name="weight"),
        op.constant(dense.bias, like=dense.stored, name="bias") if dense.has_bias else None,
        kernel_shape=(1, 1),
    )
    return squeeze(op, made, (2, 3))


@replace_gemm_with_pointwise_conv.cases
def cases() -> Iterator[Case]:
    yield Case("Gemm", lambda g: g.Gemm(g.input("N", 3), g.weight(3, 4), g.weight(4)))
    yield Case(
        "transposed, scaled, one bias for all",
        lambda g: g.Gemm(g.input(2, 3), g.weight(4, 3), g.weight(1, 1), alpha=0.5, beta=2.0, transB=1),
    )
    yield Case("no bias, opset 11", lambda g: g.Gemm(g.input(2, 3), g.weight(3, 4)), opset=11)
    yield Case("opset 9", lambda g: g.Gemm(g.input(2, 3), g.weight(3, 4), g.weight(1, 4)), opset=9)
    yield Case("MatMul", lambda g: g.MatMul(g.input(2, 3), g.weight(3, 4)))
    yield Case(
        "a bias for each row",
        lambda g: g.Gemm(g.input(2, 3), g.weight(3, 4), g.weight(2, 1)),
        refuses="the constant does not act per output",
    )
    yield Case(
        "transposed data",
        lambda g: g.Gemm(g.input(3, 3), g.weight(3, 4), transA=1),
        refuses="the data is transposed",
    )
    yield Case(
        "a batch of matrices", lambda g: g.MatMul(g.input(2, 2, 3), g.weight(3, 4)), refuses="the data is not a matrix"
    )
    yield Case("a scale that underflows", _underflowing, refuses="the scaled weights would overflow or underflow")


def _underflowing(g: CaseBuilder) -> ir.Value:
    """1e26 · 1e-30 · 1e-30 · 1e26 is an ordinary number, but the two in the middle together are 0 in float32."""
    large = g.Exp(g.Add(g.Abs(g.input(1, 1)), g.constant(np.float32(60))))
    made = g.Gemm(large, g.constant(np.full((1, 1), 1e-30, np.float32)), alpha=1e-30)
    return g.Mul(made, g.constant(np.float32(1e26)))


@replace_gemm_with_pointwise_conv.samples
def samples(random: Random) -> Case:
    drawn = draw_gemm(random)
    return Case(str(drawn), drawn.of, seed=random.getrandbits(32), opset=random.choice((11, 13, 20)))
