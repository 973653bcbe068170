"""How an expansion came to where it stands: what errors say of it, and the bounds on how far it goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from graphc.errors import GraphcError, Note, Where
from graphc.limits import Limits
from graphc.spec.problems import LIMIT, Problems
from graphc.spec.scope import placed

ITEMS_PER_NODE = 4  # a spec may expand to this many items for each node it may have


class Trace:
    """The bodies that are being expanded, outermost first, and the number of items so far."""

    def __init__(self, problems: Problems, limits: Limits) -> None:
        self.problems, self.limits = problems, limits
        self._stack: list[Note | None] = []
        self._calling: list[tuple[int, str]] = []  # the blocks that are being expanded
        self._items = 0

    def count(self) -> None:
        """Count one step of the expansion. Raises GraphcError (spec/limit-exceeded) if there are too many."""
        self._items += 1
        self.check_items(self._items)

    def check_items(self, items: int) -> None:
        """Raises GraphcError (spec/limit-exceeded) if the spec may not expand to so many items."""
        most = ITEMS_PER_NODE * self.limits.graph_nodes
        if items > most:
            raise GraphcError(f"the spec expands to more than {most} items", code=LIMIT)

    @contextmanager
    def entered(self, where: Where, step: str | None = None) -> Iterator[None]:
        """One body deeper; `step` is what errors say of it: `in repeat i=0`."""
        if len(self._stack) >= self.limits.block_depth:
            raise GraphcError(f"bodies are more than {self.limits.block_depth} deep", code=LIMIT, where=where)
        self._stack.append(None if step is None else Note(step, where))
        try:
            yield
        finally:
            self._stack.pop()

    @contextmanager
    def calling(self, module: object, name: str, where: Where) -> Iterator[None]:
        """Inside a block. Raises GraphcError (spec/block-cycle) if that block is being expanded already."""
        key = id(module), name
        if key in self._calling:
            raise GraphcError(
                f"block '{name}' calls itself",
                code="spec/block-cycle",
                hint="use 'repeat' for a bounded loop",
            )
        self._calling.append(key)
        try:
            with self.entered(where, f"in block '{name}'"):
                yield
        finally:
            self._calling.pop()

    def report(self, error: GraphcError, where: Where | None = None) -> None:
        """Keep an error, at `where` if it has no place, with the steps of the expansion that led to it."""
        for one in error.all:
            placed(one, where)
        self.problems.add(error, [note for note in reversed(self._stack) if note])
