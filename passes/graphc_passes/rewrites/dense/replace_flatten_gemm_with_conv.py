"""Replace a fully connected layer on a flattened map with a convolution whose kernel is the whole map.

Law    flatten(x) · Wᵀ + b = flatten(conv(x, W as [M, C, L...], b))      both sum over channels and space in one order
Why    A network that ends so runs on larger images when its last layers are convolutions (Sermanet et al., OverFeat,
       ICLR 2014), and a layer on a map of one element is pointwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.dense import Dense
from graphc_passes.nodes.filters import survives
from graphc_passes.nodes.stated import static_channels, static_spatial
from graphc_passes.sampling.dense import draw_gemm


@rewrite("Gemm", "MatMul", numerics="reassociates")
def replace_flatten_gemm_with_conv(root: View, op: Tape) -> ir.Value:
    dense = Dense.read(root)
    data = _flattened(root.made_by(dense.data, "Flatten", "Reshape", "Squeeze"), dense)
    sizes = static_spatial(data)
    require(survives(dense.weight, dense.bias, dense.stored), "the scaled weights would overflow or underflow")
    made = op.Conv(
        data,
        op.constant(dense.weight.reshape(dense.outputs, -1, *sizes), like=dense.stored, name="weight"),
        op.constant(dense.bias, like=dense.stored, name="bias") if dense.has_bias else None,
        kernel_shape=list(sizes),
        strides=list(sizes),
    )
    return op.Flatten(made, axis=1)


def _flattened(view: View, dense: Dense) -> ir.Value:
    """The [N, C, L...] behind a node that makes [N, C·ΠL] of it. Raises Refusal where it makes something else.

    Whatever the node is told, it keeps the order of the elements; as many columns as there are in C·ΠL leave N rows.
    """
    (data, *_), flat = view.inputs(), dense.data.shape
    for name in view.node.attributes:
        view.attr(name)
    if data is None or flat is None or len(flat) != 2:
        raise Refusal("the data is not a matrix")
    if static_channels(data) * prod(static_spatial(data)) != dense.inputs:
        raise Refusal("it does not flatten each image as a whole")
    return data


@replace_flatten_gemm_with_conv.cases
def cases() -> Iterator[Case]:
    yield Case("Flatten", lambda g: g.Gemm(g.Flatten(g.input("N", 3, 2, 4)), g.weight(24, 5), g.weight(5)))
    yield Case(
        "Reshape, transposed and scaled",
        lambda g: g.Gemm(
            g.Reshape(g.input(2, 3, 2, 2), g.constant([0, -1])), g.weight(4, 12), g.weight(1), transB=1, alpha=0.5
        ),
    )
    yield Case(
        "behind a global mean, MatMul",
        lambda g: g.MatMul(g.Squeeze(g.GlobalAveragePool(g.input(2, 3, 4, 4)), g.constant([2, 3])), g.weight(3, 5)),
    )
    yield Case("1-D, opset 11", lambda g: g.Gemm(g.Flatten(g.input(2, 3, 4), axis=-2), g.weight(12, 4)), opset=11)
    yield Case("3-D", lambda g: g.Gemm(g.Flatten(g.input(1, 2, 2, 3, 2)), g.weight(24, 2), g.weight(2)))
    yield Case(
        "flattened elsewhere",
        lambda g: g.Gemm(g.Flatten(g.input(2, 3, 2, 2), axis=2), g.weight(4, 5)),
        refuses="it does not flatten each image as a whole",
    )
    yield Case(
        "no space",
        lambda g: g.Gemm(g.Flatten(g.input(2, 3)), g.weight(3, 5)),
        refuses="a spatial size is not known, or 0",
    )
    yield Case("a scale that underflows", _underflowing, refuses="the scaled weights would overflow or underflow")


def _underflowing(g: CaseBuilder) -> ir.Value:
    """1e26 · 1e-30 · 1e-30 · 1e26 is an ordinary number, but the two in the middle together are 0 in float32."""
    large = g.Exp(g.Add(g.Abs(g.input(1, 1, 1)), g.constant(np.float32(60))))
    made = g.Gemm(g.Flatten(large), g.constant(np.full((1, 1), 1e-30, np.float32)), alpha=1e-30)
    return g.Mul(made, g.constant(np.float32(1e26)))


@replace_flatten_gemm_with_conv.samples
def samples(random: Random) -> Case:
    shape = [random.randint(1, 3) for _ in range(random.choice((2, 3, 3, 4)))]
    drawn = draw_gemm(random, inputs=prod(shape))
    way = random.choice(("Flatten", "Reshape"))

    def build(g: CaseBuilder) -> ir.Value:
        x = g.input(drawn.rows, *shape)
        flat = g.Flatten(x) if way == "Flatten" else g.Reshape(x, g.constant([-1, prod(shape)]))
        return drawn.of(g, flat)

    return Case(f"{way} {shape} then {drawn}", build, seed=random.getrandbits(32), opset=random.choice((11, 13, 20)))
