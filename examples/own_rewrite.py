"""A rewrite of one's own, held to the same laws as graphc's: run this file to see them hold.

Replace a division by a power of two with a multiplication.

Law    x / c = x · (1/c)      c = ±2^n: 1/c is exact, so both sides round the same real number once
Why    a multiplication takes a fraction of the cycles of a division.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Pipeline, Tape, View, laws, require, rewrite


@rewrite("Div", numerics="exact")
def replace_div_with_mul(div: View, op: Tape) -> ir.Value:
    x, divisor = div.required("A"), div.constant("B")
    require(divisor.dtype.kind == "f", "a division of integers truncates")
    mantissa, _ = np.frexp(np.abs(divisor))
    require(np.all(mantissa == 0.5), "the divisor is not a power of two")
    with np.errstate(over="ignore"):
        factor = 1 / divisor
    require(np.all(np.isfinite(factor)), "1/c overflows")
    product: ir.Value = op.Mul(x, op.constant(factor, like=div.required("B"), name="factor"))
    return product


def over(divisor: object) -> Callable[[CaseBuilder], object]:
    """A model that divides its input by a constant."""
    return lambda g: g.Div(g.input(1, 2, 4), _float(divisor, g))


def _float(content: object, g: CaseBuilder) -> ir.Value:
    return g.constant(np.asarray(content, np.float32))


@replace_div_with_mul.cases
def cases() -> Iterator[Case]:
    yield Case("a half", over(0.5))
    yield Case("minus eight", over(-8))
    yield Case("per channel", over([[2], [4]]))
    yield Case("three", over(3), refuses="the divisor is not a power of two")
    yield Case(
        "integers",
        lambda g: g.Div(g.input(2, 3, dtype=ir.DataType.INT64), g.constant(2)),
        refuses="a division of integers truncates",
    )
    yield Case(
        "a reciprocal out of range",
        lambda g: g.Div(g.Mul(g.input(2, 3), g.constant(np.float32(2**-30))), g.constant(np.float32(2**-140))),
        refuses="1/c overflows",
    )


if __name__ == "__main__":
    for law, case, what in laws.violations(replace_div_with_mul):
        raise SystemExit(f"{law}: {case}: {what}")
    print(f"every law holds on {len(replace_div_with_mul.all_cases())} cases")
    record = Pipeline([replace_div_with_mul])(replace_div_with_mul.all_cases()[0].model()).record
    print(f"fired: {record.fired}")
