"""One report, for people and for programs."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Page:
    """`text` is plain, its lines as long as they need to be; `value` holds the same as exact JSON values."""

    text: str
    value: Any

    def printed(self, format: str) -> str:
        """The text, or the value as JSON: ASCII, so that no name in it can play tricks on a terminal."""
        return self.text if format == "text" else json.dumps(self.value, indent=2)


def sentence(doc: str) -> str:
    """The first sentence of a docstring, on one line."""
    first = " ".join(inspect.cleandoc(doc).partition("\n\n")[0].split())
    found = re.match(r".*?\.(?=\s+[A-Z`]|$)", first)
    return found[0] if found else first


def unwrapped(doc: str) -> str:
    """A docstring with one line per paragraph, so that it can be wrapped; indented lines and lists stay."""
    return re.sub(r"(?<=\S)\n(?=[^\s\-*])", " ", inspect.cleandoc(doc))


def indented(text: str, by: int = 2) -> str:
    """Every line that is not empty, moved to the right."""
    return "\n".join(" " * by + line if line else line for line in text.splitlines())


def section(title: str, body: str) -> str:
    """A title and its indented body; nothing if there is no body."""
    return f"{title}\n{indented(body)}" if body else ""


def paragraphs(*parts: str) -> str:
    """The parts that are not empty, with empty lines between them."""
    return "\n\n".join(part for part in parts if part)
