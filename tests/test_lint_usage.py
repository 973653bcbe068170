"""`graphc lint` used wrongly, which ends with 2, and what it tells of models that cannot run, each thing once."""

from __future__ import annotations

import json
from pathlib import Path

import onnx_ir as ir
import pytest
from typer.testing import CliRunner

from graphc import Case, CaseBuilder, save
from graphc.cli import app
from graphc.linting.lint import find_lint


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(Case("net", lambda g: g.Relu(g.input(1, 3, 8, 8))).model(), "net.onnx")
    Path("notes.md").write_text("# Notes\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["net.onnx", "--target", "portabel"], "did you mean 'portable'?"),
        (["net.onnx", "--target", "lite"], "known: ort-cpu, ort-cuda, portable"),
        (["notes.md"], "'notes.md' is neither a spec (.yaml, .yml, .json) nor a model (.onnx)"),
        (["net.onnx", "-o", "no/such/lint.json"], "no such directory: no/such"),
        (["other.onnx"], "no such file: other.onnx"),
        (["notes.yaml@x4"], "there is no file 'notes.yaml'"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["lint", *arguments])
    assert done.exit_code == 2
    assert said in done.output


def test_no_other_kind_of_file_is_built(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["build", "notes.md"])
    assert done.exit_code == 2
    assert "neither a spec" in done.output


def _adds_in_a_circle(g: CaseBuilder) -> object:
    return g.Neg(g.Relu(g.Add(g.input(1, 3), g.input(1, 3))))


def test_nodes_that_read_each_other_are_told_as_a_circle() -> None:
    proto = ir.to_proto(Case("circle", _adds_in_a_circle).model())
    add, _, neg = proto.graph.node
    add.input[1] = neg.output[0]
    Path("circle.onnx").write_bytes(proto.SerializeToString())
    (found,) = _told("circle.onnx")
    assert found["name"] == "graph/unsorted"
    names = " → ".join(f"'{node.name}'" for node in (*proto.graph.node, add))
    assert found["message"] == f"these nodes wait for each other, and none can run: {names}"


def test_what_only_a_run_shows_is_told_once() -> None:
    save(find_lint("run/session-failed").bad_cases[0].model(), "gather.onnx")
    (found,) = _told("gather.onnx", "--run")
    assert found["name"] == "run/session-failed"
    assert not _told("gather.onnx")


UPSCALER = """
graphc: 1
inputs: {x: "f32[1, 4, 8, 8]"}
outputs: [y]
nodes:
  - {id: y, conv_transpose: {out: 4, k: 4, stride: 2}} # graphc: ignore[LINT] it is as in the paper
"""


@pytest.mark.parametrize(
    "lint", ["convolution/transposed-on-portable", "target/provider-fallback", "cost/memory-bound"]
)
def test_a_suppression_is_not_unused_where_nobody_asked(lint: str) -> None:
    Path("net.yaml").write_text(UPSCALER.replace("LINT", lint), encoding="utf-8")
    assert not _told("net.yaml")


def test_a_suppression_is_unused_where_somebody_asked_for_nothing() -> None:
    Path("net.yaml").write_text(UPSCALER.replace("LINT", "target/dtype-unsupported"), encoding="utf-8")
    assert not _told("net.yaml")
    (found,) = _told("net.yaml", "--target", "ort-cpu")
    assert found["name"] == "run/unused-suppression"


def _told(*arguments: str) -> list[dict[str, str]]:
    done = CliRunner().invoke(app, ["lint", *arguments, "--output-format", "json"])
    found: list[dict[str, str]] = json.loads(done.stdout)["findings"]
    return found
