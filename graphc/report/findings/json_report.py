"""Findings for programs: one JSON document for all files.

It is ASCII, and nothing in it can end a script element of a page or be a command to a CI system's log. Texts are as
they are, but for halves of surrogate pairs, which JSON readers reject.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from graphc.errors import Note
from graphc.linting.finding import Finding, Fix, Measure
from graphc.linting.report import LintReport
from graphc.report.findings.places import path_of

SCHEMA = 1
SURROGATE = re.compile("[\ud800-\udfff]")
ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "##[": "\\u0023#["}  # they only stand in strings


def document(report: LintReport) -> str:
    """The whole report."""
    return dumped(
        {
            "schema": SCHEMA,
            "files": [file for file in report.by_file if file],
            "findings": [_finding(each) for each in report.findings],
            "summary": {
                **report.counts,
                "files": sum(1 for file in report.by_file if file),
                "suppressed": report.suppressed,
                "baselined": report.baselined,
                "fixable": report.fixable,
                "unsafely_fixable": report.unsafely_fixable,
                "seconds": round(report.seconds, 3),
            },
        }
    )


def dumped(value: Any) -> str:
    """A JSON value as harmless text."""
    text = json.dumps(_well_formed(value), indent=2, allow_nan=False)
    for hostile, escaped in ESCAPES.items():
        text = text.replace(hostile, escaped)
    return text


def _finding(finding: Finding) -> dict[str, Any]:
    """`null` is what is not known."""
    where = finding.where
    return {
        "name": finding.lint,
        "severity": finding.severity,
        "message": finding.message,
        "help": finding.help,
        "source": finding.file or None,
        "file": path_of(finding) or None,
        "line": (where.line or None) if where else None,
        "column": (where.column or None) if where else None,
        "node": finding.node or None,
        "measured": finite(finding.measured),
        "limit": finite(finding.limit),
        "fix": _fix(finding.fix),
        "fingerprint": finding.fingerprint,
        "notes": [_note(each) for each in finding.notes],
    }


def _fix(fix: Fix | None) -> dict[str, Any] | None:
    return {"kind": "safe" if fix.safe else "unsafe", "what": fix.what} if fix else None


def _note(note: Note) -> dict[str, Any]:
    where = note.where
    return {
        "message": note.message,
        "file": where.file if where else None,
        "line": (where.line or None) if where else None,
        "column": (where.column or None) if where else None,
    }


def finite(value: Measure | None) -> Measure | None:
    """JSON has no infinity and no NaN: they are texts."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _well_formed(value: Any) -> Any:
    if isinstance(value, str):
        return SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_well_formed(key): _well_formed(each) for key, each in value.items()}
    return [_well_formed(each) for each in value] if isinstance(value, list | tuple) else value
