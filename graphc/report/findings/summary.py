"""What a lint run comes to: the line at its end, and the table of its lints."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from graphc.linting.finding import SEVERITIES, Finding
from graphc.linting.report import LintReport
from graphc.report.page import Page
from graphc.report.quantity import plural
from graphc.report.table import table


def summary(report: LintReport) -> str:
    """`3 errors, 1 warning in 2 of 5 files (5 suppressed, 2 known)`."""
    counts = [_counted(count, severity) for severity, count in report.counts.items() if count]
    files = {file: findings for file, findings in report.by_file.items() if file}
    found = sum(1 for findings in files.values() if findings)
    total = plural(len(files), "file")
    where = f"{found} of {total}" if 0 < found < len(files) else total
    untold = {"suppressed": report.suppressed, "known": report.baselined}
    besides = ", ".join(f"{count} {what}" for what, count in untold.items() if count)
    return f"{', '.join(counts) or 'nothing found'} in {where}" + (f" ({besides})" if besides else "")


def fixable(report: LintReport) -> str:
    """`[*] 4 fixable with --fix, 1 more with --unsafe-fixes`; empty where there is no fix."""
    safe, unsafe = report.fixable, report.unsafely_fixable
    if safe and unsafe:
        return f"[*] {safe} fixable with --fix, {unsafe} more with --unsafe-fixes"
    if safe:
        return f"[*] {safe} fixable with --fix"
    return f"{unsafe} fixable with --unsafe-fixes" if unsafe else ""


def statistics(report: LintReport) -> Page:
    """How often each lint found something, how severe that is, and how much of it a safe fix removes."""
    by_lint: dict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        by_lint[finding.lint].append(finding)
    value = [_row(name, found) for name, found in sorted(by_lint.items(), key=lambda each: (-len(each[1]), each[0]))]
    rows = [(each["lint"], str(each["count"]), each["severity"], str(each["fixable"] or "")) for each in value]
    if not rows:
        return Page(summary(report), value)
    return Page(table([("lint", "count", "severity", "fixable"), *rows], "<><>"), value)


def _row(name: str, found: list[Finding]) -> dict[str, Any]:
    return {
        "lint": name,
        "count": len(found),
        "severity": min((each.severity for each in found), key=SEVERITIES.index),
        "fixable": sum(each.fix is not None and each.fix.safe for each in found),
    }


def _counted(count: int, severity: str) -> str:
    return f"{count} info" if severity == "info" else plural(count, severity)
