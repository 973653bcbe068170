"""The example repository of `examples/ci` is linted as its README says, from a copy."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "ci"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE, tmp_path / "repository"))


def lint(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from graphc.cli import main; main()", "lint", "models", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_nothing_new_is_found(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "nothing found in 2 files (1 suppressed, 1 known)\n"


def test_what_is_known_is_found_without_the_baseline(copy: Path) -> None:
    (copy / "lint-baseline.json").write_text('{"graphc-baseline": 1, "findings": []}')
    done = lint(copy, "--output-format", "github")
    assert done.returncode == 1
    assert done.stdout.startswith("::warning file=models/legacy_upscaler.yaml,line=11,col=3,title=convolution/")


def test_baseline_is_what_the_command_writes(copy: Path) -> None:
    assert lint(copy, "--write-baseline").returncode == 0
    written, kept = ((folder / "lint-baseline.json").read_text() for folder in (copy, EXAMPLE))
    assert json.loads(written) == json.loads(kept)


@pytest.mark.parametrize(
    ("old", "new", "lint_name"),
    [
        ("- conv:", "- convv:", "spec/unknown-layer"),
        ("out: 32", "out: 320", "cost/over-budget"),
    ],
)
def test_a_change_for_the_worse_fails(copy: Path, old: str, new: str, lint_name: str) -> None:
    spec = copy / "models" / "upscaler.yaml"
    text = spec.read_text()
    assert old in text
    spec.write_text(text.replace(old, new))
    done = lint(copy, "--output-format", "github")
    assert done.returncode == 1
    assert lint_name in done.stdout


def test_a_harmless_change_passes(copy: Path) -> None:
    spec = copy / "models" / "upscaler.yaml"
    spec.write_text(f"# reviewed in spring\n{spec.read_text()}")
    assert lint(copy).returncode == 0
