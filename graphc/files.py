"""Text files: their lines as YAML counts them, and putting one in its place whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

BREAKS = "\n\r\x85\u2028\u2029"  # each ends a line of YAML, and so in every place that graphc tells
LINE_BREAK = re.compile(f"\r\n|[{BREAKS}]")
MARK = "\ufeff"  # of the byte order, which may stand before a text and is no part of its first line


def lines(text: str) -> list[str]:
    """The lines of a text, without their ends: `lines(text)[where.line - 1]` is the one that a place means."""
    return LINE_BREAK.split(text.removeprefix(MARK))


def overwrite(path: Path, text: str) -> None:
    """Put a text into a file or in the place of one, whose mode it takes: whole, or not at all. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix=".graphc-", dir=path.parent) as folder:
        written = Path(folder) / path.name
        written.write_text(text, encoding="utf-8", newline="")
        if path.exists():
            written.chmod(path.stat().st_mode)
        os.replace(written, path)
