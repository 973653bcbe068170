"""Drop a Mul or Div by one, a Pow to the power of one.

Law    x·1 = x/1 = x¹ = x     also for infinities, and for a zero with its sign
Why    one read and write of the data less, and nothing between two operators that could fuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Tape, View, constant, require, rewrite
from graphc_passes.nodes.broadcasting import keeps_shape
from graphc_passes.sampling.operands import neutral_sample, one_row

OPERATORS = ("Mul", "Div", "Pow")


@rewrite(*OPERATORS, numerics="exact", improves=("bytes", "nodes"))
def drop_multiplication_by_one(root: View, op: Tape) -> ir.Value:
    first, second = ("X", "Y") if root.op_type == "Pow" else ("A", "B")
    data, other = root.required(first), root.required(second)
    content = constant(other)
    if content is None and root.op_type == "Mul":
        data, content = other, constant(data)
    require(content is not None and (content == 1).all(), "it is not multiplied by ones")
    require(content is None or keeps_shape(content, data), "the constant may enlarge its data")
    return data


def _ones(g: CaseBuilder, *shape: int) -> ir.Value:
    return g.constant(np.ones(shape, g.dtype.numpy()))


@drop_multiplication_by_one.cases
def cases() -> Iterator[Case]:
    yield Case("Mul, constant first", lambda g: g.Relu(g.Mul(_ones(g), g.input("N", 3))))
    yield Case("Div per channel", lambda g: g.Relu(g.Div(g.input("N", 3, "W"), _ones(g, 1, 3, 1))))
    yield Case("Pow", lambda g: g.Relu(g.Pow(g.input(2, 3), _ones(g))))
    yield Case("Pow to an integer", lambda g: g.Relu(g.Pow(g.input(2, 3), g.constant(1))))
    yield Case("opset 7", lambda g: g.Relu(g.Mul(g.input(2, 3), _ones(g, 1, 1))), opset=7)
    yield Case(
        "by two",
        lambda g: g.Relu(g.Mul(g.input(2, 3), g.constant(np.float32(2)))),
        refuses="it is not multiplied by ones",
    )
    yield Case(
        "one by it", lambda g: g.Neg(g.Div(_ones(g, 2, 3), g.input(2, 3))), refuses="it is not multiplied by ones"
    )
    yield Case(
        "ones for each of three, one row",
        lambda g: g.Relu(g.Mul(one_row(g), _ones(g, 3, 1))),
        refuses="the constant may enlarge its data",
    )


@drop_multiplication_by_one.samples
def samples(random: Random) -> Case:
    return neutral_sample(random, OPERATORS, commutes="Mul", filled=1.0)
