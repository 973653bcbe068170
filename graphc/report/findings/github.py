"""Findings as annotations of GitHub: a workflow command per finding.

    ::error file=net.yaml,line=20,col=9,title=spec/unknown-layer::net.yaml:20:9: unknown layer 'leeky_relu'

The message begins with the place, since the log of a job shows nothing else. A property or a message cannot end its
command or begin another: GitHub's escapes stand for what could.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from graphc.errors import clean
from graphc.linting.finding import Finding
from graphc.linting.report import LintReport
from graphc.report.findings.places import from_root, path_of
from graphc.report.findings.text import place

LEVELS = {"error": "error", "warning": "warning", "info": "notice"}
DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
PROPERTY = {**DATA, ":": "%3A", ",": "%2C"}


def commands(report: LintReport) -> str:
    """One command a line; nothing where nothing was found."""
    return "\n".join(_command(each) for each in report.findings)


def _command(finding: Finding) -> str:
    properties = ",".join(f"{name}={_escaped(clean(value), PROPERTY)}" for name, value in _properties(finding))
    return f"::{LEVELS[finding.severity]} {properties}::{_escaped(_message(finding), DATA)}"


def _properties(finding: Finding) -> Iterator[tuple[str, str]]:
    """The file only if GitHub can show it: it is in the repository. A model has no lines, and stands at its first."""
    path = path_of(finding)
    file = from_root(path) if os.path.isfile(path) else None
    if file is not None:
        yield "file", file
        where = finding.where
        if where and where.line:
            yield "line", str(where.line)
            yield "col", str(max(where.column, 1))
    yield "title", finding.lint


def _message(finding: Finding) -> str:
    node = f" (at {clean(finding.node)})" if finding.node else ""
    lines = [f"{place(finding)}{clean(finding.message)}{node}"]
    if finding.help:
        lines.append(f"help: {clean(finding.help)}")
    return "\n".join(lines)


def _escaped(text: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(character, character) for character in text)
