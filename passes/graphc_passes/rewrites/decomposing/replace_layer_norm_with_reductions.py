"""Replace a LayerNormalization with means over its last axes.

Law    layer_norm(x) = (x − m) / √(v + ε)·γ + β      m, v: mean and variance over the axes from `axis` on
Why    a target that has no normalisation has ReduceMean.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Tape, View, require, rewrite
from graphc_passes.nodes.norms import standardised
from graphc_passes.nodes.stated import rank_of

FLOAT = 1  # of TensorProto


@rewrite("LayerNormalization", numerics="reassociates")
def replace_layer_norm_with_reductions(norm: View, op: Tape) -> ir.Value:
    data = norm.required("X")
    rank = rank_of(data)
    require(
        norm.attr("stash_type") == FLOAT and data.dtype in (ir.DataType.FLOAT, ir.DataType.DOUBLE),
        "the statistics are taken in another type than the data's",
        conservative="they would only be rounded otherwise",
    )
    first = norm.attr("axis") % rank
    normed = op.Mul(standardised(op, data, range(first, rank), norm.attr("epsilon")), norm.required("Scale"))
    shift = norm.input("B")
    return normed if shift is None else op.Add(normed, shift)


def _norm(g: CaseBuilder, *x: int | str, axis: int = -1, bias: bool = True, **attributes: object) -> ir.Value:
    shape = [size for size in x[axis:] if isinstance(size, int)]
    shift = g.weight(*shape) if bias else None
    return g.LayerNormalization(g.input(*x), g.weight(*shape), shift, axis=axis, **attributes)


@replace_layer_norm_with_reductions.cases
def cases() -> Iterator[Case]:
    yield Case("of tokens", lambda g: _norm(g, "N", "T", 6))
    yield Case("over two axes, no shift", lambda g: _norm(g, 2, 3, 4, axis=1, bias=False, epsilon=0.1))
    yield Case(
        "half precision",
        lambda g: g.LayerNormalization(g.input(2, 6, dtype=ir.DataType.FLOAT16), _half(g), _half(g)),
        refuses="the statistics are taken in another type than the data's",
    )


def _half(g: CaseBuilder) -> ir.Value:
    return g.constant(np.ones(6, np.float16))


@replace_layer_norm_with_reductions.samples
def samples(random: Random) -> Case:
    x = (random.choice((1, 2, "N")), *(random.randint(2, 5) for _ in range(random.randint(1, 3))))
    axis, bias, epsilon = random.randint(1, len(x) - 1), random.random() < 0.5, random.choice((1e-5, 0.1))
    name = f"{list(x)} axis={axis} epsilon={epsilon}{' bias' if bias else ''}"
    build = lambda g: _norm(g, *x, axis=axis, bias=bias, epsilon=epsilon)  # noqa: E731 - a case's model is a function
    return Case(name, build, seed=random.getrandbits(32))
