"""Collects the independent errors of one run, so that a user sees all of them at once."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.errors import GraphcError, Note, collect


class Stop(Exception):
    """Enough errors have been found, or a limit was hit: nothing further is looked at. Never seen by a user."""


class Problems:
    """The errors found so far. One that several expansions of a block or loop meet again is counted, not
    repeated.
    """

    def __init__(self, most: int = 20) -> None:
        self.most = most
        self._found: dict[object, list[GraphcError]] = {}

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
            if one.code == "spec/limit-exceeded" or len(self._found) > self.most:
                raise Stop

    def raise_all(self) -> None:
        """Raise one GraphcError that carries every error, if there is any."""
        if self._found:
            raise collect([_counted(group) for group in self._found.values()], self.most)


def _counted(group: list[GraphcError]) -> GraphcError:
    first, more = group[0], len(group) - 1
    if not more:
        return first
    message = f"{first.message} (and {more} more expansion{'s' if more > 1 else ''})"
    return GraphcError(message, code=first.code, where=first.where, hint=first.hint, notes=first.notes)
