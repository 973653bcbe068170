"""Totals as exact polynomials in named dimensions: `N·(108625920·h² + 1536000)`.

    symbolic("specs/resnet.yaml@r18", {"N": "N", "H": "32*h", "W": "32*h"})

Counts are evaluated at whole points, interpolated in rational numbers, and the polynomial is then held against further
points, on the diagonal beyond the grid. What is returned is therefore exact at every point that was looked at, and the
only polynomial of its degrees that is. That it holds between and beyond follows where every size of the graph is a
polynomial of the variables: sizes that are multiples of the total stride are. A size that a floor makes periodic shows
at the further points; then there is no polynomial, and `at_ranges` gives the values at the ends of the ranges.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise, product
from math import ceil, prod
from pathlib import Path
from typing import Any

import onnx_ir as ir

from graphc.analysis.cost_report import CostReport
from graphc.analysis.step import Source
from graphc.analysis.training import cost
from graphc.errors import GraphcError
from graphc.metadata import declared_dims
from graphc.spec.network import Network

MAX_DEGREE = 6  # products of sizes: 2 for images, 3 for volumes, 4 for global attention
CHECKS = 2  # further points
_FORM = re.compile(r"(?:(\d+)\s*\*\s*)?([A-Za-z_]\w*)")
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

Quantity = Callable[[CostReport], int]
Point = dict[str, int]


def total_macs(report: CostReport) -> int:
    """The dense multiply-adds of all three directions."""
    return report.totals.total.mac


@dataclass(frozen=True)
class Polynomial:
    """Σ coefficient · Π variable^exponent; `terms` has one exponent per variable, and no zero coefficients."""

    variables: tuple[str, ...]
    terms: Mapping[tuple[int, ...], Fraction]

    def __call__(self, **point: int) -> int | Fraction:
        """The value at a point that names every variable; an int where it is whole."""
        powers = [[point[name] ** exponent for name, exponent in self._named(term)] for term in self.terms]
        value = sum((c * prod(p) for c, p in zip(self.terms.values(), powers, strict=True)), Fraction())
        return int(value) if value.denominator == 1 else value

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        common = tuple(map(min, zip(*self.terms, strict=True)))
        rest = {tuple(e - c for e, c in zip(term, common, strict=True)): value for term, value in self.terms.items()}
        ordered = sorted(rest, key=lambda term: (-sum(term), [-e for e in term]))
        inner = " + ".join(self._term(term, rest[term]) for term in ordered).replace("+ -", "- ")
        outer = self._monomial(common)
        if not outer:
            return inner
        return f"{outer}·({inner})" if len(rest) > 1 else self._term(next(iter(self.terms)), *self.terms.values())

    def _term(self, term: tuple[int, ...], value: Fraction) -> str:
        monomial = self._monomial(term)
        return f"{value}·{monomial}" if monomial else str(value)

    def _monomial(self, term: tuple[int, ...]) -> str:
        return "·".join(
            name + (str(exponent).translate(_SUPERSCRIPTS) if exponent > 1 else "")
            for name, exponent in self._named(term)
        )

    def _named(self, term: tuple[int, ...]) -> list[tuple[str, int]]:
        return [(name, exponent) for name, exponent in zip(self.variables, term, strict=True) if exponent]


def symbolic(
    source: Source, dims: Mapping[str, str | int], quantity: Quantity = total_macs, **options: Any
) -> Polynomial | None:
    """`quantity` of `cost(source, ...)` as a polynomial; None where it is none of at most degree 6 per variable.

    `dims` says what each dimension is: a number, a variable (`N`), or a multiple of one (`32*h`). Points lie inside the
    declared ranges where they are wide enough. `options` go to `cost`, whose errors are raised. Raises GraphcError
    (run/usage) for a form that is none of these.
    """
    forms = {name: _form(given) for name, given in dims.items()}
    variables = tuple(dict.fromkeys(variable for _, variable in forms.values() if variable))
    ranges = _ranges(source)
    starts = {variable: _start(variable, forms, ranges) for variable in variables}

    def evaluate(point: Point) -> int:
        sizes = {name: factor * point.get(variable, 1) for name, (factor, variable) in forms.items()}
        report = cost(source, dims=sizes, **options)
        if report.uncosted:
            node = report.uncosted[0]
            raise GraphcError(
                f"{node.op_type} '{node.name}' is not costed: {node.uncosted}",
                code="run/not-analysed",
                hint="a total that misses something has no formula",
            )
        return quantity(report)

    return interpolated(evaluate, starts)


def interpolated(evaluate: Callable[[Point], int], starts: Mapping[str, int]) -> Polynomial | None:
    """The polynomial that `evaluate` is on whole points from `starts` on; None when it is none of degree ≤ 6."""
    variables = tuple(starts)
    known = cache(lambda *point: evaluate(dict(zip(variables, point, strict=True))))
    degrees = []
    for index in range(len(variables)):
        degree = _degree(lambda step, index=index: known(*_moved(starts, {index: step})))  # type: ignore[misc] # bound now
        if degree is None:
            return None
        degrees.append(degree)
    grid = {
        steps: Fraction(known(*_moved(starts, dict(enumerate(steps)))))
        for steps in product(*(range(degree + 1) for degree in degrees))
    }
    terms = grid
    for index, start in enumerate(starts.values()):
        terms = _along(terms, index, [start + step for step in range(degrees[index] + 1)])
    found = Polynomial(variables, {term: value for term, value in sorted(terms.items(), reverse=True) if value})
    for extra in range(1, CHECKS + 1):
        point = _moved(starts, {index: degree + extra for index, degree in enumerate(degrees)})
        if found(**dict(zip(variables, point, strict=True))) != known(*point):
            return None
    return found


def at_ranges(source: Source, quantity: Quantity = total_macs, **options: Any) -> dict[str, int]:
    """`quantity` with every ranged dimension at its `min`, its `opt` and its `max`, where these are declared."""
    ranges = _ranges(source)
    found = {}
    for end in ("min", "opt", "max"):
        if all(end in sizes for sizes in ranges.values()):
            found[end] = quantity(cost(source, dims={name: sizes[end] for name, sizes in ranges.items()}, **options))
    return found


def _form(given: str | int) -> tuple[int, str]:
    """(factor, variable), the variable empty for a number."""
    if isinstance(given, int):
        return given, ""
    found = _FORM.fullmatch(given.strip())
    if found is None:
        raise GraphcError(f"'{given}' is not a size", code="run/usage", hint="write 256, h or 32*h")
    return int(found[1] or 1), found[2]


def _ranges(source: Source) -> dict[str, dict[str, int]]:
    """The declared ranges of a source that has any."""
    if isinstance(source, str | Path) and Path(source).suffix != ".onnx":
        from graphc.spec.doors import expand

        source = expand(source)
    if isinstance(source, Network):
        ranged = {name: dim for name, dim in source.spec.dims.items() if dim.fixed is None}
        ends = {name: {"min": dim.least, "opt": dim.best, "max": dim.max} for name, dim in ranged.items()}
        return {name: {end: size for end, size in each.items() if size is not None} for name, each in ends.items()}
    return declared_dims(source) if isinstance(source, ir.Model) else {}


def _start(variable: str, forms: Mapping[str, tuple[int, str]], ranges: Mapping[str, Mapping[str, int]]) -> int:
    """The least value of a variable at which no dimension is below its range."""
    least = [ceil(ranges[d].get("min", 1) / f) for d, (f, v) in forms.items() if v == variable and d in ranges]
    return max(least, default=1)


def _moved(starts: Mapping[str, int], steps: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(start + steps.get(index, 0) for index, start in enumerate(starts.values()))


def _degree(value: Callable[[int], int]) -> int | None:
    """The least degree whose differences vanish at CHECKS + 1 points more than define it; None above MAX_DEGREE."""
    for degree in range(MAX_DEGREE + 1):
        row = [value(step) for step in range(degree + 1 + CHECKS)]
        for _ in range(degree + 1):
            row = [after - before for before, after in pairwise(row)]
        if not any(row):
            return degree
    return None


def _along(
    values: Mapping[tuple[int, ...], Fraction], index: int, points: Sequence[int]
) -> dict[tuple[int, ...], Fraction]:
    """Values at these points of one variable to coefficients of its powers: Lagrange's basis, multiplied out."""
    found: dict[tuple[int, ...], Fraction] = {}
    for at, basis in enumerate(_basis(points)):
        for key, value in values.items():
            if key[index] == at:
                for exponent, coefficient in enumerate(basis):
                    term = (*key[:index], exponent, *key[index + 1 :])
                    found[term] = found.get(term, Fraction()) + value * coefficient
    return found


def _basis(points: Sequence[int]) -> list[list[Fraction]]:
    """For each point the coefficients, lowest first, of the polynomial that is 1 there and 0 at the others."""
    found = []
    for own in points:
        row = [Fraction(1)]
        for other in points:
            if other != own:
                shifted, scaled = [Fraction(), *row], [*(-other * c for c in row), Fraction()]
                row = [(a + b) / (own - other) for a, b in zip(shifted, scaled, strict=True)]
        found.append(row)
    return found
