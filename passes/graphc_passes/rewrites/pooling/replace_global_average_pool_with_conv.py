"""Replace a mean over all of space with a depthwise convolution whose kernel is as large as its data.

Law    mean over space of x = conv(x, 1/ΠL, groups = C)     a kernel [C, 1, L...] of 1/ΠL fits in one place only
       A mean without `keepdims` squeezes the axes, of length 1, away.
Why    Some targets have no reduction, or only a slow one; as a convolution the mean merges with those around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.reshaping import squeeze
from graphc_passes.nodes.stated import static_channels, static_spatial


@rewrite("GlobalAveragePool", "ReduceMean", numerics="reassociates")
def replace_global_average_pool_with_conv(mean: View, op: Tape) -> ir.Value:
    data = mean.required("data" if mean.op_type == "ReduceMean" else "X")
    sizes, channels = static_spatial(data), static_channels(data)
    axes = list(range(2, 2 + len(sizes)))
    if mean.op_type == "ReduceMean":
        require(_axes(mean, 2 + len(sizes)) == axes, "it takes the mean over other axes than the spatial ones")
    weight = np.full((channels, 1, *sizes), 1 / prod(sizes))
    made = op.Conv(
        data,
        op.constant(weight, like=data, name="weight"),
        kernel_shape=list(sizes),
        strides=list(sizes),
        group=channels,
    )
    if mean.op_type == "ReduceMean" and not mean.attr("keepdims"):
        made = squeeze(op, made, axes)
    return made


def _axes(mean: View, rank: int) -> list[int]:
    """The axes of a ReduceMean, from 0, in order."""
    given = mean.attr("axes") if mean.opset < 18 else mean.optional_constant("axes")
    if given is None or not len(given):
        if mean.attr("noop_with_empty_axes"):
            raise Refusal("it takes no mean at all")
        return list(range(rank))
    return sorted(int(axis) % rank for axis in given)


@replace_global_average_pool_with_conv.cases
def cases() -> Iterator[Case]:
    yield Case("GlobalAveragePool", lambda g: g.GlobalAveragePool(g.input("N", 3, 4, 5)))
    yield Case("1-D", lambda g: g.GlobalAveragePool(g.input(2, 3, 7)))
    yield Case("3-D", lambda g: g.GlobalAveragePool(g.input(1, 2, 3, 4, 2)))
    yield Case("ReduceMean", lambda g: g.ReduceMean(g.input(1, 3, 4, 5), g.constant([-1, 2])))
    yield Case(
        "ReduceMean that drops the axes", lambda g: g.ReduceMean(g.input(2, 3, 4, 5), g.constant([2, 3]), keepdims=0)
    )
    yield Case("ReduceMean, opset 11", lambda g: g.ReduceMean(g.input(1, 3, 4, 5), axes=[2, 3], keepdims=0), opset=11)
    yield Case(
        "ReduceMean over the batch too",
        lambda g: g.ReduceMean(g.input("N", 3, 4, 5), g.constant([0, 2, 3])),
        refuses="it takes the mean over other axes than the spatial ones",
    )


@replace_global_average_pool_with_conv.samples
def samples(random: Random) -> Case:
    rank = random.choice((1, 2, 2, 3))
    shape = (random.choice((1, 2, "N")), random.randint(1, 4), *(random.randint(1, 7) for _ in range(rank)))
    opset, keep = random.choice((9, 11, 13, 17, 18, 20)), random.choice((0, 1))
    axes = [axis - random.choice((0, rank + 2)) for axis in random.sample(range(2, rank + 2), rank)]
    pool = random.random() < 0.3

    def build(g: CaseBuilder) -> ir.Value:
        x = g.input(*shape)
        if pool:
            made = g.GlobalAveragePool(x)
        elif g.opset < 18:
            made = g.ReduceMean(x, axes=axes if g.opset >= 11 else [axis % (rank + 2) for axis in axes], keepdims=keep)
        else:
            made = g.ReduceMean(x, g.constant(axes), keepdims=keep)
        return made

    return Case(f"{'GlobalAveragePool' if pool else 'ReduceMean'} {shape} {axes} {keep=} {opset=}", build, opset=opset)
