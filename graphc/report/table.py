"""Columns that line up, in plain text: what a pipe gets is what a terminal shows, whatever its width."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from graphc.errors import clean


def table(rows: Sequence[Sequence[str]], sides: str, *, indent: int = 0, gap: int = 2) -> str:
    """One line per row. `sides` has `<` or `>` per column, the side that its cells stand on.

    Cells come from untrusted files, so they are cleaned; nothing is ever cut off.
    """
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(columns, column)) for column in zip(*cells, strict=True)]
    return "\n".join((" " * indent + (" " * gap).join(map(_padded, row, widths, sides))).rstrip() for row in cells)


def columns(text: str) -> int:
    """How many columns of a terminal a text fills: East Asian wide characters two, combining marks none."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def _padded(cell: str, width: int, side: str) -> str:
    space = " " * (width - columns(cell))
    return space + cell if side == ">" else cell + space
