"""Replace a local response normalisation with an average pool over the channels.

Law    lrn(x) = x / (k + α·mean(x²))^β      the mean over n neighbouring channels, zeros beyond the first and the last
Why    a target that lacks LRN has pools and pointwise operators (Krizhevsky, Sutskever, Hinton, NIPS 2012).
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.stated import rank_of


@rewrite("LRN", numerics="reassociates")
def replace_lrn_with_average_pool(lrn: View, op: Tape) -> ir.Value:
    data, size = lrn.required("X"), lrn.attr("size")
    rank = rank_of(data)
    if rank < 3:
        raise Refusal("the data has no axes of space")
    require(0 not in (data.shape or ()), "the data is empty")
    require(
        lrn.attr("bias") > 0,
        "the bias is 0",
        conservative="nothing hides the rounding of a small mean then, and ONNX Runtime's sliding sum has much of it",
    )
    columns = op.Reshape(op.Mul(data, data), op.constant([0, 1, _channels(data), -1]))
    before = (size - 1) // 2
    pads = [before, 0, size - 1 - before, 0]
    mean = op.AveragePool(columns, kernel_shape=[size, 1], pads=pads, count_include_pad=1)
    base = op.Add(
        op.constant(lrn.attr("bias"), like=data),
        op.Mul(op.constant(lrn.attr("alpha"), like=data), op.Reshape(mean, _shape(op, data))),
    )
    return op.Div(data, op.Pow(base, op.constant(lrn.attr("beta"), like=data)))


def _channels(data: ir.Value) -> int:
    channels = data.shape[1] if data.shape is not None else None
    if not isinstance(channels, int):
        raise Refusal("the number of channels is not known")
    return channels


def _shape(op: Tape, data: ir.Value) -> ir.Value:
    """The shape of the data, as a constant where it has at most one size that is not known."""
    sizes = [size if isinstance(size, int) else -1 for size in data.shape or ()]
    return op.constant(sizes) if sizes.count(-1) <= 1 and 0 not in sizes else op.Shape(data)


def _lrn(g: CaseBuilder, *x: int | str, size: int, **attributes: object) -> ir.Value:
    return g.LRN(g.input(*x), size=size, **attributes)


@replace_lrn_with_average_pool.cases
def cases() -> Iterator[Case]:
    yield Case("of an image", lambda g: _lrn(g, 2, 6, 3, 4, size=5, alpha=0.3, beta=0.75, bias=2.0))
    yield Case("an even size", lambda g: _lrn(g, 1, 5, 2, 3, size=4, alpha=0.5), oracle="reference")
    yield Case("a dynamic size", lambda g: _lrn(g, "N", 4, "H", "W", size=3, alpha=0.5, bias=0.5))
    yield Case("bare", lambda g: _lrn(g, 1, 3, 2, 4, size=3, bias=0.0), refuses="the bias is 0")
    yield Case("nothing to pool", lambda g: _lrn(g, 1, 3, 0, 4, size=3), refuses="the data is empty")
    yield Case(
        "channels unknown",
        lambda g: _lrn(g, 1, "C", 3, 3, size=3),
        refuses="the number of channels is not known",
    )


@replace_lrn_with_average_pool.samples
def samples(random: Random) -> Case:
    x = (random.choice((1, 2, "N")), random.randint(1, 6), random.randint(1, 4), random.choice((1, 3, "W")))
    attributes = {"size": random.choice((1, 3, 5)), "alpha": random.random(), "beta": random.random(), "bias": 0.5}
    name = f"{list(x)} {attributes}"
    return Case(name, lambda g: _lrn(g, *x, **attributes), seed=random.getrandbits(32))  # type: ignore[arg-type] # floats
