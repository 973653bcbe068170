"""Findings for people: `full`, in the format of graphc's errors, and `concise`, a line each.

    can.yaml:20:9: error: spec/unknown-layer: unknown layer 'leeky_relu' [*]
      help: did you mean 'leaky_relu'?
        20 |       - leeky_relu: 0.2
           |         ^
      node: stage/3/act

The text is plain unless colours are asked for. Logs of CI systems read lines as commands, so that no line looks like
one, whatever a file or a node is called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from graphc.errors import MAX_NOTES, clean, snippet
from graphc.linting.finding import Finding
from graphc.linting.report import LintReport
from graphc.naming import is_model
from graphc.report.findings.summary import fixable, summary

STYLES = {"error": "1;31", "warning": "1;33", "info": "1;36", "lint": "1", "aside": "2"}  # ANSI: bold, red, dim, ...
FIXABLE = "[*]"
COMMAND = re.compile(r"^(?=\s*::)", re.MULTILINE)  # of a GitHub workflow
OLD_COMMAND = "##["  # anywhere in a line


def full(report: LintReport, colour: bool = False) -> str:
    """Every finding with all that is known of it, then the summary."""
    end = "\n".join(line for line in (summary(report), fixable(report)) if line)
    return "\n\n".join([*(block(each, colour) for each in report.findings), end])


def concise(report: LintReport, colour: bool = False) -> str:
    """One line per finding; nothing where there is none."""
    return "\n".join(inert(_headline(each, colour) + _aside(each, colour)) for each in report.findings)


def block(finding: Finding, colour: bool = False) -> str:
    """One finding with all that is known of it."""
    return inert("\n".join([_headline(finding, colour), *_details(finding)]))


def place(finding: Finding) -> str:
    """`net.yaml:20:9: `, or the file alone; nothing for what is about the run itself."""
    found = str(finding.where) if finding.where else clean(finding.file)
    return f"{found}: " if found else ""


def inert(text: str) -> str:
    """The text with nothing in it that a log of GitHub would take for a command."""
    return COMMAND.sub("./", text).replace(OLD_COMMAND, "# #[")


def measures(finding: Finding) -> str:
    """`measured 5, limit 3`, as far as they are known."""
    known = {"measured": finding.measured, "limit": finding.limit}
    return clean(", ".join(f"{name} {_number(value)}" for name, value in known.items() if value is not None))


def _headline(finding: Finding, colour: bool) -> str:
    severity = _painted(finding.severity, finding.severity, colour)
    lint = _painted(clean(finding.lint), "lint", colour)
    mark = f" {FIXABLE}" if finding.fix is not None and finding.fix.safe else ""
    return f"{place(finding)}{severity}: {lint}: {clean(finding.message)}{mark}"


def _aside(finding: Finding, colour: bool) -> str:
    """The node, where no line says what the finding is about."""
    if not finding.node or (finding.where and finding.where.line):
        return ""
    return _painted(f" (at {clean(finding.node)})", "aside", colour)


def _details(finding: Finding) -> Iterator[str]:
    if finding.help:
        yield f"  help: {clean(finding.help)}"
    if finding.where and finding.where.line and finding.where.text:
        yield from snippet(finding.where)
    if finding.node:
        yield f"  node: {clean(finding.node)}{_of_model(finding)}"
    if measures(finding):
        yield f"  {measures(finding)}"
    if finding.fix:
        yield f"  {'' if finding.fix.safe else 'unsafe '}fix: {clean(finding.fix.what)}"
    yield from (f"  note: {note}" for note in finding.notes[:MAX_NOTES])
    if len(finding.notes) > MAX_NOTES:
        yield f"  note: and {len(finding.notes) - MAX_NOTES} more steps"


def _of_model(finding: Finding) -> str:
    """The model that the node is in, where the place is in the spec that it was built from."""
    built = is_model(finding.file) and finding.where is not None and finding.where.file != finding.file
    return f" of {clean(finding.file)}" if built else ""


def _number(value: float | str) -> str:
    return (
        f"{value:,}".replace(",", " ")
        if isinstance(value, int)
        else f"{value:.6g}"
        if isinstance(value, float)
        else value
    )


def _painted(text: str, style: str, colour: bool) -> str:
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if colour else text
