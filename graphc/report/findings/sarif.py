"""Findings as SARIF 2.1.0, for code scanning.

Places are relative to the repository (%SRCROOT%), whose own place is not told: it names who ran graphc. Of a file
outside of it only the name is. Columns count characters. In SARIF's messages braces are doubled, and `[text](target)`
would be a link.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from graphc.errors import Note, Where, clean
from graphc.linting.finding import Edit, Finding
from graphc.linting.report import LintReport, file_of
from graphc.report.findings.json_report import dumped, finite
from graphc.report.findings.places import from_root, path_of, shown_source
from graphc.report.findings.sarif_rules import message, rules

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {"error": "error", "warning": "warning", "info": "note"}
INSIDE, OUTSIDE = "%SRCROOT%", "OUTSIDE"
BASES = {
    INSIDE: {"description": message("The root of the repository.")},
    OUTSIDE: {"description": message("A folder outside of the repository.")},
}


def document(report: LintReport) -> str:
    """One run over all files."""
    names = sorted({clean(finding.lint) for finding in report.findings})
    index = {name: number for number, name in enumerate(names)}
    driver = {"name": "graphc", **_version(), "rules": rules(names, LEVELS)}
    run: dict[str, Any] = {
        "tool": {"driver": driver},
        "originalUriBaseIds": BASES,
        "artifacts": _unique({"location": _artifact(file_of(source))} for source in report.by_file if source),
        "columnKind": "unicodeCodePoints",
        "results": [_result(each, index) for each in report.findings if not _about_the_run(each)],
    }
    faults = [_notification(each) for each in report.findings if _about_the_run(each)]
    if faults:
        run["invocations"] = [{"executionSuccessful": False, "toolExecutionNotifications": faults}]
    return dumped({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _about_the_run(finding: Finding) -> bool:
    """Whether it is about graphc and no file. Code scanning refuses a whole document for a result without one."""
    return finding.lint.startswith("run/") and not path_of(finding)


def _notification(finding: Finding) -> dict[str, Any]:
    return {
        "descriptor": {"id": clean(finding.lint)},
        "level": LEVELS[finding.severity],
        "message": message(finding.message, finding.help),
    }


def _version() -> dict[str, str]:
    try:
        return {"version": version("graphc")}
    except PackageNotFoundError:
        return {}


def _result(finding: Finding, index: Mapping[str, int]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "ruleId": clean(finding.lint),
        "ruleIndex": index[clean(finding.lint)],
        "level": LEVELS[finding.severity],
        "message": message(finding.message, finding.help),
        "locations": [_location(finding)],
        "partialFingerprints": {"graphc/v1": finding.fingerprint},
    }
    related = _unique(_related(note, note.where) for note in finding.notes if note.where)
    if related:
        found["relatedLocations"] = related
    if finding.fix and finding.fix.edits:
        found["fixes"] = [{"description": message(finding.fix.what), "artifactChanges": _changes(finding)}]
    properties = {"measured": finite(finding.measured), "limit": finite(finding.limit)}
    known = {name: value for name, value in properties.items() if value is not None}
    return {**found, "properties": known} if known else found


def _unique(values: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The values without those that came before: the schema allows no two that are equal."""
    return list({repr(value): value for value in values}.values())


# ---------------------------------------------------------------- places


def _location(finding: Finding) -> dict[str, Any]:
    """Where it stands, and what it is about: the node, or else the whole of what was linted."""
    name = clean(finding.node or shown_source(finding.file))
    found: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": name}]}
    if path_of(finding):
        found["physicalLocation"] = _physical(path_of(finding), finding.where)
    return found


def _physical(path: str, where: Where | None) -> dict[str, Any]:
    found: dict[str, Any] = {"artifactLocation": _artifact(path)}
    if where and where.line:
        found["region"] = {"startLine": where.line, "startColumn": max(where.column, 1)}
    return found


def _related(note: Note, where: Where) -> dict[str, Any]:
    return {"physicalLocation": _physical(where.file, where), "message": message(note.message)}


def _artifact(path: str) -> dict[str, str]:
    inside = from_root(path)
    if inside is None:
        return {"uri": _uri(PurePath(path).name), "uriBaseId": OUTSIDE}
    return {"uri": _uri(inside), "uriBaseId": INSIDE}


def _uri(path: str) -> str:
    """A path as a relative URI, with the very bytes of its name."""
    try:
        return quote(os.fsencode(path))
    except UnicodeEncodeError:  # no file has this name
        return quote(path.encode("utf-8", "replace"))


# ---------------------------------------------------------------- fixes


def _changes(finding: Finding) -> list[dict[str, Any]]:
    """The edits of a fix, by file."""
    assert finding.fix is not None
    files: dict[str, list[Edit]] = {}
    for edit in finding.fix.edits:
        files.setdefault(edit.file, []).append(edit)
    return [
        {"artifactLocation": _artifact(file), "replacements": _replacements(edits, finding.where)}
        for file, edits in files.items()
    ]


def _replacements(edits: Iterable[Edit], where: Where | None) -> list[dict[str, Any]]:
    return [{"deletedRegion": _deleted(edit, where), **_inserted(edit)} for edit in edits]


def _deleted(edit: Edit, where: Where | None) -> dict[str, int]:
    """What an edit takes away: with a line that is empty afterwards, its end."""
    line = where.text if where and (where.file, where.line) == (edit.file, edit.line) else None
    if line is not None and not (line[: edit.start - 1] + edit.new + line[edit.end - 1 :]).strip():
        return {"startLine": edit.line, "startColumn": 1, "endLine": edit.line + 1, "endColumn": 1}
    return {"startLine": edit.line, "startColumn": edit.start, "endLine": edit.line, "endColumn": edit.end}


def _inserted(edit: Edit) -> dict[str, Any]:
    return {"insertedContent": {"text": edit.new}} if edit.new else {}
