"""Bars of text: a share as eighths of a character, the same in a pipe and on a terminal."""

from __future__ import annotations

EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")


def bar(share: float, width: int) -> str:
    """`bar(0.5, 4)` is `██`; a share from 0 to 1, rounded to an eighth of a character."""
    whole, part = divmod(round(8 * width * share), 8)
    return "█" * whole + EIGHTHS[part]
