"""Every output format of a lint run, read back by a parser of its own, and names that would like to be markup."""

from __future__ import annotations

import html
import json
import re
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphc import Case, CaseBuilder, findings
from graphc.errors import Note, Where, clean
from graphc.linting.finding import Edit, Finding, Fix, Severity
from graphc.linting.report import LintReport
from graphc.model import save
from graphc.report.findings.rendering import FORMATS, render, statistics

SCHEMA = json.loads((Path(__file__).parent / "fixtures" / "sarif-schema-2.1.0.json").read_text("utf-8"))
SARIF = jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER)
over_formats = pytest.mark.parametrize("format", FORMATS)

HOSTILE = (
    "</script><script>alert(1)</script>",
    "x\n::error::y",
    "\r\n::set-output name=a::b",
    "%0A::warning::z %25",
    "::add-mask::secret",
    "##[stop-commands]now",
    "\x1b[31mred\x1b[0m\x9b1m",
    "\u202egnp.exe\u2066\u200b",
    "half \ud800 of a pair",
    "a|b\\|c\\",
    "`code` **bold** _it_ @team #1 ![x](http://evil.example) <img src=x onerror=alert(1)>",
    "\"quotes\" and 'quotes' & &amp; &#64;",
    "{0} {x} [click](http://evil.example)",
    "]]> <![CDATA[ -->",
    "\x00\x08\ufffe\uffff",
    "title=a,file=b:c",
    "👩\u200d🚀 été \u2028next",
)

BROKEN = """\
graphc: 1
name: broken
inputs: {x: "f32[1, 3, 8, 8]"}
outputs: [y]
nodes:
  - {id: y, leeky_relu: 0.2}
"""
CLEAN = """\
graphc: 1
name: clean
dims: {N: {min: 1, opt: 1, max: 8}}
inputs: {x: "f32[N, 3, 8, 8]"}
outputs: [y]
nodes:
  - {id: y, relu: {}}
"""
WITH_FINDING = """\
graphc: 1
name: up
dims: {N: {min: 1, opt: 1, max: 8}}
inputs: {x: "f32[N, 16, 8, 8]"}
outputs: [y]
nodes:
  - {id: y, conv_transpose: {out: 16, k: 3, stride: 2}}
"""


