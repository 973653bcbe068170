"""Drop an Add or Sub of zero.

Law    x + 0 = x − 0 = x     but −0 + 0 = 0: the sign of a zero may change, which 1/x would show
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

OPERATORS = ("Add", "Sub")


@rewrite(*OPERATORS, numerics="reassociates", improves=("bytes", "nodes"))
def drop_addition_of_zero(root: View, op: Tape) -> ir.Value:
    data, other = root.required("A"), root.required("B")
    content = constant(other)
    if content is None and root.op_type == "Add":
        data, content = other, constant(data)
    require(content is not None and not content.any(), "what is added is not zero")
    require(content is None or keeps_shape(content, data), "the constant may enlarge its data")
    return data


def _zeros(g: CaseBuilder, *shape: int) -> ir.Value:
    return g.constant(np.zeros(shape, g.dtype.numpy()))


@drop_addition_of_zero.cases
def cases() -> Iterator[Case]:
    yield Case("Add, constant first", lambda g: g.Relu(g.Add(_zeros(g), g.input("N", 3))))
    yield Case("Sub per channel", lambda g: g.Relu(g.Sub(g.input("N", 3, "W"), _zeros(g, 1, 3, 1))))
    yield Case("opset 7", lambda g: g.Relu(g.Add(g.input(2, 3), _zeros(g, 1, 1))), opset=7)
    yield Case(
        "one", lambda g: g.Relu(g.Add(g.input(2, 3), g.constant(np.float32(1)))), refuses="what is added is not zero"
    )
    yield Case(
        "zero minus it", lambda g: g.Neg(g.Sub(_zeros(g, 2, 3), g.input(2, 3))), refuses="what is added is not zero"
    )
    yield Case(
        "zeros for each of three, one row",
        lambda g: g.Relu(g.Add(one_row(g), _zeros(g, 3, 1))),
        refuses="the constant may enlarge its data",
    )


@drop_addition_of_zero.samples
def samples(random: Random) -> Case:
    return neutral_sample(random, OPERATORS, commutes="Add", filled=0.0)
