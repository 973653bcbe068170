"""The command line on targets, sites and certificates: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import onnx_ir as ir
import pytest
from typer.testing import CliRunner, Result

import graphc
from graphc.cases import Case, CaseBuilder
from graphc.certificate import Certificate
from graphc.cli import app


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def save(name: str, build: object) -> None:
    graphc.save(Case(name, build).model(), f"{name}.onnx")  # type: ignore[arg-type] # a function of a CaseBuilder


def fancy(g: CaseBuilder) -> ir.Value:
    return g.Conv(g.input(1, 4, 9, 9), g.weight(4, 2, 3, 3), group=2, dilations=(2, 2), pads=(2, 2, 2, 2))


def stays_fancy(g: CaseBuilder) -> ir.Value:
    """Groups and dilations, which rewrites take away, and a TopK, which none does."""
    return g.TopK(fancy(g), g.constant([2]), outputs=2)[0]


def test_build_for_a_target_says_that_it_runs_every_node() -> None:
    save("fancy", fancy)
    done = run("build", "fancy.onnx", "--target", "portable")
    assert done.exit_code == 0, done.output
    assert "portable runs every node" in done.stdout
    written = graphc.load("fancy-optimised.onnx")
    assert all(not node.attributes.get_int("group", 1) > 1 for node in written.graph if node.op_type == "Conv")


def test_build_for_a_target_names_what_is_left_and_fails() -> None:
    save("stays", stays_fancy)
    done = run("build", "stays.onnx", "--target", "portable")
    assert done.exit_code == 1
    assert "portable does not run 1 node" in done.stdout
    assert "TopK" in done.stdout
    assert "n1_topk" in done.stdout
    assert "no rewrite looks at it" in done.stdout
    assert Path("stays-optimised.onnx").exists(), "what could be done is done"
    found = json.loads(run("build", "stays.onnx", "--target", "portable", "--format", "json").stdout)
    assert found["target"]["leftovers"][0]["operator"] == "TopK"


def test_an_unknown_target_is_an_error() -> None:
    save("fancy", fancy)
    done = run("build", "fancy.onnx", "--target", "portabel")
    assert done.exit_code != 0


def test_explain_takes_the_rewrite_as_an_option_and_asks_the_target() -> None:
    save("fancy", fancy)
    name = "split-grouped-conv"
    assert run("explain", "fancy.onnx", "--rewrite", name).stdout == run("explain", name, "fancy.onnx").stdout
    dense = "replace-dilated-conv-with-dense"  # dearer: it fires because nobody asks, or because the target wants it
    assert "fires at 1 place" in run("explain", "fancy.onnx", "--rewrite", f"{dense}{{when=always}}").stdout
    assert "would not be cheaper" in run("explain", "fancy.onnx", "--rewrite", f"{dense}{{when=cheaper}}").stdout
    assert "fires at 1 place" in run("explain", "fancy.onnx", "--rewrite", dense, "--target", "portable").stdout


def test_a_certificate_is_written_and_checked() -> None:
    save("fancy", fancy)
    assert run("build", "fancy.onnx", "-p", "replace-dilated-conv-with-space-to-batch").exit_code == 0
    certificate = Certificate.model_validate_json(Path("fancy-optimised.certificate.json").read_text())
    assert [firing.rewrite for firing in certificate.firings] == ["replace-dilated-conv-with-space-to-batch"]
    done = run("check", "fancy.onnx", "fancy-optimised.onnx", "--certificate")
    assert done.exit_code == 0, done.output
    assert "the reference evaluator" in done.stdout
    wrong = run("check", "fancy-optimised.onnx", "fancy.onnx", "--certificate")
    assert wrong.exit_code != 0


def test_the_reference_is_a_provider_of_check() -> None:
    save("fancy", fancy)
    done = run("check", "fancy.onnx", "fancy.onnx", "--provider", "reference")
    assert done.exit_code == 0
    assert "checked on the reference evaluator" in done.stdout


def test_what_the_runtime_refuses_is_checked_by_the_reference() -> None:
    save("same", lambda g: g.Conv(g.input(1, 2, 9, 9), g.weight(3, 2, 3, 3), dilations=(2, 2), auto_pad="SAME_UPPER"))
    done = run("build", "same.onnx", "-p", "legal")
    assert done.exit_code == 0, done.output
    assert "the first model ran on the reference evaluator" in done.stdout
