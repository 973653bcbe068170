"""What rules of operands share: what is known of a node's operands before it runs, and whether shapes go together.

A rule says what is wrong with one node; None where nothing is, or where a size that it needs is not known. What ONNX
forbids and ONNX Runtime accepts is a `doubtful` Problem.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from math import prod

import numpy as np

from graphc import Problem, View, constant
from graphc_passes.lints.graph._graphs import sizes

Found = Problem | str | None
Rule = Callable[[View], Found]
SMALL = 1 << 10  # elements of an index, a target or a list of pads that is looked into


class Rules(dict[str, Rule]):
    """operator -> its rule."""

    def of(self, *op_types: str) -> Callable[[Rule], Rule]:
        """Decorator: a rule of these operators, which goes after those that they have already."""

        def keep(judge: Rule) -> Rule:
            for op_type in op_types:
                self[op_type] = _both(self[op_type], judge) if op_type in self else judge
            return judge

        return keep


def merged(*tables: Rules) -> Rules:
    """The rules of several tables: the first one of an operator that has something to say speaks."""
    found = Rules()
    for table in tables:
        for op_type, judge in table.items():
            found.of(op_type)(judge)
    return found


def _both(one: Rule, other: Rule) -> Rule:
    return lambda view: one(view) or other(view)


def doubtful(message: str) -> Problem:
    """What ONNX's definition forbids, and ONNX Runtime runs all the same."""
    return Problem(message, severity="warning")


def all_sizes(view: View, name: str) -> tuple[int, ...] | None:
    """The sizes of an input; None where it is absent or not all of them are known."""
    found = sizes(view.input(name))
    if found is None or None in found:
        return None
    return tuple(size for size in found if size is not None)


def content(view: View, name: str) -> np.ndarray | None:
    """The content of a small constant input, else None."""
    value = view.input(name)
    known = sizes(value)
    if value is None or known is None or prod(size or 0 for size in known) > SMALL:
        return None
    return constant(value)


def fits(given: Sequence[int | None], wanted: Sequence[int | None]) -> bool:
    """Whether two shapes can be one; an unknown size can be any."""
    return len(given) == len(wanted) and all(a == b or None in (a, b) for a, b in zip(given, wanted, strict=True))


def spreads(small: Sequence[int | None], large: Sequence[int | None]) -> bool:
    """Whether the first shape can be broadcast to the second, which stays as it is."""
    if len(small) > len(large):
        return False
    pairs = zip_longest(reversed(small), reversed(large), fillvalue=1)
    return all(a in (b, 1) or None in (a, b) for a, b in pairs)


def first(*problems: str | None) -> str | None:
    return next((problem for problem in problems if problem), None)


def shown(found: Sequence[int | None]) -> str:
    return f"[{', '.join('?' if size is None else str(size) for size in found)}]"
