"""What a lint says: a Problem, as the lint sees it, and the Finding that a user reads.

A finding is known again by its fingerprint: the lint, the node's path and what stands there, never a line, so that it
survives nodes that move and unrelated ones that are renamed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from graphc.errors import Note, Where, clean

if TYPE_CHECKING:
    import onnx_ir as ir

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")  # the worst first
NOT_ANALYSED = "run/not-analysed"
FAILED, DIED = "run/plugin-failed", "run/worker-died"  # faults of what lints, not of what is linted
FINGERPRINT = 16  # hexadecimal digits

Measure = int | float | str


@dataclass(frozen=True)
class Edit:
    """A change of one line of a file: `new` instead of the text from column `start` to `end` (1-based, `end` left out).

    A line that is empty afterwards is removed. `old` is what stands there: an edit of another text is not made.
    """

    file: str
    line: int
    start: int
    end: int
    old: str
    new: str = ""


@dataclass(frozen=True)
class Fix:
    """What would remove a finding: edits of text, or passes by name, which are verified before anything is written.

    A safe one changes nothing that the file means; any other is made only when asked for.
    """

    what: str
    safe: bool = True
    edits: tuple[Edit, ...] = ()
    passes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Problem:
    """What is wrong, as a look says it: a message, and where: a node, a value, a place in a file, or None, everywhere.

    `help` and `severity` stand for the lint's own; `measured` and `limit` are the numbers behind the message.
    `unfinished`: the message says why the look could not be finished there, and the finding is run/not-analysed.
    """

    message: str
    at: ir.Node | ir.Value | Where | None = None
    help: str = ""
    severity: Severity | None = None
    measured: Measure | None = None
    limit: Measure | None = None
    fix: Fix | None = None
    notes: Sequence[Note] = ()
    unfinished: bool = False


@dataclass(frozen=True)
class Finding:
    """What a lint found: its name `category/defect`, how bad, what, and where: the file's place and the node's path.

    `file` is the spec or model that was linted; `where` may lie in another file, such as the spec that a model was
    built from. `content` is what the fingerprint knows of the place besides its name.
    """

    lint: str
    severity: Severity
    message: str
    node: str = ""
    help: str = ""
    where: Where | None = None
    measured: Measure | None = None
    limit: Measure | None = None
    fix: Fix | None = None
    notes: tuple[Note, ...] = ()
    content: str = field(default="", repr=False)
    file: str = ""

    def __str__(self) -> str:
        place = self.where or self.node or self.file
        return clean(f"{place}: {self.severity}: {self.lint}: {self.message}")

    @property
    def fingerprint(self) -> str:
        """Equal for the same defect at the same place, however lines move and other nodes are called."""
        text = "\0".join((self.lint, self.node, self.content))
        return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:FINGERPRINT]

    def under(self, severity: Severity) -> Finding:
        """The same finding, that severe."""
        return replace(self, severity=severity)


def at_least(severity: Severity, bound: Severity) -> bool:
    """Whether `severity` is as bad as `bound` or worse."""
    return SEVERITIES.index(severity) <= SEVERITIES.index(bound)
