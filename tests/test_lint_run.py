"""`graphc lint` as a whole: the worker, files, settings, suppressions, baselines, fixes, exit codes.

What single lints find is for test_linting.py, what formats look like for test_lint_formats.py.
"""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path
from typing import Any

import onnx_ir as ir
import pytest
from typer.testing import CliRunner

from graphc import Case, CaseBuilder, Finding, Fix, Limits, findings, linting, load, registry, save
from graphc.cli import app
from graphc.errors import GraphcError
from graphc.linting import baseline, mending, run
from graphc.linting.finding import Edit
from graphc.linting.lint import LintCase, lints
from graphc.linting.settings import Settings
from graphc.runtime.worker import WorkerDiedError, messages

SPEC = """\
graphc: 1
inputs: {x: "f32[1, 4, 8, 8]"}
outputs: [y]
nodes:
  - {id: up, conv_transpose: {out: 4, k: 3, stride: 2}}
  - {id: y, relu: {}}
"""
FOUND = "convolution/checkerboard"
DYING = Path(__file__).with_name("dying.py")


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
    return json.loads(lint(*arguments, "--output-format", "json").stdout)["findings"]


def names(found: list[dict[str, Any]]) -> list[str]:
    return [each["name"] for each in found]


def upscaler(g: CaseBuilder) -> object:
    return g.Relu(g.ConvTranspose(g.input(1, 4, 8, 8), g.weight(4, 4, 3, 3), strides=(2, 2)))


# ---------------------------------------------------------------- the worker


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(DYING.parent))
    monkeypatch.setenv("GRAPHC_TEST_FATAL", FOUND)
    monkeypatch.setattr(linting, "CHILD", DYING.stem)


@pytest.mark.usefixtures("dying")
def test_a_dead_worker_is_a_finding_and_the_other_lints_go_on(here: Path) -> None:
    """run/worker-died names the look that did it; the next file is linted as ever."""
    (here / "a.yaml").write_text(SPEC)
    (here / "b.yaml").write_text(SPEC.replace("k: 3", "k: 4"))
    outcome = run.run(["a.yaml", "b.yaml"], Settings.model_validate({"select": [FOUND, "run"]}))
    assert [each.lint for each in outcome.report.findings] == ["run/worker-died", "run/worker-died"]
    assert all(FOUND in each.message and "SIGSEGV" in each.message for each in outcome.report.findings)
    assert [each.file for each in outcome.report.findings] == ["a.yaml", "b.yaml"]
    assert lint("a.yaml", "--select", FOUND).exit_code == 3


def test_a_worker_without_memory_dies_and_nothing_hangs() -> None:
    with pytest.raises(WorkerDiedError):
        list(messages("graphc.linting.child", {}, seconds=60, address_space=1 << 20))


