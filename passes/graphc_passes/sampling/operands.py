"""Operands for cases: data of one row, constants that change nothing, selected channels."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder


def one_row(g: CaseBuilder, columns: int = 3) -> ir.Value:
    """For cases: [1, columns], of which nothing says that it is one row."""
    x = g.input("A", columns)
    rows = g.Sub(g.Gather(g.Shape(x), g.constant([0])), g.constant([4]))  # A is 5 where the laws run it
    return g.Slice(x, g.constant([0]), rows, g.constant([0]))


def neutral_sample(random: Random, operators: Sequence[str], commutes: str, filled: float) -> Case:
    """One of these operators over data and a constant of that number; of the one that commutes, in any order."""
    kind = random.choice(operators)
    shape = [random.choice((1, 2, 3, "N")) for _ in range(random.randint(0, 4))]
    taken = [size if isinstance(size, int) and random.random() < 0.5 else 1 for size in shape[random.randint(0, 2) :]]
    first = kind == commutes and random.random() < 0.3

    def build(g: CaseBuilder) -> ir.Value:
        operands = g.input(*shape), g.constant(np.full(taken, filled, g.dtype.numpy()))
        return g.Neg(g.record(kind, *(reversed(operands) if first else operands)))

    return Case(f"{kind} {shape} {taken}", build, opset=random.choice((9, 20)), seed=random.getrandbits(32))


def gathered(g: CaseBuilder, x: ir.Value, *indices: int, axis: int = 1) -> ir.Value:
    """For cases: these elements of an axis."""
    return g.Gather(x, g.constant(list(indices)), axis=axis)
