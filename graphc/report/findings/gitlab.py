"""Findings as GitLab's Code Quality report, a subset of Code Climate's format."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

from graphc.errors import clean
from graphc.linting.finding import FINGERPRINT, Finding
from graphc.linting.report import LintReport
from graphc.report.findings.json_report import dumped
from graphc.report.findings.places import path_of, shown

SEVERITIES = {"error": "major", "warning": "minor", "info": "info"}


def document(report: LintReport) -> str:
    """A JSON list. GitLab takes two entries of one fingerprint for one finding, so the next of its kind is numbered."""
    seen: Counter[tuple[str, str]] = Counter()
    entries = []
    for finding in report.findings:
        key = shown(path_of(finding)), finding.fingerprint
        entries.append(_entry(finding, _fingerprint(*key, seen[key])))
        seen[key] += 1
    return dumped(entries)


def _entry(finding: Finding, fingerprint: str) -> dict[str, Any]:
    """A finding without a line stands at the first: GitLab demands one."""
    node = f" (at {finding.node})" if finding.node else ""
    line = finding.where.line if finding.where else 0
    return {
        "description": clean(f"{finding.message}{node}"),
        "check_name": clean(finding.lint),
        "fingerprint": fingerprint,
        "severity": SEVERITIES[finding.severity],
        "location": {"path": clean(shown(path_of(finding)) or "."), "lines": {"begin": max(line, 1)}},
    }


def _fingerprint(path: str, fingerprint: str, index: int) -> str:
    text = f"{path}\0{fingerprint}\0{index}"
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[: 2 * FINGERPRINT]
