"""What rules of operands share: what is known of a node's operands before it runs, and whether shapes go together.

A rule says what is wrong with one node; None where nothing is, or where a size that it needs is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from math import prod

import numpy as np

from graphc import View, constant
from graphc_passes.lints.graph._graphs import sizes

Rule = Callable[[View], str | None]
SMALL = 1 << 16  # elements of an index, a target or a list of pads that is looked into


class Rules(dict[str, Rule]):
    """operator -> its rule."""

    def of(self, *op_types: str) -> Callable[[Rule], Rule]:
        """Decorator: the rule of these operators."""

        def keep(judge: Rule) -> Rule:
            self.update(dict.fromkeys(op_types, judge))
            return judge

        return keep


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
