"""Replace an inference-mode BatchNormalization with a Mul and an Add.

Law    bn(x) = x·s + (β − μ·s)      s = γ / √(σ² + ε), per channel
Why    a target that has no normalisation has these; scale and shift are constants where the statistics are.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.broadcasting import per_channel_shape
from graphc_passes.nodes.norms import batchnorm_affine, is_training, statistics
from graphc_passes.nodes.stated import rank_of


@rewrite("BatchNormalization", numerics="reassociates")
def replace_batchnorm_with_affine(bn: View, op: Tape) -> ir.Value:
    require(not is_training(bn), "training mode: the statistics depend on the batch")
    data = bn.required("X")
    rank = rank_of(data)
    if rank < 2:
        raise Refusal("the data has no channels")
    scale, shift = _constants(bn, op, rank) or _computed(bn, op, rank)
    return op.Add(op.Mul(data, scale), shift)


def _constants(bn: View, op: Tape, rank: int) -> tuple[ir.Value, ir.Value] | None:
    """Scale and shift computed now, None where a statistic is not a constant."""
    try:
        both = batchnorm_affine(bn)
    except Refusal:
        return None
    shape, like = (-1, *[1] * (rank - 2)), bn.required("X")
    scale, shift = (op.constant(each.reshape(shape), like=like) for each in both)
    return scale, shift


def _computed(bn: View, op: Tape, rank: int) -> tuple[ir.Value, ir.Value]:
    """Scale and shift computed at run time."""
    bn.attr("momentum")  # only training reads it
    mean, variance = (bn.required(name) for name in statistics(bn))
    epsilon = op.constant(np.asarray(bn.attr("epsilon")), like=variance, name="epsilon")
    scale = op.Div(bn.required("scale"), op.Sqrt(op.Add(variance, epsilon)))
    shift = op.Sub(bn.required("B"), op.Mul(mean, scale))
    return per_channel_shape(op, scale, rank), per_channel_shape(op, shift, rank)


def _bn(g: CaseBuilder, *x: int | str, computed: bool = False, **attributes: object) -> ir.Value:
    channels = x[1]
    assert isinstance(channels, int)
    parameters = [g.input(channels) if computed else g.weight(channels) for _ in range(3)]
    variance = g.Abs(g.input(channels)) if computed else g.weight(channels, low=0.5)
    made = g.BatchNormalization(g.input(*x), *parameters, variance, **attributes)
    assert isinstance(made, ir.Value | tuple)
    return made  # type: ignore[return-value] # a tuple only in the case that asks for it


@replace_batchnorm_with_affine.cases
def cases() -> Iterator[Case]:
    yield Case("of an image", lambda g: _bn(g, 2, 3, 4, 5, epsilon=0.1))
    yield Case("of features", lambda g: _bn(g, "N", 3))
    yield Case("computed statistics", lambda g: _bn(g, 1, 3, "L", computed=True))
    yield Case("opset 9", lambda g: _bn(g, 1, 3, 4, 4), opset=9)
    yield Case(
        "training",
        lambda g: _bn(g, 2, 3, 4, 4, training_mode=1, outputs=3)[0],  # type: ignore[index] # three outputs
        refuses="training mode: the statistics depend on the batch",
    )


@replace_batchnorm_with_affine.samples
def samples(random: Random) -> Case:
    x = (random.choice((1, 2, "N")), random.randint(1, 4), *(random.randint(1, 5) for _ in range(random.randint(0, 3))))
    computed, epsilon, opset = random.random() < 0.5, random.choice((1e-5, 0.1, 1.0)), random.choice((9, 13, 15, 20))
    name = f"{list(x)} {'computed' if computed else 'constant'} epsilon={epsilon} opset {opset}"
    build = lambda g: _bn(g, *x, computed=computed, epsilon=epsilon)  # noqa: E731 - a case's model is a function
    return Case(name, build, opset=opset, seed=random.getrandbits(32))
