"""What continuous integration is offered: the hook, the action, and the example that uses them.

The scripts of the action are run as GitHub would, with a graphc that only notes what it is asked.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from graphc.cli import app
from graphc.report.findings.rendering import FORMATS

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "ci"
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
HOSTILE = ('$(touch owned)"; touch owned; #', "`touch owned`", "a b/*.yaml", "-o", "it's")


def read(path: Path) -> Any:
    return yaml.SafeLoader(path.read_text("utf-8")).get_single_data()


ACTION = read(ROOT / "action.yml")
STEPS = ACTION["runs"]["steps"]
SCRIPTS = {step["name"]: step for step in STEPS if "run" in step}
(HOOK,) = read(ROOT / ".pre-commit-hooks.yaml")
LINT = typer.main.get_group(app).get_command(None, "lint")  # type: ignore[arg-type]


def options() -> set[str]:
    """Every option that `graphc lint` takes."""
    assert LINT is not None
    return {name for parameter in LINT.params for name in parameter.opts}


def asked_for(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))


# ---------------------------------------------------------------- the hook


def test_hook_runs_the_verb() -> None:
    assert HOOK["id"] == "graphc-lint"
    assert HOOK["entry"] == "graphc lint"
    assert LINT is not None
    assert HOOK["language"] == "python"
    assert not HOOK["pass_filenames"], "not every YAML file is a spec; of those in a folder only specs are linted"


@pytest.mark.parametrize("name", ["net.yaml", "models/net.yml", "a/b.onnx", "pyproject.toml", "sub/graphc.toml"])
def test_hook_runs_when_this_changes(name: str) -> None:
    assert re.search(HOOK["files"], name)


@pytest.mark.parametrize("name", ["net.py", "onnx", "net.onnx.md", "Cargo.toml", "mygraphc.toml"])
def test_hook_does_not_run_for(name: str) -> None:
    assert not re.search(HOOK["files"], name)


# ---------------------------------------------------------------- the action


def test_action_is_composite_and_its_inputs_are_explained() -> None:
    assert ACTION["runs"]["using"] == "composite"
    assert all(each["description"] and isinstance(each["default"], str) for each in ACTION["inputs"].values())
    assert ACTION["inputs"]["output-format"]["default"] in FORMATS


def test_every_input_is_used_and_every_used_one_declared() -> None:
    used = set(re.findall(r"inputs\.([\w-]+)", str(STEPS)))
    assert used == set(ACTION["inputs"])


def test_outputs_of_steps_are_those_of_steps_that_are_there() -> None:
    steps = {step["id"] for step in STEPS if "id" in step}
    assert set(re.findall(r"steps\.([\w-]+)", str(STEPS))) <= steps


@pytest.mark.parametrize("name", SCRIPTS)
def test_nothing_is_written_into_a_script(name: str) -> None:
    step = SCRIPTS[name]
    assert step["shell"] == "bash"
    assert not EXPRESSION.search(step["run"])
    own = {*step.get("env", {}), "GRAPHC", "GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_ACTION_PATH", "RUNNER_TEMP"}
    assert set(re.findall(r"\$\{?([A-Z_]+)", step["run"])) <= own
    assert " -m " not in step["run"].replace(" -I -m ", ""), "the working directory is nobody's library"


def test_scripts_ask_for_what_lint_takes() -> None:
    assert asked_for(SCRIPTS["Lint"]["run"] + SCRIPTS["Write SARIF"]["run"]) <= options()


def ran(step: str, folder: Path, code: int = 0, **inputs: str) -> tuple[int, list[str], str]:
    """The exit code of a script of the action, what it asked graphc, and what it set."""
    asked = folder / "asked"
    graphc = folder / "graphc"
    graphc.write_text(f'#!/bin/sh\nfor each; do printf "%s\\0" "$each"; done > {asked}\nexit {code}\n')
    graphc.chmod(0o755)
    output = folder / "output"
    output.touch()
    given = {name: each["default"] for name, each in ACTION["inputs"].items()} | inputs
    environment = {
        name: EXPRESSION.sub(lambda found: given[found[1].strip().removeprefix("inputs.")], value)
        for name, value in SCRIPTS[step]["env"].items()
    }
    here = {"PATH": os.environ["PATH"], "GRAPHC": str(graphc), "GITHUB_OUTPUT": str(output)}
    done = subprocess.run(["bash", "-c", SCRIPTS[step]["run"]], cwd=folder, env={**here, **environment}, check=False)
    return done.returncode, asked.read_text().split("\0")[:-1], output.read_text()


def test_lint_by_default(tmp_path: Path) -> None:
    code, asked, _ = ran("Lint", tmp_path)
    assert (code, asked) == (0, ["lint", "--output-format", "github", "--", "."])


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_lint_fails_as_graphc_does(code: int, tmp_path: Path) -> None:
    assert ran("Lint", tmp_path, code)[0] == code


def test_inputs_reach_graphc(tmp_path: Path) -> None:
    inputs = {"paths": "a b.yaml\nmodels\n", "args": "--target  portable\n--statistics", "fail-on": "warning"}
    _, asked, _ = ran("Lint", tmp_path, **inputs)
    options = ["--target", "portable", "--statistics", "--output-format", "github", "--fail-on", "warning"]
    assert asked == ["lint", *options, "--", "a b.yaml", "models"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_input_is_a_word(text: str, tmp_path: Path) -> None:
    names = ("paths", "fail-on", "output-format", "sarif-file")
    for step in ("Lint", "Write SARIF"):
        _, asked, _ = ran(step, tmp_path, **dict.fromkeys(names, text))
        assert asked[-2:] == ["--", text]
        assert asked.count(text) == (3 if step == "Lint" else 2)
        ran(step, tmp_path, args=text)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(("code", "expected"), [(0, "written=true\n"), (2, ""), (3, "")])
def test_sarif_never_fails_the_job_itself(code: int, expected: str, tmp_path: Path) -> None:
    done, asked, output = ran("Write SARIF", tmp_path, code, **{"sarif-file": "lint.sarif"})
    assert done == 0
    assert asked == ["lint", "--fail-on", "never", "--output-format", "sarif", "--output", "lint.sarif", "--", "."]
    assert output == expected


# ---------------------------------------------------------------- the example


def steps(workflow: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job["steps"]


def test_example_workflow_gives_the_action_what_it_takes() -> None:
    workflow = read(EXAMPLE / ".github" / "workflows" / "lint.yml")
    (used,) = [step for step in steps(workflow) if "/graphc@" in step["uses"]]
    assert set(used["with"]) <= set(ACTION["inputs"])
    assert (EXAMPLE / used["with"]["paths"]).is_dir()


def test_example_hook_is_the_hook() -> None:
    (repository,) = read(EXAMPLE / ".pre-commit-config.yaml")["repos"]
    (hook,) = repository["hooks"]
    assert hook["id"] == HOOK["id"]
    assert all((EXAMPLE / path).exists() for path in hook["args"])


def test_example_of_gitlab_asks_for_what_lint_takes() -> None:
    job = read(EXAMPLE / ".gitlab-ci.yml")["lint"]
    script = "\n".join(job["script"])
    assert asked_for(script) <= options()
    assert set(re.findall(r"--output-format (\w+)", script)) <= set(FORMATS)
    assert set(re.findall(r"--output (\S+)", script)) == set(job["artifacts"]["reports"].values())


def test_example_tells_of_files_that_are_there() -> None:
    told = re.findall(r"^\| `([^`]+)`", (EXAMPLE / "README.md").read_text("utf-8"), re.MULTILINE)
    assert told
    assert all((EXAMPLE / name).exists() for name in told)
