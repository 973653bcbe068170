"""Einsum with any number of operands.

Two operands at a time, in the order that costs least: all orders are tried for up to MAX_ORDERED operands, beyond that
it is from left to right. An index that only one of the two has, and that nobody else wants, is summed before they
meet. A pair that shares a summed index is a contraction, one multiply-add per point of all its indices; any other pair
is one multiplication per point. Each gradient is the Einsum of the output's gradient with the other operands.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import prod
from typing import TypeAlias

from graphc.convolution import static_shape
from graphc.costs import ZERO, Cost
from graphc.ops.op import Op, Saved, gradient_traffic, keep, op, operand, traffic
from graphc.view import Refusal, View

MAX_ORDERED = 6
Term: TypeAlias = frozenset[str]  # the indices of an operand or of a product so far


@op("Einsum")
class Einsum(Op):
    """Indices are letters; an ellipsis stands for as many as the operand has left, counted from the right."""

    def forward(self, view: View) -> Cost:
        terms, wanted, sizes = read_equation(view)
        return contraction(terms, wanted, sizes) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        terms, wanted, sizes = read_equation(view)
        others = [value for place, value in enumerate(view.node.inputs) if place != index]
        rest = [wanted, *(term for place, term in enumerate(terms) if place != index)]
        return contraction(rest, terms[index], sizes) + gradient_traffic(view, index, *others)

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """Every operand that another's gradient is made of."""
        needed = [i for i in range(len(view.node.inputs)) if wanted - {i}]
        return tuple(saved for index in needed for saved in keep(operand(view, index), "operand"))


def read_equation(view: View) -> tuple[list[Term], Term, dict[str, int]]:
    """The indices of each operand and of the output, and the size of each index. Raises Refusal when they clash."""
    left, arrow, right = view.attr("equation").replace(" ", "").partition("->")
    shapes = [static_shape(operand(view, index)) for index in range(len(view.node.inputs))]
    names = left.split(",")
    if len(names) != len(shapes):
        raise Refusal(f"the equation has {len(names)} terms for {len(shapes)} operands")
    rows = [_indices(term, len(shape)) for term, shape in zip(names, shapes, strict=True)]
    sizes: dict[str, int] = {}
    for row, shape in zip(rows, shapes, strict=True):
        for index, size in zip(row, shape, strict=True):
            sizes[index] = size if sizes.get(index, 1) == 1 else sizes[index]
    terms = [
        frozenset(index for index, size in zip(row, shape, strict=True) if size == sizes[index])
        for row, shape in zip(rows, shapes, strict=True)
    ]
    every = [index for row in rows for index in row]
    if arrow:
        wanted = set(right.replace("...", "")) | ({i for i in every if i.isdigit()} if "..." in right else set())
    else:
        wanted = {index for index in every if index.isdigit() or every.count(index) == 1}
    return terms, frozenset(wanted), sizes


def _indices(term: str, rank: int) -> list[str]:
    """One name per dimension; those of the ellipsis are numbers, counted from the right."""
    before, ellipsis, after = term.partition("...")
    hidden = rank - len(before) - len(after)
    if hidden < 0 or (hidden and not ellipsis):
        raise Refusal(f"'{term}' does not name {rank} dimensions")
    return [*before, *(str(place) for place in reversed(range(hidden))), *after]


def contraction(terms: Sequence[Term], wanted: Term, sizes: dict[str, int]) -> Cost:
    """The cheapest order of pairs, by flops, that turns `terms` into `wanted`."""
    if len(terms) > MAX_ORDERED:
        return _in_turn(terms, wanted, sizes)
    everyone = frozenset(range(len(terms)))

    def outside(group: frozenset[int]) -> Term:
        return wanted.union(*(terms[member] for member in everyone - group))

    def kept(group: frozenset[int]) -> Term:
        return frozenset().union(*(terms[member] for member in group)) & outside(group)

    @cache
    def best(group: frozenset[int]) -> Cost:
        if len(group) == 1:
            (only,) = group
            return ZERO if group != everyone else _summed(terms[only], kept(group), sizes)
        costs = []
        first, *rest = sorted(group)
        for choice in range(2 ** len(rest) - 1):  # which of the rest stand with the first
            with_first = frozenset([first, *(m for bit, m in enumerate(rest) if choice >> bit & 1)])
            others = group - with_first
            sides = [terms[next(iter(part))] if len(part) == 1 else kept(part) for part in (with_first, others)]
            costs.append(best(with_first) + best(others) + _pair(sides[0], sides[1], outside(group), sizes))
        return min(costs, key=lambda cost: cost.flops)

    return best(everyone)


def _in_turn(terms: Sequence[Term], wanted: Term, sizes: dict[str, int]) -> Cost:
    product, total = terms[0], ZERO
    for place, term in enumerate(terms[1:], start=2):
        still = wanted.union(*terms[place:])
        total += _pair(product, term, still, sizes)
        product = (product | term) & still
    return total


def _pair(left: Term, right: Term, wanted: Term, sizes: dict[str, int]) -> Cost:
    """Two operands of which `wanted` is needed afterwards."""
    sums = [_summed(own, own & (other | wanted), sizes) for own, other in ((left, right), (right, left))]
    left, right = left & (right | wanted), right & (left | wanted)
    points = _points(left | right, sizes)
    return sums[0] + sums[1] + (Cost(mac=points) if (left & right) - wanted else Cost(mul=points))


def _summed(term: Term, wanted: Term, sizes: dict[str, int]) -> Cost:
    """One add less than there are points for each that is left."""
    return Cost(add=_points(term, sizes) - _points(term & wanted, sizes))


def _points(term: Term, sizes: dict[str, int]) -> int:
    return prod(sizes[index] for index in term)
