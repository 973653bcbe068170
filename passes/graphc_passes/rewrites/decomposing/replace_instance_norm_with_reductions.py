"""Replace an InstanceNormalization with means over the axes of space.

Law    instance_norm(x) = (x − m) / √(v + ε)·γ + β      m, v: mean and variance over space, of each channel alone
Why    a target that has no normalisation has ReduceMean.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.broadcasting import per_channel_shape
from graphc_passes.nodes.norms import standardised
from graphc_passes.nodes.stated import rank_of


@rewrite("InstanceNormalization", numerics="reassociates")
def replace_instance_norm_with_reductions(norm: View, op: Tape) -> ir.Value:
    data = norm.required("input")
    rank = rank_of(data)
    if rank < 3:
        raise Refusal("the data has no axes of space")
    require(
        any(size != 1 for size in (data.shape or ())[2:]),
        "each channel has one element",
        conservative="the result is the shift, but rounding would be divided by √ε",
    )
    normed = standardised(op, data, range(2, rank), norm.attr("epsilon"))
    scale, shift = (per_channel_shape(op, norm.required(name), rank) for name in ("scale", "B"))
    return op.Add(op.Mul(normed, scale), shift)


def _norm(g: CaseBuilder, *x: int | str, **attributes: object) -> ir.Value:
    channels = x[1]
    assert isinstance(channels, int)
    return g.InstanceNormalization(g.input(*x), g.weight(channels), g.weight(channels), **attributes)


@replace_instance_norm_with_reductions.cases
def cases() -> Iterator[Case]:
    yield Case("of an image", lambda g: _norm(g, 2, 3, 4, 5, epsilon=0.1))
    yield Case("a dynamic size", lambda g: _norm(g, "N", 3, "H", "W"))
    yield Case("of a sequence, opset 9", lambda g: _norm(g, 1, 3, 7), opset=9)
    yield Case("one element", lambda g: _norm(g, 2, 3, 1, 1), refuses="each channel has one element")
    yield Case(
        "rank unknown",
        lambda g: g.InstanceNormalization(g.Reshape(g.input(1, 12), g.input("R", dtype=ir.DataType.INT64)), *_pair(g)),
        refuses="the number of axes is not known",
    )


def _pair(g: CaseBuilder) -> tuple[ir.Value, ir.Value]:
    return g.weight(3), g.weight(3)


@replace_instance_norm_with_reductions.samples
def samples(random: Random) -> Case:
    x = (random.choice((1, 2, "N")), random.randint(1, 4), *(random.randint(2, 5) for _ in range(random.randint(1, 3))))
    epsilon, opset = random.choice((1e-5, 0.1, 1.0)), random.choice((9, 13, 18, 20))
    name = f"{list(x)} epsilon={epsilon} opset {opset}"
    return Case(name, lambda g: _norm(g, *x, epsilon=epsilon), opset=opset, seed=random.getrandbits(32))