def two_defects(g: CaseBuilder) -> object:
    up = g.ConvTranspose(g.input(1, 4, 8, 8), g.weight(4, 4, 3, 3), g.weight(4), strides=(2, 2))
    return g.InstanceNormalization(up, g.weight(4), g.weight(4))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that is worked in."""
    repository = tmp_path / "home-of-kim" / "repository"
    (repository / "with space,comma").mkdir(parents=True)
    monkeypatch.chdir(repository)
    for name in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)
    return repository


@pytest.fixture
def report(folder: Path) -> LintReport:
    """A run over five files, in the order of their names, one of which is clean."""
    Path("broken.yaml").write_text(BROKEN)
    Path("clean.yaml").write_text(CLEAN)
    Path("garbage.onnx").write_bytes(b"no model at all")
    model = Case("two defects", two_defects).model()
    for number, node in enumerate(model.graph):
        node.name = f"x\n::error::y|</script>%0A {number}"
    save(model, "net.onnx")
    Path("with space,comma/a:b%41.yaml").write_text(WITH_FINDING)
    files = ("broken.yaml", "clean.yaml", "garbage.onnx", "net.onnx", "with space,comma/a:b%41.yaml")
    found = tuple(finding for file in files for finding in findings(file))
    assert {finding.file for finding in found} == {*files} - {"clean.yaml"}, "\n".join(map(str, found))
    return LintReport(found, files, suppressed=5, baselined=2, seconds=0.25)


def of(*found: Finding, files: Sequence[str] = ()) -> LintReport:
    return LintReport(found, tuple(files) or tuple(dict.fromkeys(each.file for each in found)))


def hostile(text: str, severity: Severity = "error") -> Finding:
    """A finding all of whose texts are this one."""
    return Finding(
        "convolution/checkerboard",
        severity,
        text,
        node=text,
        help=text,
        where=Where("net.yaml", 1, 3, text),
        measured=text,
        limit=3,
        fix=Fix(text, edits=(Edit("net.yaml", 1, 1, 3, "ab", text),)),
        notes=(Note(text, Where("net.yaml", 2, 1, text)), Note(text)),
        content=text,
        file="net.yaml",
    )


# ---------------------------------------------------------------- the report


def test_report_counts() -> None:
    found = [Finding("a/b", severity, "m", file="net.yaml@x4") for severity in ("info", "warning", "warning")]
    report = LintReport((*found, replace(found[0], fix=Fix("mend", safe=False))), ("clean.onnx", "net.yaml"))
    assert report.counts == {"error": 0, "warning": 2, "info": 2}
    assert report.worst == "warning"
    assert [report.fails(bound) for bound in ("error", "warning", "info", "never")] == [False, True, True, False]
    assert (report.fixable, report.unsafely_fixable) == (0, 1)
    assert {file: len(each) for file, each in report.by_file.items()} == {"clean.onnx": 0, "net.yaml": 4}


def test_nothing_found() -> None:
    report = LintReport((), ("a.yaml", "b.onnx"))
    assert report.worst is None
    assert not report.fails("info")
    assert render(report, "full") == "nothing found in 2 files"
    assert render(report, "concise") == render(report, "github") == ""
    assert json.loads(render(report, "json"))["findings"] == json.loads(render(report, "gitlab")) == []
    assert statistics(report) == "nothing found in 2 files"


# ---------------------------------------------------------------- for people


def test_full_tells_all_that_is_known() -> None:
    where = Where("can.yaml", 20, 9, "      - leeky_relu: 0.2")
    notes = (Note("in block 'layer'", Where("can.yaml", 3, 5)),)
    first = Finding("spec/x", "error", "it is", "a/b", "do this", where, 5, 3.5, Fix("mend it"), notes, file="can.yaml")
    second = Finding("graph/y", "warning", "it is, too", "c", fix=Fix("mend", safe=False), file="net.onnx")
    report = LintReport((first, second), ("can.yaml", "clean.yaml", "net.onnx"), suppressed=5, baselined=2)
    assert render(report, "full") == "\n".join(
        [
            "can.yaml:20:9: error: spec/x: it is [*]",
            "  help: do this",
            "    20 |       - leeky_relu: 0.2",
            "       |         ^",
            "  node: a/b",
            "  measured 5, limit 3.5",
            "  fix: mend it",
            "  note: in block 'layer' at can.yaml:3:5",
            "",
            "net.onnx: warning: graph/y: it is, too",
            "  node: c",
            "  unsafe fix: mend",
            "",
            "1 error, 1 warning in 2 of 3 files (5 suppressed, 2 known)",
            "[*] 1 fixable with --fix, 1 more with --unsafe-fixes",
        ]
    )


def test_file_without_a_line_has_no_snippet() -> None:
    finding = Finding(
        "cost/over-budget", "error", "too much", where=Where("net.yaml", text="budget macs"), file="net.yaml"
    )
    assert render(of(finding), "full").splitlines()[:2] == ["net.yaml: error: cost/over-budget: too much", ""]


def test_concise_is_a_line_each(report: LintReport) -> None:
    lines = render(report, "concise").splitlines()
    assert len(lines) == len(report.findings)
    for line, finding in zip(lines, report.findings, strict=True):
        assert f"{finding.severity}: {finding.lint}: {clean(finding.message)}" in line


@pytest.mark.parametrize("format", ["full", "concise"])
def test_colours_are_all_that_colour_adds(format: str, report: LintReport) -> None:
    plain, coloured = render(report, format), render(report, format, colour=True)
    assert "\x1b" not in plain
    assert "\x1b[1;31m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_statistics_count_by_lint() -> None:
    fix = Fix("mend it")
    found = [
        Finding("a/often", "info", "m", fix=fix),
        Finding("a/once", "error", "m"),
        Finding("a/often", "warning", "m"),
    ]
    lines = [line.split() for line in statistics(of(*found)).splitlines()]
    assert lines == [
        ["lint", "count", "severity", "fixable"],
        ["a/often", "2", "warning", "1"],
        ["a/once", "1", "error"],
    ]


# ---------------------------------------------------------------- for programs


def test_json_is_one_document(report: LintReport) -> None:
    read = json.loads(render(report, "json"))
    assert read["schema"] == 1
    assert read["files"] == list(report.files)
    assert [(each["name"], each["message"], each["node"] or "") for each in read["findings"]] == [
        (each.lint, each.message, each.node) for each in report.findings
    ]
    assert [each["fingerprint"] for each in read["findings"]] == [each.fingerprint for each in report.findings]
    assert read["summary"] == {
        **report.counts,
        "files": 5,
        "suppressed": 5,
        "baselined": 2,
        "fixable": report.fixable,
        "unsafely_fixable": report.unsafely_fixable,
        "seconds": 0.25,
    }


def test_json_of_one_finding() -> None:
    where, note = Where("b.yaml", 3, 7, "text"), Note("in", Where("c.yaml", 1, 2))
    finding = Finding(
        "a/b", "info", "m", "n", "h", where, float("inf"), 3, Fix("f", safe=False), (note,), file="net.yaml@x"
    )
    assert json.loads(render(of(finding), "json"))["findings"] == [
        {
            "name": "a/b",
            "severity": "info",
            "message": "m",
            "help": "h",
            "source": "net.yaml@x",
            "file": "b.yaml",
            "line": 3,
            "column": 7,
            "node": "n",
            "measured": "inf",
            "limit": 3,
            "fix": {"kind": "unsafe", "what": "f"},
            "fingerprint": finding.fingerprint,
            "notes": [{"message": "in", "file": "c.yaml", "line": 1, "column": 2}],
        }
    ]


def commands(text: str) -> list[tuple[str, Mapping[str, str], str]]:
    """Workflow commands as GitHub's runner reads them: the name, the properties, the message."""
    found = []
    for line in text.splitlines():
        assert line.startswith("::")
        head, _, message = line[2:].partition("::")
        name, _, rest = head.partition(" ")
        properties = dict(pair.split("=", 1) for pair in rest.split(","))
        for escaped, character in {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}.items():
            properties = {key: value.replace(escaped, character) for key, value in properties.items()}
            message = message.replace(escaped, character) if character in "\r\n%" else message
        found.append((name, properties, message))
    return found


