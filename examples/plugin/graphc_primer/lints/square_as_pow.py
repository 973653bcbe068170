"""A square that is written as a power.

Why    a runtime may compute a power with a logarithm and an exponential, and a square needs neither.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from graphc import CaseBuilder, constant, lint, views


@lint("graph", severity="warning", help="run the pass replace-pow-with-mul")
def square_as_pow(model: ir.Model) -> Iterator[tuple[ir.Node, str]]:
    for power in views(model, "Pow"):
        exponent = constant(power.required("Y"))
        if exponent is not None and np.all(exponent == 2):
            yield power.node, "a square is computed as a power"


@square_as_pow.bad
def a_square(g: CaseBuilder) -> object:
    return g.Pow(g.input(2, 3), g.constant(2))


@square_as_pow.good
def a_cube(g: CaseBuilder) -> object:
    return g.Pow(g.input(2, 3), g.constant(3))