def test_a_silent_worker_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "hanging.py").write_text("import signal\ndef main(n):\n  yield n\n  signal.pause()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    said = messages("hanging", 7, seconds=5, address_space=16 << 30)
    assert next(said) == 7
    with pytest.raises(WorkerDiedError, match="silent for 5 s"):
        next(said)


def test_what_libraries_print_is_no_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text("import os\ndef main(n):\n  os.write(1, b'noise')\n  yield from range(n)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert list(messages("loud", 3, seconds=60, address_space=16 << 30)) == [0, 1, 2]


def test_a_broken_plugin_is_a_finding(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """run/plugin-failed: a distribution whose lint cannot be imported."""
    info = here / "site" / "broken-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[graphc.lints]\nbroken = broken_lints\n")
    (here / "site" / "broken_lints.py").write_text("raise OSError('no licence')")
    (here / "net.yaml").write_text(SPEC)
    monkeypatch.setenv("PYTHONPATH", str(here / "site"))
    done = lint("net.yaml", "--output-format", "concise", "--ignore", "convolution")
    assert done.exit_code == 3
    assert "run/plugin-failed" in done.stdout
    assert "broken" in done.stdout
    assert "no licence" in done.stdout


def test_a_lint_that_raises_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """run/plugin-failed names the lint and what it raised."""

    def raising(view: object) -> None:
        raise KeyError("kernel")

    monkeypatch.setitem(vars(lints()[FOUND]), "look", raising)
    found = findings(Case("x", upscaler).model(), FOUND)
    assert [each.lint for each in found] == ["run/plugin-failed"]
    assert "KeyError" in found[0].message
    assert FOUND in found[0].message


# ---------------------------------------------------------------- files and settings


def test_folders_hold_specs_and_models_and_nothing_else(here: Path) -> None:
    (here / "a" / ".hidden").mkdir(parents=True)
    (here / "a" / "net.yaml").write_text(f"# a comment\n---\n{SPEC}")
    (here / "a" / "workflow.yaml").write_text("on: push\njobs: {graphc: 1}\n")
    (here / "a" / ".hidden" / "net.yaml").write_text(SPEC)
    save(Case("x", upscaler).model(), here / "model.onnx")
    assert list(run.collected(".")) == ["model.onnx", "a/net.yaml"]


def test_variants_are_linted_and_what_they_share_is_said_once(here: Path) -> None:
    variants = "params: {k: 4}\nvariants: {odd: {k: 3}, odder: {k: 5}, even: {k: 2}}\n"
    (here / "net.yaml").write_text(SPEC.replace("k: 3", "k: =k") + variants)
    (only,) = told("net.yaml", "--select", FOUND)
    assert (only["source"], only["line"]) == ("net.yaml@odd", 5)
    assert "1 more here" in only["message"]
    assert told("net.yaml@even", "--select", FOUND) == []


@pytest.mark.parametrize("file", ["graphc.toml", "pyproject.toml"])
def test_flags_go_before_config_before_the_spec(here: Path, file: str) -> None:
    section = "lint" if file == "graphc.toml" else "tool.graphc.lint"
    (here / "nets").mkdir()
    (here / file).write_text(f'[{section}]\nfail-on = "warning"\n[{section}.severity]\n"{FOUND}" = "info"\n')
    (here / "nets" / "net.yaml").write_text(SPEC + f"lint: {{severity: {{{FOUND}: error}}}}\n")
    (only,) = told("nets", "--select", FOUND)
    assert only["severity"] == "info"
    assert lint("nets", "--select", FOUND).exit_code == 0
    assert lint("nets", "--select", FOUND, "--fail-on", "info").exit_code == 1
    shown = lint("nets", "--show-settings").stdout
    assert f"severity.{FOUND}" in shown
    assert f"warning  {here / file}" in shown


def test_a_config_with_a_mistake_is_wrong_usage(here: Path) -> None:
    (here / "net.yaml").write_text(SPEC)
    for text, hint in (
        ('selekt = ["all"]', "did you mean 'select'"),
        ('ignore = ["graf"]', "graf"),
        ("x = ", "cannot"),
    ):
        (here / "graphc.toml").write_text(f"[lint]\n{text}\n")
        done = lint("net.yaml")
        assert done.exit_code == 2
        assert hint in done.stderr
        assert "graphc.toml" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 0),
        (["--fail-on", "warning"], 1),
        (["--fail-on", "never"], 0),
        (["--ignore", "convolution", "--fail-on", "info"], 0),
        (["--select", "no-such"], 2),
        (["absent.onnx"], 2),
        (["--prune-baseline"], 2),
        (["--baseline", "absent.json"], 2),
        (["--budget", "speed=2"], 2),
        ([""], 2),
        (["--budget", "macs=abc"], 2),
        (["--statistics", "--output-format", "json"], 2),
        (["--diff", "-o", "out.txt"], 2),
    ],
)
def test_exit_codes(here: Path, arguments: list[str], code: int) -> None:
    (here / "net.yaml").write_text(SPEC)
    assert lint("net.yaml", *arguments).exit_code == code


def test_a_folder_without_models_is_wrong_usage(here: Path) -> None:
    (here / "nets").mkdir()
    done = lint("nets")
    assert done.exit_code == 2
    assert "no spec and no model in nets" in done.stderr


def test_a_file_named_twice_is_linted_once(here: Path) -> None:
    (here / "net.yaml").write_text(SPEC)
    assert len(told("net.yaml", "./net.yaml", ".", "--select", FOUND)) == 1


