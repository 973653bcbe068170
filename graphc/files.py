"""Putting a text file in its place, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def overwrite(path: Path, text: str) -> None:
    """Put a text into a file or in the place of one, whose mode it takes: whole, or not at all. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix=".graphc-", dir=path.parent) as folder:
        written = Path(folder) / path.name
        written.write_text(text, encoding="utf-8", newline="")
        if path.exists():
            written.chmod(path.stat().st_mode)
        os.replace(written, path)
