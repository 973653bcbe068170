"""Replace a square that is written as a power with a multiplication.

Law    x ^ 2 = x · x
Why    a runtime may compute a power with a logarithm and an exponential.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from graphc import Case, Tape, View, require, rewrite


@rewrite("Pow", numerics="reassociates")
def replace_pow_with_mul(power: View, op: Tape) -> ir.Value:
    require(np.all(power.constant("Y") == 2), "the exponent is not 2")
    x = power.required("X")
    square: ir.Value = op.Mul(x, x)
    return square


@replace_pow_with_mul.cases
def cases() -> Iterator[Case]:
    yield Case("a square", lambda g: g.Pow(g.input(2, 3), g.constant(np.float32(2))))
    yield Case("an integer exponent", lambda g: g.Pow(g.input("N", 3), g.constant(2)))
    yield Case("a cube", lambda g: g.Pow(g.input(2, 3), g.constant(3)), refuses="the exponent is not 2")
    yield Case(
        "an exponent that is computed",
        lambda g: g.Pow(g.input(2, 3), g.input()),
        refuses="Y of Pow is not a constant",
    )