def test_mistakes_in_budgets_are_told_in_words(here: Path) -> None:
    (here / "net.yaml").write_text(SPEC)
    assert "unknown setting 'budgets.mac'" in lint("net.yaml", "--budget", "mac=2").stderr
    assert "did you mean 'macs'" in lint("net.yaml", "--budget", "mac=2").stderr
    assert "must be a number with a unit" in lint("net.yaml", "--budget", "macs=abc").stderr
    assert "Value error" not in lint("net.yaml", "--budget", "macs=abc").stderr


def test_a_spec_that_cannot_be_expanded_fails_whatever_is_ignored(here: Path) -> None:
    (here / "net.yaml").write_text(SPEC.replace("relu", "rellu"))
    done = lint("net.yaml", "--ignore", "spec", "--output-format", "concise")
    assert done.exit_code == 1
    assert done.stdout.startswith("net.yaml:6:13: error: spec/unknown-layer")


# ---------------------------------------------------------------- suppressions and baselines


def test_suppressions_are_counted_and_only_theirs_are_quiet(here: Path) -> None:
    text = SPEC.replace("stride: 2}}", f"stride: 2}}}}  # graphc: ignore[{FOUND}] as in the paper")
    (here / "net.yaml").write_text(text)
    done = json.loads(lint("net.yaml", "--output-format", "json").stdout)
    assert (done["findings"], done["summary"]["suppressed"]) == ([], 1)
    (here / "net.yaml").write_text(text.replace("k: 3", "k: 4"))
    assert names(told("net.yaml")) == ["run/unused-suppression"]
    assert told("net.yaml", "--ignore", FOUND) == [], "a lint that did not look cannot be unused"


def test_a_suppression_that_one_variant_needs_is_used(here: Path) -> None:
    text = SPEC.replace("k: 3, stride: 2}}", f"k: =k, stride: 2}}}}  # graphc: ignore[{FOUND}] as in the paper")
    (here / "net.yaml").write_text(text + "params: {k: 4}\nvariants: {odd: {k: 3}}\n")
    assert told("net.yaml") == []


def test_a_suppression_that_cannot_be_read_is_told(here: Path) -> None:
    (here / "net.yaml").write_text(
        SPEC.replace("stride: 2}}", "stride: 2}}  # graphc: ignore convolution/checkerboard")
    )
    assert names(told("net.yaml")) == [FOUND, "run/unknown-selector"]


def test_nothing_suppresses_what_keeps_a_spec_from_being_read(here: Path) -> None:
    (here / "net.yaml").write_text(SPEC.replace("  - {id: y, relu", "  # graphc: ignore[all] hush\n  - {id: y, rellu"))
    (here / "graphc.toml").write_text('[lint.severity]\nspec = "info"\n')
    assert names(told("net.yaml")) == ["spec/unknown-layer"]
    assert lint("net.yaml").exit_code == 1


def test_a_model_cannot_vouch_for_itself(here: Path) -> None:
    model = Case("x", upscaler).model()
    model.graph[0].metadata_props["graphc.lint"] = '{"ignore": ["all"]}'
    save(model, here / "net.onnx")
    assert FOUND in names(told("net.onnx"))


def test_what_stands_in_quotes_is_no_comment(here: Path) -> None:
    (here / "net.yaml").write_text(SPEC.replace("stride: 2}}", 'stride: 2}, doc: "see # graphc: ignore[all] x"}'))
    assert names(told("net.yaml")) == [FOUND]


def test_a_baseline_holds_no_missing_files_and_no_other_defect(here: Path) -> None:
    (here / "net.yaml").write_text(SPEC)
    lint("net.yaml", "absent.onnx", "--baseline", "known.json", "--write-baseline")
    assert lint("net.yaml", "absent.onnx", "--baseline", "known.json").exit_code == 2


def test_each_file_fails_by_its_own_settings(here: Path) -> None:
    for folder, bound in (("a", "never"), ("b", "info")):
        (here / folder).mkdir()
        (here / folder / "graphc.toml").write_text(f'[lint]\nfail-on = "{bound}"\n')
    (here / "a" / "net.yaml").write_text(SPEC.replace("k: 3", "k: 4"))
    (here / "b" / "net.yaml").write_text(SPEC)
    assert lint("a", "b").exit_code == lint("b", "a").exit_code == 1
    assert lint("a").exit_code == 0