def test_github_reads_every_finding_at_its_place(report: LintReport) -> None:
    read = commands(render(report, "github"))
    assert len(read) == len(report.findings)
    for (level, properties, message), finding in zip(read, report.findings, strict=True):
        assert level == {"error": "error", "warning": "warning", "info": "notice"}[finding.severity]
        assert properties["title"] == finding.lint
        assert clean(finding.message) in message
        assert clean(finding.node) in message
        assert Path(properties["file"]).is_file()
        assert properties["file"] == finding.file
        if finding.where:
            assert 1 <= int(properties["line"]) <= len(Path(properties["file"]).read_text().splitlines())
            assert int(properties["col"]) == finding.where.column


def test_github_is_told_no_file_that_it_cannot_show(folder: Path) -> None:
    (folder.parent / "outside.yaml").write_text(BROKEN)
    found = [Finding("a/b", "error", "m", file=file) for file in ("missing.yaml", "../outside.yaml")]
    assert [properties for _, properties, _ in commands(render(of(*found), "github"))] == [{"title": "a/b"}] * 2


@pytest.mark.parametrize("variable", ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"])
def test_places_are_those_of_the_checkout(variable: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, str(folder))
    monkeypatch.chdir("with space,comma")
    Path("net.yaml").write_text(CLEAN)
    report = of(Finding("a/b", "error", "m", file="net.yaml"))
    assert commands(render(report, "github"))[0][1]["file"] == "with space,comma/net.yaml"
    assert json.loads(render(report, "gitlab"))[0]["location"]["path"] == "with space,comma/net.yaml"
    monkeypatch.setenv(variable, "/nowhere")
    assert commands(render(report, "github"))[0][1]["file"] == "net.yaml"


def test_gitlab_has_what_it_demands(report: LintReport) -> None:
    read = json.loads(render(report, "gitlab"))
    assert [each["check_name"] for each in read] == [each.lint for each in report.findings]
    assert {each["severity"] for each in read} <= {"info", "minor", "major", "critical", "blocker"}
    assert all(Path(each["location"]["path"]).is_file() for each in read)
    assert all(each["location"]["lines"]["begin"] >= 1 for each in read)
    assert all(
        clean(finding.message) in each["description"] for each, finding in zip(read, report.findings, strict=True)
    )


def test_gitlab_fingerprints_are_unique_and_stay() -> None:
    one = Finding("a/b", "error", "m", "n", file="net.yaml")
    found = [one, one, replace(one, message="another", where=Where("net.yaml", 3)), replace(one, file="b.yaml"), one]
    prints = [each["fingerprint"] for each in json.loads(render(of(*found), "gitlab"))]
    assert len(set(prints)) == len(prints)
    moved = [replace(one, where=Where("net.yaml", 9, 9))]
    assert json.loads(render(of(*moved), "gitlab"))[0]["fingerprint"] == prints[0]


def test_junit_has_a_suite_per_file_and_a_case_per_finding(report: LintReport) -> None:
    root = ET.fromstring(render(report, "junit"))
    assert [suite.get("name") for suite in root] == list(report.files)
    for suite, found in zip(root, report.by_file.values(), strict=True):
        cases = list(suite)
        names = [case.get("name") for case in cases]
        assert len(set(names)) == len(names) == int(suite.get("tests", "")) == max(len(found), 1)
        failures = [case.find("failure") for case in cases if case.find("failure") is not None]
        told = [each for each in found if each.severity != "info"]
        assert len(failures) == len(told) == int(suite.get("failures", ""))
        assert [each.get("message") for each in failures if each is not None] == [clean(each.message) for each in told]
        assert [case.get("file") for case in cases] == [each.file for each in found] or [None]
    assert root.get("tests") == str(len(report.findings) + 1)


def test_markdown_is_a_table_with_a_row_each(report: LintReport) -> None:
    lines = render(report, "markdown").splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| ") and "where" not in line]
    assert len(rows) == len(report.findings)
    for row, finding in zip(rows, report.findings, strict=True):
        assert len(row) == 4
        assert finding.severity in row[0]
        assert html.unescape(row[2]) == f"<code>{finding.lint}</code>"
        assert html.unescape(row[3]).startswith(f"<code>{clean(finding.message)}</code>")


def test_markdown_fits_a_comment() -> None:
    report = of(*[Finding("a/b", "error", "m" * 100, str(number), file="net.onnx") for number in range(2000)])
    text = render(report, "markdown")
    shown = text.count("\n| ❌")
    assert len(text) < 65_536
    assert f"{2000 - shown} more findings not shown" in text


# ---------------------------------------------------------------- SARIF


def run_of(report: LintReport) -> Any:
    log = json.loads(render(report, "sarif"))
    SARIF.validate(log)
    (run,) = log["runs"]
    return run


def location(result: Any) -> tuple[str, str]:
    (found,) = result["locations"]
    place = found["physicalLocation"]["artifactLocation"]
    return place["uriBaseId"], unquote(place["uri"])


def test_the_schema_is_complete() -> None:
    jsonschema.Draft4Validator.check_schema(SCHEMA)
    assert SCHEMA["definitions"].keys() >= {"result", "region", "fix", "webResponse"}
    with pytest.raises(jsonschema.ValidationError):
        SARIF.validate({"version": "2.1.0", "runs": [{"results": []}]})


def test_sarif_of_five_files_is_valid_and_tells_all(report: LintReport, tmp_path: Path) -> None:
    run = run_of(report)
    rules = run["tool"]["driver"]["rules"]
    assert len(run["results"]) == len(report.findings)
    for result, finding in zip(run["results"], report.findings, strict=True):
        assert result["ruleId"] == rules[result["ruleIndex"]]["id"] == finding.lint
        assert result["level"] == {"error": "error", "warning": "warning", "info": "note"}[finding.severity]
        assert result["partialFingerprints"] == {"graphc/v1": finding.fingerprint}
        assert location(result) == ("%SRCROOT%", finding.file)
        logical = result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]
        assert logical == clean(finding.node or finding.file)
        region = result["locations"][0]["physicalLocation"].get("region")
        where = finding.where
        assert region == ({"startLine": where.line, "startColumn": where.column} if where and where.line else None)
    artifacts = [unquote(each["location"]["uri"]) for each in run["artifacts"]]
    assert artifacts == list(report.files)
    assert "home-of-kim" not in json.dumps(run)
    assert "uri" not in run["originalUriBaseIds"]["%SRCROOT%"]


