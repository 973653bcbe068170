"""`graphc lint --fix`, and what it must leave alone: lines, files, and what nobody asked to change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from graphc import files
from graphc.cli import app
from graphc.errors import GraphcError
from graphc.linting import mending, run
from graphc.linting.finding import Edit
from graphc.spec import document

SPEC = """\
# of line 1
graphc: 1
inputs: {x: "f32[1, 4, 8, 8]"}
outputs: [y]
nodes:
  - {id: up, conv_transpose: {out: 4, k: 3, stride: 2}}  # graphc: ignore[convolution/checkerboard] as in the paper
  - {id: y, relu: {}}
"""
ENDS = pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029"], ids=ascii)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lint(*arguments: str) -> Any:
    """The command's result: exit_code, stdout, stderr."""
    return CliRunner().invoke(app, ["lint", *arguments])


def told(*arguments: str) -> list[dict[str, Any]]:
    """The findings as JSON."""
    found: list[dict[str, Any]] = json.loads(lint(*arguments, "--output-format", "json").stdout)["findings"]
    return found


# ---------------------------------------------------------------- lines


@ENDS
@pytest.mark.parametrize("mark", ["", files.MARK], ids=["plain", "marked"])
def test_suppressions_stand_on_the_lines_of_findings(here: Path, end: str, mark: str) -> None:
    text = mark + SPEC.replace("\n", end)
    (here / "net.yaml").write_text(text, encoding="utf-8", newline="")
    assert told("net.yaml") == []
    (here / "net.yaml").write_text(text.replace("k: 3", "k: 4"), encoding="utf-8", newline="")
    (only,) = told("net.yaml")
    assert (only["name"], only["line"]) == ("run/unused-suppression", 6)


@ENDS
def test_a_fix_changes_its_line_and_no_end_of_another(here: Path, end: str) -> None:
    text = files.MARK + SPEC.replace("k: 3", "k: 4").replace("\n", end)
    (here / "net.yaml").write_text(text, encoding="utf-8", newline="")
    assert "fixed 1 finding" in lint("net.yaml", "--fix").stderr
    after = (here / "net.yaml").read_bytes().decode()
    assert after == text.replace("  # graphc: ignore[convolution/checkerboard] as in the paper", "")


@ENDS
def test_an_edit_takes_a_line_away_with_its_end(end: str) -> None:
    text = end.join(["a", "b", "c"])
    assert mending.edited(text, [Edit("f", 2, 1, 2, "b")]) == (f"a{end}c", 1)


@ENDS
def test_an_error_shows_the_line_that_it_names(end: str) -> None:
    with pytest.raises(GraphcError) as caught:
        document.parse(end.join(["a: 1", "b: 2", "b: 3"]), "net.yaml")
    assert caught.value.where is not None
    assert (caught.value.where.line, caught.value.where.text) == (3, "b: 3")


@ENDS
def test_a_folder_knows_a_spec_by_its_first_key(here: Path, end: str) -> None:
    (here / "net.yaml").write_text(SPEC.replace("\n", end), encoding="utf-8", newline="")
    (here / "other.yaml").write_text(f"# graphc{end}" * 400 + "on: push", encoding="utf-8", newline="")
    assert list(run.collected(".")) == ["net.yaml"]


def test_a_file_is_replaced_whole_or_not_at_all(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "f").write_text("old")
    (here / "f").chmod(0o640)
    files.overwrite(here / "f", "new\r\n")
    assert ((here / "f").read_bytes(), (here / "f").stat().st_mode & 0o777) == (b"new\r\n", 0o640)

    def full(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(OSError, match="no space"):
        files.overwrite(here / "f", "newer")
    assert [path.name for path in here.iterdir()] == ["f"]
    assert (here / "f").read_bytes() == b"new\r\n"