def test_a_pipe_is_no_spec_and_no_model(here: Path) -> None:
    os.mkfifo(here / "net.yaml")
    os.mkfifo(here / "net.onnx")
    assert lint(".").exit_code == lint("net.onnx").exit_code == 2


def test_a_config_ignores_nodes_by_glob(here: Path) -> None:
    (here / "net.yaml").write_text(SPEC)
    (here / "graphc.toml").write_text(f'[lint.per-node-ignores]\n"u*" = ["{FOUND}"]\n')
    assert told("net.yaml") == []


def two_upscalers(*, swapped: bool = False, rename: str = "") -> ir.Model:
    """Two independent upscalers; the order of their nodes, and the name of an unrelated node."""

    def build(g: CaseBuilder) -> object:
        x = g.input(1, 4, 8, 8)
        ups = [g.ConvTranspose(x, g.weight(4, 4, 3, 3), strides=(2, 2)) for _ in range(2)]
        return g.Add(*ups)

    model = Case("x", build).model()
    if swapped:
        first = model.graph[0]
        model.graph.remove(first)
        model.graph.insert_after(model.graph[0], first)
    if rename:
        model.graph[2].name = rename
    return model


def test_a_baseline_survives_moved_nodes_and_unrelated_names(here: Path) -> None:
    save(two_upscalers(), here / "net.onnx")
    assert lint("net.onnx", "--select", FOUND, "--baseline", "known.json", "--write-baseline").exit_code == 0
    assert len(json.loads((here / "known.json").read_text())["findings"]) == 2
    save(two_upscalers(swapped=True, rename="sum"), here / "net.onnx", force=True)
    done = json.loads(lint("net.onnx", "--select", FOUND, "--baseline", "known.json", "--output-format", "json").stdout)
    assert (done["findings"], done["summary"]["baselined"]) == ([], 2)


def test_what_was_mended_is_stale_until_the_baseline_is_pruned(here: Path) -> None:
    """run/stale-baseline at the entry's line; pruning drops it, and a new defect is told again."""
    (here / "net.yaml").write_text(SPEC)
    lint("net.yaml", "--baseline", "known.json", "--write-baseline")
    assert told("net.yaml", "--baseline", "known.json") == []
    (here / "net.yaml").write_text(SPEC.replace("k: 3", "k: 4"))
    (only,) = told("net.yaml", "--baseline", "known.json")
    assert (only["name"], only["file"], only["line"]) == ("run/stale-baseline", "known.json", 4)
    assert told("net.yaml", "--baseline", "known.json", "--ignore", FOUND) == []
    lint("net.yaml", "--baseline", "known.json", "--prune-baseline")
    assert json.loads((here / "known.json").read_text())["findings"] == []
    (here / "net.yaml").write_text(SPEC)
    assert names(told("net.yaml", "--baseline", "known.json")) == [FOUND]


def test_a_damaged_baseline_is_replaced(here: Path) -> None:
    (here / "net.yaml").write_text(SPEC)
    (here / "known.json").write_text("x")
    assert lint("net.yaml", "--baseline", "known.json", "--write-baseline").exit_code == 0
    assert told("net.yaml", "--baseline", "known.json") == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"graphc-baseline": 2, "findings": []}', "[" * 10_000])
def test_a_broken_baseline_is_wrong_usage(here: Path, text: str) -> None:
    (here / "known.json").write_text(text)
    with pytest.raises(GraphcError, match="no baseline"):
        baseline.read(here / "known.json")


# ---------------------------------------------------------------- fixes


def test_a_safe_fix_of_a_spec_leaves_the_rest_as_it_is(here: Path) -> None:
    comment = f"  # graphc: ignore[{FOUND}] as in the paper"
    text = SPEC.replace("k: 3", "k: 4").replace("relu: {}}", "relu: {}}" + comment)
    (here / "net.yaml").write_text(text, newline="")
    done = lint("net.yaml", "--diff")
    assert done.stdout.count(comment) == 1
    assert (here / "net.yaml").read_text() == text
    assert lint("net.yaml", "--fix", "--fail-on", "info").exit_code == 0
    assert (here / "net.yaml").read_text() == text.replace(comment, "")