def test_sarif_rules_have_their_page(report: LintReport) -> None:
    rules = {rule["id"]: rule for rule in run_of(report)["tool"]["driver"]["rules"]}
    assert rules.keys() == {finding.lint for finding in report.findings}
    page = rules["convolution/checkerboard"]
    assert page["defaultConfiguration"] == {"level": "warning"}
    assert "taps" in page["shortDescription"]["text"]
    assert "**Why:** where the stride does not divide" in page["help"]["markdown"]
    assert "make the kernel a multiple of the stride" in page["help"]["text"]
    assert all("helpUri" not in rule for rule in rules.values())


def test_sarif_says_of_files_outside_only_the_name(folder: Path) -> None:
    outside = folder.parent / "net.yaml"
    outside.write_text(WITH_FINDING)
    found = [
        Finding("a/b", "error", "m", file=file) for file in (str(outside), "../net.yaml@x4", str(folder / "in.yaml"))
    ]
    run = run_of(of(*found))
    assert [location(result) for result in run["results"]] == [
        ("OUTSIDE", "net.yaml"),
        ("OUTSIDE", "net.yaml"),
        ("%SRCROOT%", "in.yaml"),
    ]
    assert "home-of-kim" not in json.dumps(run)


def test_sarif_points_at_notes_and_keeps_numbers() -> None:
    notes = (Note("in block 'a'", Where("a.yaml", 3, 5)), Note("nowhere"))
    (result,) = run_of(of(Finding("a/b", "error", "m", measured=5, limit=2.5, notes=notes, file="n.yaml")))["results"]
    (related,) = result["relatedLocations"]
    assert related["physicalLocation"]["region"] == {"startLine": 3, "startColumn": 5}
    assert related["message"]["text"] == "in block 'a'"
    assert result["properties"] == {"measured": 5, "limit": 2.5}


