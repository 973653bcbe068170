"""Findings as a table for the comment of a pull request.

Names come from untrusted files: every cell is code, in which nothing mentions people, links or is an image, and what
Markdown could read is written as a character reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from graphc.errors import clean
from graphc.linting.finding import Finding
from graphc.linting.report import LintReport
from graphc.report.findings.places import path_of, shown
from graphc.report.findings.summary import fixable, summary
from graphc.report.quantity import plural

LIMIT = 60_000  # characters: GitHub takes 65,536
PLAIN = re.compile(r"[^\w \-/,'=+]|_")
ICONS = {"error": "❌", "warning": "⚠️", "info": "ℹ️"}


def document(report: LintReport) -> str:
    """A heading, a table with a row per finding, and what can be fixed; what does not fit is counted."""
    parts = [f"### graphc lint: {summary(report)}"]
    rows = list(_fitting(report))
    if rows:
        parts.append("\n".join(["| | where | lint | what |", "|---|---|---|---|", *rows]))
    left = len(report.findings) - len(rows)
    if left:
        parts.append(f"{plural(left, 'more finding')} not shown")
    if fixable(report):
        parts.append(fixable(report).replace("[*] ", ""))
    return "\n\n".join(parts) + "\n"


def code(text: str) -> str:
    """A text from an untrusted file, as it is and nothing more."""
    return f"<code>{PLAIN.sub(lambda found: f'&#{ord(found[0])};', clean(text))}</code>"


def _fitting(report: LintReport) -> Iterator[str]:
    room = LIMIT
    for finding in report.findings:
        row = _row(finding)
        room -= len(row) + 1
        if room < 0:
            return
        yield row


def _row(finding: Finding) -> str:
    where = finding.where
    place = shown(path_of(finding)) + (f":{where.line}" if where and where.line else "")
    node = f"<br>{code(finding.node)}" if finding.node else ""
    what = code(finding.message) + (f"<br>{code(finding.help)}" if finding.help else "")
    return f"| {ICONS[finding.severity]} {finding.severity} | {code(place)}{node} | {code(finding.lint)} | {what} |"
