"""The output formats of a lint run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from graphc.linting.report import LintReport
from graphc.report.findings import github, gitlab, json_report, junit, markdown, sarif, summary, text

FORMATS: Mapping[str, Callable[[LintReport], str]] = {
    "full": text.full,
    "concise": text.concise,
    "json": json_report.document,
    "github": github.commands,
    "gitlab": gitlab.document,
    "junit": junit.document,
    "sarif": sarif.document,
    "markdown": markdown.document,
}
COLOURED = {"full": text.full, "concise": text.concise}


def render(report: LintReport, format: str, *, colour: bool = False) -> str:
    """The report in one of `FORMATS`, one document for all files; `colour` is for the two that people read."""
    if colour and format in COLOURED:
        return COLOURED[format](report, colour=True)
    return FORMATS[format](report)


def statistics(report: LintReport) -> str:
    """How often each lint found something, instead of what."""
    return summary.statistics(report).text