def replaced(text: str, region: Mapping[str, int], new: str) -> str:
    """A text with a SARIF region of it replaced; columns count characters."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    start = starts[region["startLine"] - 1] + region["startColumn"] - 1
    end = starts[region["endLine"] - 1] + region["endColumn"] - 1
    return text[:start] + new + text[end:]


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (Edit("n.yaml", 2, 4, 7, "\U0001f680 b", "c"), "one\n# ac d\nend\n"),
        (Edit("n.yaml", 2, 4, 9, "\U0001f680 b d", ""), "one\n# a\nend\n"),
        (Edit("n.yaml", 2, 1, 9, "# a\U0001f680 b d", ""), "one\nend\n"),
    ],
)
def test_sarif_fixes_make_their_edits(edit: Edit, expected: str) -> None:
    text = "one\n# a\U0001f680 b d\nend\n"
    finding = Finding("a/b", "error", "m", where=Where("n.yaml", 2, 1, text.splitlines()[1]), file="n.yaml")
    run = run_of(of(replace(finding, fix=Fix("mend it", edits=(edit,)))))
    assert run["columnKind"] == "unicodeCodePoints"
    (fix,) = run["results"][0]["fixes"]
    (change,) = fix["artifactChanges"]
    (replacement,) = change["replacements"]
    new = replacement.get("insertedContent", {}).get("text", "")
    assert replaced(text, replacement["deletedRegion"], new) == expected


def test_sarif_tells_of_faults_that_are_about_no_file() -> None:
    run = run_of(of(Finding("run/plugin-failed", "error", "it raised", help="report it"), files=("a.yaml",)))
    assert run["results"] == []
    (invocation,) = run["invocations"]
    assert not invocation["executionSuccessful"]
    (told,) = invocation["toolExecutionNotifications"]
    assert told["descriptor"]["id"] == "run/plugin-failed"
    assert told["message"]["text"] == "it raised\nreport it"


@over_formats
def test_finding_about_no_file_is_told(format: str) -> None:
    report = of(Finding("run/plugin-failed", "error", "it raised"), files=("a.yaml",))
    assert "it raised" in render(report, format)


# ---------------------------------------------------------------- names from untrusted files


@over_formats
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_name_is_harmless(format: str, text: str) -> None:
    found = [
        hostile(text),
        replace(hostile(text), where=None, file=text),
        replace(hostile(text, "info"), lint=f"a/{text}"),
    ]
    shown = render(of(*found), format)
    shown.encode("utf-8")  # no half of a surrogate pair
    loose = {c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")} - {"\n"}
    assert not loose
    lines = shown.splitlines()
    if format == "github":
        assert len(lines) == len(found)
        assert all(line.startswith(("::error ", "::notice ")) for line in lines)
    else:
        assert not any(line.lstrip().startswith("::") for line in lines)
        assert "##[" not in shown
    if format not in ("github", "full", "concise"):
        assert "</script" not in shown
        assert "<img" not in shown


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_name_arrives_as_it_is_shown(text: str) -> None:
    report = of(replace(hostile(text), file="net.yaml"))
    ((_, properties, message),) = commands(render(report, "github"))
    assert properties == {"title": "convolution/checkerboard"}
    assert message == f"net.yaml:1:3: {clean(text)} (at {clean(text)})\nhelp: {clean(text)}"
    (entry,) = json.loads(render(report, "gitlab"))
    assert entry["description"] == f"{clean(text)} (at {clean(text)})"
    (case,) = ET.fromstring(render(report, "junit")).iter("testcase")
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == re.sub("[\ufffe\uffff]", "\ufffd", clean(text))
    (finding,) = json.loads(render(report, "json"))["findings"]
    assert finding["message"] == finding["node"] == text.replace("\ud800", "\ufffd")
    (row,) = [line for line in render(report, "markdown").splitlines() if "net&#46;yaml" in line]
    cells = re.split(r" ?\| ?", row)[1:-1]
    characters = re.sub("[\ufffe\uffff]", "", clean(text))  # these two are none to HTML
    assert html.unescape(cells[3]) == f"<code>{characters}</code><br><code>{characters}</code>"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_name_in_sarif_is_no_placeholder_and_no_link(text: str) -> None:
    run = run_of(of(hostile(text)))
    told = run["results"][0]["message"]["text"]
    assert told.replace("{{", "{").replace("}}", "}").replace("] (", "](") == f"{clean(text)}\n{clean(text)}"
    assert "](" not in told
    assert not re.search(r"(?<!\{)\{(\{\{)*(?!\{)", told), "every brace is doubled"


@given(st.text(max_size=40), st.text(max_size=40))
@settings(max_examples=100, deadline=None)
def test_any_text_survives_every_format(message: str, node: str) -> None:
    finding = Finding("a/b", "warning", message, node, file="net.onnx", where=Where("net.yaml", 2, 1, message))
    report = of(finding, replace(finding, file=node, where=None, lint=message))
    run_of(report)
    assert len(commands(render(report, "github"))) == 2
    assert len(list(ET.fromstring(render(report, "junit")).iter("testcase"))) >= 1
    assert [each["severity"] for each in json.loads(render(report, "gitlab"))] == ["minor", "minor"]
    assert len(json.loads(render(report, "json"))["findings"]) == 2
    assert len(render(report, "concise").splitlines()) == 2
    assert render(report, "markdown").count("| ⚠️ warning |") == 2
