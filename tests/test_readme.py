"""The README tells no tales: its spec builds, its commands print what it shows, its Python runs.

python tests/test_readme.py      shows what the commands print now, after that changed
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
# What depends on the machine: durations, rounding errors, and the share of the tolerance that they use.
VARYING = re.compile(r"\d+(?:\.\d+)? m?s\b|\d\.\d+e[-+]\d+|(?<![+−.\d])\d+ %")
CONSOLE = re.compile(r"^\$ (graphc .+)\n((?:(?!\$ |```).*\n)*)", re.MULTILINE)
MORE = "...\n"  # the command prints more than is shown


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def write_specs(directory: Path) -> None:
    """tiny.yaml, and typo.yaml with a mistake in it."""
    (spec,) = blocks("yaml")
    before, line, after = spec.partition("  - conv: {out: =width, k: 5, norm: batch_norm, act: relu}\n")
    (directory / "tiny.yaml").write_text(spec)
    (directory / "typo.yaml").write_text(before + line.replace("relu", "rellu") + after)


def printed_by(command: str, directory: Path) -> str:
    """What a command prints there; raises AssertionError unless it succeeds, or finds what it is to find."""
    program, *arguments = shlex.split(command)
    run = subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == (1 if "typo" in command or "--budget" in command else 0), run.stderr
    return run.stdout or run.stderr


def shortened(printed: str, shown: str) -> str:
    """As much of it as is shown."""
    if not shown.endswith(MORE):
        return printed
    lines = printed.splitlines(keepends=True)[: shown.count("\n") - 1]
    return "".join([*lines, MORE])


def comparable(text: str) -> str:
    """Without what varies; columns that line up differently are the same."""
    return "\n".join(" ".join(VARYING.sub("~", line).split()) for line in text.splitlines())


def kept(printed: str, shown: str) -> str:
    """What is shown, unless more of it changed than what varies: a new timing is no news."""
    return shown if comparable(printed) == comparable(shown) else printed


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("readme")
    write_specs(found)
    for command in ("graphc build tiny.yaml", 'graphc build tiny.yaml -p "" -o raw.onnx'):
        printed_by(command, found)  # a later command reads what this one wrote
    return found


@pytest.mark.parametrize(("command", "shown"), CONSOLE.findall(README))
def test_command_prints_what_is_shown(command: str, shown: str, directory: Path) -> None:
    printed = shortened(printed_by(command, directory), shown)
    assert comparable(printed) == comparable(shown), "run python tests/test_readme.py"


def test_tour_runs(directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tour,) = blocks("python")
    assert len(tour.splitlines()) < 40
    monkeypatch.chdir(directory)
    exec(compile(tour, "README.md", "exec"), {"__name__": "tour"})
    printed = capsys.readouterr().out
    assert re.search(r"^replace-relu-with-max [1-9]", printed, re.MULTILINE)
    assert (directory / "tour.onnx").exists()


def test_links_lead_somewhere() -> None:
    targets = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert targets
    assert [link for link in targets if not (ROOT / link).exists()] == []


def test_the_commands_are_on_the_path_before_the_first_is_shown() -> None:
    before = README.partition("```console")[0]
    assert before.index("    make demo") < before.index("    . .venv/bin/activate\n")
    assert ". .venv/bin/activate" in (ROOT / "Makefile").read_text("utf-8")


def test_a_refresh_keeps_what_only_took_another_time() -> None:
    shown = "fold  5  −5  6.2 ms\n"
    assert kept("fold  5  −5  17.3 ms\n", shown) == shown
    assert kept("fold  4  −5  6.2 ms\n", shown) == "fold  4  −5  6.2 ms\n"


def refreshed() -> str:
    """The README with what its commands print now."""
    with tempfile.TemporaryDirectory() as directory:
        write_specs(Path(directory))
        return CONSOLE.sub(lambda run: f"$ {run[1]}\n{_shown_now(run[1], run[2], Path(directory))}", README)


def _shown_now(command: str, shown: str, directory: Path) -> str:
    return kept(shortened(printed_by(command, directory), shown), shown)


if __name__ == "__main__":
    (ROOT / "README.md").write_text(refreshed(), "utf-8")
