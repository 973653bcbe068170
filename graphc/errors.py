"""The one error a user ever sees, and its one format.

    can.yaml:20:9: spec/unknown-layer: unknown layer 'leeky_relu'
      help: did you mean 'leaky_relu'?
        20 |       - leeky_relu: 0.2
           |         ^
      note: in repeat s=0 at can.yaml:23:5

Specs, weights and models are untrusted, so every text that an error quotes is cleaned of control,
ANSI and bidirectional characters before it is shown.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

SNIPPET_COLUMNS = 100
MAX_NOTES = 8
MAX_ALTERNATIVES = 12

# Wrong usage of the command line and missing files; every other error is a finding about the input.
USAGE_CODES = frozenset({"run/usage", "run/file-not-found", "run/provider-missing", "run/unknown-selector"})


@dataclass(frozen=True)
class Where:
    """A place in a file: 1-based line and column; `text` is the source line there, if known."""

    file: str
    line: int = 0
    column: int = 0
    text: str = field(default="", repr=False, compare=False)

    def __str__(self) -> str:
        return f"{clean(self.file)}:{self.line}:{self.column}" if self.line else clean(self.file)


@dataclass(frozen=True)
class Note:
    """One step of how graphc came to the place of an error: "in block 'layer'" at a place."""

    message: str
    where: Where | None = None

    def __str__(self) -> str:
        return clean(self.message) + (f" at {self.where}" if self.where else "")


class GraphcError(Exception):
    """Something is wrong with what a user gave: what, where, and what to do about it.

    `code` is `category/name` in kebab-case, named after the defect. `where` is a place in a file, `node` the node of a
    model that it is about. `hint` says what to do. `notes` lead from the place to the outermost cause. `others` are
    independent errors found in the same run.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "run/error",
        where: Where | None = None,
        node: str = "",
        hint: str = "",
        notes: Sequence[Note] = (),
        others: Sequence[GraphcError] = (),
    ) -> None:
        super().__init__(message)
        self.message, self.code, self.where, self.node, self.hint = message, code, where, node, hint
        self.notes, self.others = tuple(notes), tuple(others)

    @property
    def all(self) -> tuple[GraphcError, ...]:
        """This error and the independent ones found with it."""
        return (self, *self.others)

    @property
    def exit_code(self) -> int:
        """2 for wrong usage or a missing file, else 1."""
        return 2 if self.code in USAGE_CODES else 1

    def __str__(self) -> str:
        return "\n".join(error.render() for error in self.all)

    def render(self) -> str:
        """This error alone, in the format of the module's docstring."""
        place = f"{self.where}: " if self.where else ""
        lines = [f"{place}{self.code}: {clean(self.message)}"]
        if self.hint:
            lines.append(f"  help: {clean(self.hint)}")
        if self.where and self.where.text:
            lines += snippet(self.where)
        lines += [f"  note: {note}" for note in self.notes[:MAX_NOTES]]
        if len(self.notes) > MAX_NOTES:
            lines.append(f"  note: and {len(self.notes) - MAX_NOTES} more steps")
        return "\n".join(lines)


def collect(errors: Sequence[GraphcError], limit: int = 20) -> GraphcError:
    """One error that carries all of `errors` (at least one), the first `limit` of them shown."""
    first, *rest = errors
    shown = list(rest[: limit - 1])
    if len(errors) > limit:
        shown.append(GraphcError(f"and {len(errors) - limit} more errors", code=first.code))
    return GraphcError(
        first.message,
        code=first.code,
        where=first.where,
        node=first.node,
        hint=first.hint,
        notes=first.notes,
        others=shown,
    )


def snippet(where: Where) -> list[str]:
    """The source line with a caret below the column, clipped to about 100 columns around it."""
    text, column = where.text.expandtabs(1), max(where.column, 1)
    start = max(0, column - 1 - SNIPPET_COLUMNS // 2) if len(text) > SNIPPET_COLUMNS else 0
    shown = clean(text[start : start + SNIPPET_COLUMNS], keep_width=True)
    margin = " " * len(str(where.line))
    return [f"    {where.line} | {shown}", f"    {margin} | {' ' * (column - 1 - start)}^"]


def clean(text: str, *, keep_width: bool = False) -> str:
    """Replace control, ANSI, bidirectional and surrogate characters, which could fake terminal or CI output."""
    replacement = "?" if keep_width else "�"
    return "".join(replacement if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else c for c in text)


def suggest(name: str, known: Iterable[str]) -> str:
    """A hint towards the nearest of `known`, else the first few alternatives."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    if not names:
        return ""
    more = f" and {len(names) - MAX_ALTERNATIVES} more" if len(names) > MAX_ALTERNATIVES else ""
    return "known: " + ", ".join(names[:MAX_ALTERNATIVES]) + more
