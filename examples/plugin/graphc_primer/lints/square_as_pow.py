"""A square that is written as a power.

Why    a runtime may compute a power with a logarithm and an exponential, and a square needs neither.
"""

from __future__ import annotations

import numpy as np

from graphc import CaseBuilder, View, constant, lint


@lint("Pow", category="graph", severity="warning", help="run the pass replace-pow-with-mul")
def square_as_pow(power: View) -> str | None:
    exponent = constant(power.required("Y"))
    return "a square is computed as a power" if exponent is not None and np.all(exponent == 2) else None


@square_as_pow.bad
def a_square(g: CaseBuilder) -> object:
    return g.Pow(g.input(2, 3), g.constant(2))


@square_as_pow.good
def a_cube(g: CaseBuilder) -> object:
    return g.Pow(g.input(2, 3), g.constant(3))
