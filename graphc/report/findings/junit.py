"""Findings as JUnit's XML: a suite per file, a failed case per error or warning, a passed one for a clean file.

It is ASCII, and holds no character that XML 1.0 forbids.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Sequence

from graphc.errors import clean
from graphc.linting.finding import Finding
from graphc.linting.report import LintReport
from graphc.report.findings.places import path_of, shown, shown_source
from graphc.report.findings.text import OLD_COMMAND, block

FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
VERB = "graphc lint"  # stands for the case of a clean file, and for the suite of what is about no file


def document(report: LintReport) -> str:
    """The whole report."""
    root = ET.Element("testsuites", name=VERB, time=f"{report.seconds:.3f}")
    for source, findings in report.by_file.items():
        root.append(_suite(_attribute(shown_source(source)) or VERB, findings))
    _count(root, root.iter("testcase"))
    ET.indent(root)
    text = ET.tostring(root, encoding="us-ascii", xml_declaration=True).decode("ascii")
    return text.replace(OLD_COMMAND, "&#35;#[") + "\n"


def _suite(name: str, findings: Sequence[Finding]) -> ET.Element:
    suite = ET.Element("testsuite", name=name)
    seen: Counter[str] = Counter()
    for finding in findings:
        case = _named(finding)
        seen[case] += 1
        suite.append(_case(name, case if seen[case] == 1 else f"{case} ({seen[case]})", finding))
    if not findings:
        ET.SubElement(suite, "testcase", classname=name, name=VERB)
    _count(suite, suite)
    return suite


def _case(suite: str, name: str, finding: Finding) -> ET.Element:
    case = ET.Element("testcase", classname=suite, name=name)
    if path_of(finding):
        case.set("file", _attribute(shown(path_of(finding))))
    if finding.where and finding.where.line:
        case.set("line", str(finding.where.line))
    text = FORBIDDEN.sub("\ufffd", block(finding))
    if finding.severity == "info":  # worth knowing, and no failure
        ET.SubElement(case, "system-out").text = text
    else:
        kind = f"{finding.severity}: {_attribute(finding.lint)}"
        ET.SubElement(case, "failure", type=kind, message=_attribute(finding.message)).text = text
    return case


def _named(finding: Finding) -> str:
    """The lint, and where it looked: the line of the spec, or the node."""
    where = finding.where
    if where and where.line:
        return _attribute(f"{finding.lint} at {shown(where.file)}:{where.line}:{where.column}")
    return _attribute(f"{finding.lint} at {finding.node}" if finding.node else finding.lint)


def _count(element: ET.Element, cases: Iterable[ET.Element]) -> None:
    found = list(cases)
    element.set("tests", str(len(found)))
    element.set("failures", str(sum(case.find("failure") is not None for case in found)))
    element.set("errors", "0")


def _attribute(text: str) -> str:
    return FORBIDDEN.sub("\ufffd", clean(text))
