"""What is wrong with a spec: every independent error of a run, with how the expansion came to it, and bounds.

`Problems` collects errors, so that a user sees all of them at once. `Trace` knows the bodies that are being
expanded: it tells an error how the expansion came there, and stops an expansion that goes too far.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from graphc.errors import GraphcError, Note, Where, collect
from graphc.limits import Limits
from graphc.spec.scope import placed

LIMIT = "spec/limit-exceeded"
MOST_MET = 1000  # times that errors are met again before the run stops
ITEMS_PER_NODE = 4  # a spec may expand to this many items for each node it may have


class Stop(Exception):  # noqa: N818  a signal; the errors are in Problems
    """Enough errors were found, or a limit was hit: nothing further is looked at. Never seen by a user."""


class Problems:
    """The errors found so far; one that several expansions of a block meet is counted, not repeated."""

    def __init__(self, most: int = 20) -> None:
        self.most = most
        self._found: dict[object, list[GraphcError]] = {}
        self._met = 0

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, error: GraphcError, notes: Sequence[Note] = ()) -> None:
        """Keep an error and those it carries; `notes` say how the expansion came to it, innermost first.

        Raises Stop after the last error that is shown, and at once for spec/limit-exceeded.
        """
        for one in error.all:
            one.notes = (*one.notes, *notes)
            key = one.where, one.code, None if notes else one.message
            self._found.setdefault(key, []).append(one)
            self._met += 1
            limit_hit = one.code == LIMIT or self._met > MOST_MET
            if limit_hit or len(self._found) > self.most:
                raise Stop

    def raise_all(self) -> None:
        """Raise one GraphcError that carries every error, if there is any."""
        if self._found:
            raise collect([_counted(group) for group in self._found.values()], self.most)


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


def _counted(group: list[GraphcError]) -> GraphcError:
    first, more = group[0], len(group) - 1
    if not more:
        return first
    message = f"{first.message} (and {more} more expansion{'s' if more > 1 else ''})"
    return GraphcError(message, code=first.code, where=first.where, hint=first.hint, notes=first.notes)
