"""The findings that a project knows of and has not mended yet: a file beside its sources, under version control.

An entry is known by the file, the lint, the node's path and what stands there, never by a line. One that is not found
any more is a finding itself, until the baseline is pruned: what was mended stays mended.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from graphc.errors import GraphcError, Where
from graphc.linting.finding import Finding
from graphc.naming import split_source

SCHEMA = 1
STALE = "run/stale-baseline"
BASELINE_BYTES = 64 << 20


class Entry(BaseModel):
    """One known finding. `message` is for readers; the rest is what it is known by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    lint: str
    node: str
    fingerprint: str
    message: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What two runs know it by."""
        return self.file, self.fingerprint


def entry(finding: Finding, folder: Path) -> Entry:
    """A finding as the baseline in `folder` keeps it."""
    return Entry(
        file=_relative(finding.file, folder),
        lint=finding.lint,
        node=finding.node,
        fingerprint=finding.fingerprint,
        message=finding.message,
    )


def read(path: Path) -> list[Entry]:
    """The entries of a baseline. Raises GraphcError: run/file-not-found, run/usage for another kind of file."""
    try:
        with path.open("rb") as stream:
            found: Any = json.loads(stream.read(BASELINE_BYTES))
        if found["graphc-baseline"] != SCHEMA:
            raise ValueError(f"schema {found['graphc-baseline']}, not {SCHEMA}")
        return [Entry.model_validate(each) for each in found["findings"]]
    except OSError:
        raise GraphcError(f"no such baseline: {path}", code="run/file-not-found", hint="--write-baseline") from None
    except (ValueError, TypeError, LookupError, RecursionError, ValidationError) as error:
        raise GraphcError(
            f"{path} is no baseline: {str(error).splitlines()[0][:200]}",
            code="run/usage",
            hint="write a new one with --write-baseline",
        ) from None


def text(entries: Iterable[Entry]) -> str:
    """A baseline file: one entry a line, sorted, so that a diff shows what came and went."""
    lines = sorted(json.dumps(each.model_dump()) for each in entries)
    body = ",\n".join(f"    {line}" for line in lines)
    return f'{{\n  "graphc-baseline": {SCHEMA},\n  "findings": [' + (f"\n{body}\n  ]" if body else "]") + "\n}\n"


def is_known(finding: Finding) -> bool:
    """Whether a baseline may hold a finding: none that says that something was not looked at."""
    return not finding.lint.startswith("run/")


def compared(findings: Sequence[Finding], known: Sequence[Entry], path: Path) -> tuple[list[Finding], list[Entry]]:
    """The findings that are new, and the entries that are still found; `path` is the baseline's."""
    left = Counter(each.key for each in known)
    new = []
    for finding in findings:
        key = entry(finding, path.parent).key
        if left[key] > 0 and is_known(finding):
            left[key] -= 1
        else:
            new.append(finding)
    kept = []
    for each in reversed(known):
        if left[each.key] > 0:
            left[each.key] -= 1
        else:
            kept.append(each)
    return new, kept[::-1]


def stale(
    known: Sequence[Entry], kept: Sequence[Entry], path: Path, files: Iterable[str], names: Collection[str]
) -> list[Finding]:
    """A finding at the line of each entry that is not found any more, if lints of these `names` looked at its file."""
    from graphc.linting.lint import lints  # it imports all of them

    lint = lints().get(STALE)
    if lint is None:
        return []
    linted = {_relative(file, path.parent) for file in files}
    found = Counter(kept)
    lines = _lines(path)
    told = []
    for each in known:
        if found[each] > 0:
            found[each] -= 1
        elif each.file in linted and each.lint in names:
            number = next((n for n, line in enumerate(lines, 1) if each.fingerprint in line), 0)
            where = Where(str(path), number, 1 if number else 0, lines[number - 1] if number else "")
            message = f"{each.lint} is not found any more{f' at {each.node}' if each.node else ''} in {each.file}"
            told.append(
                Finding(STALE, lint.severity, message, each.node, lint.help, where, content=each.lint, file=str(path))
            )
    return told


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8", "replace").splitlines()


def _relative(source: str, folder: Path) -> str:
    """A spec without its variant, or a model, as the folder of the baseline sees it."""
    return Path(os.path.relpath(split_source(source)[0], folder)).as_posix()
