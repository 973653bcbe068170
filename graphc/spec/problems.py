"""Collects the independent errors of one run, so that a user sees all of them at once."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.errors import GraphcError, Note, collect

LIMIT = "spec/limit-exceeded"
MOST_MET = 1000  # times that errors are met again before the run stops


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


def _counted(group: list[GraphcError]) -> GraphcError:
    first, more = group[0], len(group) - 1
    if not more:
        return first
    message = f"{first.message} (and {more} more expansion{'s' if more > 1 else ''})"
    return GraphcError(message, code=first.code, where=first.where, hint=first.hint, notes=first.notes)