def test_edits_are_made_from_the_end_and_only_of_what_stands_there() -> None:
    text = "ab cd\r\n  x  \nlast"
    edits = [
        Edit("f", 1, 1, 3, "ab", "AAA"),
        Edit("f", 1, 4, 6, "cd"),
        Edit("f", 2, 1, 6, "  x  "),
        Edit("f", 3, 1, 2, "z", "no"),
        Edit("f", 9, 1, 2, "z"),
    ]
    assert mending.edited(text, edits) == ("AAA \r\nlast", 3)


def test_a_spec_behind_a_link_is_not_fixed(here: Path) -> None:
    (here / "real.yaml").write_text("x: 1\n")
    (here / "net.yaml").symlink_to("real.yaml")
    edit = Edit("net.yaml", 1, 1, 5, "x: 1")
    found = Finding("run/unused-suppression", "warning", "", fix=mending_fix(edit), file="net.yaml")
    (only,) = mending.mend([found], unsafe=False, write=True, limits=Limits())
    assert only.refused
    assert (here / "real.yaml").read_text() == "x: 1\n"


def mending_fix(edit: Edit) -> Any:
    return Fix("remove it", edits=(edit,))


def test_a_fix_of_a_model_runs_passes_and_is_verified(here: Path) -> None:
    save(Case("x", lambda g: g.Relu(g.Identity(g.input(1, 4)))).model(), here / "net.onnx")
    found = Finding("graph/no-op-chain", "warning", "", fix=Fix("run", passes=("drop-identity",)), file="net.onnx")
    (shown,) = mending.mend([found], unsafe=False, write=False, limits=Limits())
    assert "2 nodes become 1" in shown.diff
    assert len(load("net.onnx").graph) == 2
    (done,) = mending.mend([found], unsafe=False, write=True, limits=Limits())
    assert (done.fixed, done.refused) == (1, "")
    assert [node.op_type for node in load("net.onnx").graph] == ["Relu"]


def test_an_unsafe_fix_is_made_only_when_asked_for(here: Path) -> None:
    (here / "f").write_text("a\n")
    fix = Fix("drop it", safe=False, edits=(Edit("f", 1, 1, 2, "a", "b"),))
    found = Finding("spec/unused-value", "warning", "", fix=fix, file="f")
    assert list(mending.mend([found], unsafe=False, write=True, limits=Limits())) == []
    list(mending.mend([found], unsafe=True, write=True, limits=Limits()))
    assert (here / "f").read_text() == "b\n"


# ---------------------------------------------------------------- places


def test_a_node_without_a_name_is_called_by_what_it_makes(here: Path) -> None:
    model = Case("x", upscaler).model()
    model.graph[0].name = ""
    (only,) = findings(model, FOUND)
    assert only.node == f"ConvTranspose → {model.graph[0].outputs[0].name}"


def test_a_finding_in_a_built_model_has_the_line_of_its_spec(here: Path) -> None:
    (here / "pyproject.toml").write_text("")
    (here / "nets").mkdir()
    (here / "nets" / "net.yaml").write_text(SPEC)
    assert CliRunner().invoke(app, ["build", "nets/net.yaml", "-p", "", "-o", "net.onnx"]).exit_code == 0
    (only,) = told("net.onnx", "--select", FOUND)
    assert (only["source"], only["file"], only["line"], only["node"]) == ("net.onnx", "nets/net.yaml", 5, "up")


def test_the_source_of_a_node_is_no_path_to_elsewhere(here: Path) -> None:
    (here / "project").mkdir()
    (here / "project" / "pyproject.toml").write_text("")
    (here / "secret.yaml").write_text("password: x\n")
    model = Case("x", upscaler).model()
    model.graph[0].doc_string = "../secret.yaml:1"
    save(model, here / "project" / "net.onnx")
    os.chdir(here / "project")
    (only,) = findings("net.onnx", FOUND)
    assert only.where is None


def test_the_door_of_lints_is_that_of_plugins() -> None:
    mine = [entry for entry in registry.entries(registry.LINTS).values() if entry.distribution == "graphc"]
    assert {entry.name for entry in mine} <= {name.partition("/")[2] for name in lints()}


def test_a_case_says_what_it_is_by_its_parameter() -> None:
    assert LintCase("m", upscaler).kind == "model"
    assert LintCase("s", lambda: textwrap.dedent(SPEC)).kind == "spec"
    assert LintCase("f", lambda folder: folder).kind == "file"
