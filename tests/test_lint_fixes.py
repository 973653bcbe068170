"""`graphc lint --fix`, and what it must leave alone: lines, files, and what nobody asked to change."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from typer.testing import CliRunner

from graphc import Case, CaseBuilder, Finding, Fix, Limits, files, load, proto, save
from graphc.cli import app
from graphc.errors import GraphcError
from graphc.linting import mending, run
from graphc.linting.finding import Edit
from graphc.runtime.worker import WorkerDiedError
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


# ---------------------------------------------------------------- what a model says besides


def identity() -> onnx.ModelProto:
    """Identity and Relu: what a fix drops, and what it leaves."""
    text = """<ir_version: 11, opset_import: ["" : 20, "own" : 1]>
        net (float[N, 4] x) => (float[N, 4] y) { [same] h = Identity (x) [act] y = Relu (h) }"""
    model: onnx.ModelProto = onnx.parser.parse_model(text)
    return model


def trained() -> onnx.ModelProto:
    model = identity()
    model.training_info.add().algorithm.CopyFrom(onnx.parser.parse_graph("step () => () { g = Neg (x) }"))
    return model


def add_function(model: onnx.ModelProto, overload: str = "") -> onnx.FunctionProto:
    """own.F, which says what type its input has."""
    function: onnx.FunctionProto = model.functions.add(name="F", domain="own", overload=overload, input="a", output="b")
    function.node.add(op_type="Relu", input="a", output="b")
    function.opset_import.add(version=20)
    function.value_info.add(name="a").type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    return function


def mend(file: str, node: str = "same", *passes: str, unsafe: bool = False) -> mending.Mended:
    """What is done for a finding at a node of a model."""
    fix = Fix("run", passes=passes or ("drop-identity",))
    found = Finding("graph/no-op-chain", "warning", "", node=node, fix=fix, file=file)
    (only,) = mending.mend([found], unsafe=unsafe, write=True, limits=Limits())
    return only


def test_a_fix_loses_no_training(here: Path) -> None:
    """training_info has no place in onnx_ir's model: the file stays as it is, and the reason is told."""
    onnx.save(trained(), "net.onnx")
    before = (here / "net.onnx").read_bytes()
    assert "it would lose its training (training_info)" in mend("net.onnx").refused
    assert (here / "net.onnx").read_bytes() == before


@pytest.mark.parametrize("dims", [[], ["--dim", "N=2"]])
def test_a_build_says_that_it_leaves_the_training_out(here: Path, dims: list[str]) -> None:
    onnx.save(trained(), "net.onnx")
    done = CliRunner().invoke(app, ["build", "net.onnx", "-o", "out.onnx", *dims])
    assert done.exit_code == 0
    assert "is without its training (training_info)" in done.stderr
    onnx.save(identity(), "net.onnx")
    assert "warning" not in CliRunner().invoke(app, ["build", "net.onnx", "-o", "out.onnx", *dims]).stderr


def test_a_model_that_is_loaded_and_saved_says_what_it_lost(here: Path) -> None:
    onnx.save(trained(), "net.onnx")
    with pytest.warns(UserWarning, match="copy.onnx is without its training"):
        save(load("net.onnx"), "copy.onnx")


def test_what_is_there_twice_is_not_lost_silently() -> None:
    model = identity()
    for number in (1, 2):
        model.metadata_props.add(key="who")
        model.graph.initializer.add(name="w", dims=[1], data_type=onnx.TensorProto.FLOAT, float_data=[number])
    assert list(proto.uncarried(model)) == [
        "all but one metadata 'who' of 2",
        "all but one initializer 'w' of 2",
    ]


def test_a_copy_of_a_model_says_all_that_the_model_says(here: Path) -> None:
    """Texts, metadata, quantisation, devices, overloads of functions with the types of their inputs."""
    model = identity()
    model.doc_string, model.producer_name, model.domain, model.model_version = "a net", "p", "d", 3
    functions = [add_function(model, overload) for overload in ("one", "two")]
    for holder in (model, model.graph, model.graph.node[1], *functions):
        holder.metadata_props.add(key="who", value="I")
    model.graph.input[0].doc_string = functions[0].doc_string = "a text"
    annotation = model.graph.quantization_annotation.add(tensor_name="y")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="h")
    model.configuration.add(name="two", num_devices=2)
    model.graph.node[1].device_configurations.add(configuration_id="two", pipeline_stage=1)
    onnx.save(model, "net.onnx")
    save(load("net.onnx"), "copy.onnx")
    assert sorted(str(onnx.load("copy.onnx")).split()) == sorted(str(model).split())


# ---------------------------------------------------------------- what is suppressed


def two_norms(g: CaseBuilder) -> object:
    x = g.input(1, 4, 8, 8)
    for _ in range(2):
        conv = g.Conv(x, g.weight(4, 4, 3, 3), pads=(1, 1, 1, 1))
        x = g.Relu(g.BatchNormalization(conv, *(g.weight(4, low=0.5) for _ in range(4))))
    return x


def norms() -> list[str]:
    """The norms that the model still has."""
    return [node.name for node in onnx.load("net.onnx").graph.node if node.op_type == "BatchNormalization"]


def kept_by_a_config(first: str) -> list[str]:
    Path("graphc.toml").write_text(
        f'[lint.per-node-ignores]\n"{first}" = ["convolution/unfolded-batchnorm"]\n', encoding="utf-8"
    )
    return []


def kept_by_a_baseline(first: str) -> list[str]:
    assert lint("net.onnx", "--baseline", "known.json", "--write-baseline").exit_code == 0
    known = json.loads(Path("known.json").read_text("utf-8"))
    known["findings"] = [each for each in known["findings"] if each["node"] == first]
    Path("known.json").write_text(json.dumps(known), encoding="utf-8")
    return ["--baseline", "known.json"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("kept", [kept_by_a_config, kept_by_a_baseline])
def test_a_fix_leaves_what_is_suppressed_or_known(kept: Callable[[str], list[str]]) -> None:
    save(Case("two norms", two_norms).model(), "net.onnx")
    first, _ = norms()
    flags = kept(first)
    assert "fixed 1 finding" in lint("net.onnx", "--fix", *flags).stderr
    assert norms() == [first]


@pytest.mark.usefixtures("here")
def test_a_pass_over_all_nodes_is_not_run_where_one_of_them_is_suppressed() -> None:
    """remove-unused-nodes cannot leave one that is dead as it is."""
    save(Case("two dead nodes", two_dead_nodes).model(), "net.onnx")
    dead = [node.name for node in onnx.load("net.onnx").graph.node if node.op_type == "Neg"]
    Path("graphc.toml").write_text(f'[lint.per-node-ignores]\n"{dead[0]}" = ["graph/dead-node"]\n', encoding="utf-8")
    assert "not fixed: remove-unused-nodes is a pass over all nodes" in lint("net.onnx", "--fix").stderr
    assert sum(node.op_type == "Neg" for node in onnx.load("net.onnx").graph.node) == len(dead)


def two_dead_nodes(g: CaseBuilder) -> object:
    x = g.input(1, 4)
    g.Neg(x), g.Neg(g.Sigmoid(x))
    return g.Relu(x)


def two_resizes(g: CaseBuilder) -> object:
    x = g.input(1, 8, 32, 32)
    for _ in range(2):
        x = g.Relu(g.Resize(x, None, g.constant(np.array([1, 1, 2, 2], np.float32)), mode="cubic"))
    return x


@pytest.mark.usefixtures("here")
def test_a_rewrite_with_options_leaves_what_is_suppressed() -> None:
    """A fix names replace-resize-with-matmul{only=...}, which spares nodes as any rewrite does."""
    save(Case("two resizes", two_resizes).model(), "net.onnx")
    resizes = [node.name for node in onnx.load("net.onnx").graph.node if node.op_type == "Resize"]
    ignored = f'[lint.per-node-ignores]\n"{resizes[0]}" = ["convolution/slow-cubic-resize"]\n'
    Path("graphc.toml").write_text(ignored, encoding="utf-8")
    done = lint("net.onnx", "--fix", "--select", "convolution/slow-cubic-resize")
    assert "fixed 1 finding" in done.stderr
    assert [node.name for node in onnx.load("net.onnx").graph.node if node.op_type == "Resize"] == resizes[:1]


# ---------------------------------------------------------------- weights in another file


def with_data(build: Callable[[CaseBuilder], object], data: str = "net.onnx.data") -> None:
    """Write net.onnx with all its weights in another file."""
    ir.save(Case("x", build).model(), "net.onnx", external_data=data, size_threshold_bytes=0)


def shifted(g: CaseBuilder) -> object:
    return g.Add(g.Identity(g.input(1, 512)), g.weight(512))


def one_norm(g: CaseBuilder) -> object:
    conv = g.Conv(g.input(1, 16, 8, 8), g.weight(16, 16, 3, 3))
    return g.BatchNormalization(conv, *(g.weight(16, low=0.5) for _ in range(4)))


def listed() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def first(op_type: str) -> str:
    """The name of the first node of this operator."""
    return next(node.name or "" for node in load("net.onnx").graph if node.op_type == op_type)


@pytest.mark.usefixtures("here")
def test_a_fix_writes_the_data_file_anew() -> None:
    with_data(shifted)
    assert mend("net.onnx", first("Identity")).fixed == 1
    assert listed() == ["net.onnx", "net.onnx.data"]
    after = load("net.onnx")
    assert [node.op_type for node in after.graph] == ["Add"]
    assert all(np.isfinite(value.const_value.numpy()).all() for value in after.graph.initializers.values())


@pytest.mark.usefixtures("here")
def test_no_data_file_stays_that_nothing_reads() -> None:
    """Every weight is folded into new ones, which lie in the model."""
    with_data(one_norm)
    assert mend("net.onnx", first("BatchNormalization"), "fold-batchnorm-into-conv").fixed == 1
    assert listed() == ["net.onnx"]
    assert [node.op_type for node in load("net.onnx").graph] == ["Conv"]


@pytest.mark.usefixtures("here")
def test_a_build_over_its_source_leaves_no_data_file_that_nothing_reads() -> None:
    with_data(one_norm)
    done = CliRunner().invoke(app, ["build", "net.onnx", "-o", "net.onnx", "--force"])
    assert done.exit_code == 0
    assert listed() == ["net.certificate.json", "net.onnx"]


@pytest.mark.usefixtures("here")
def test_a_data_file_that_others_may_read_is_left_alone() -> None:
    with_data(shifted, "weights.bin")
    before = [Path(name).read_bytes() for name in listed()]
    assert "its weights lie in 'weights.bin'" in mend("net.onnx", first("Identity")).refused
    assert [Path(name).read_bytes() for name in listed()] == before


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("build", "failing"), [(shifted, "net.onnx.data"), (shifted, "net.onnx"), (one_norm, "net.onnx")]
)
def test_the_old_model_stays_where_a_file_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, build: Callable[[CaseBuilder], object], failing: str
) -> None:
    with_data(build)
    before = [Path(name).read_bytes() for name in listed()]
    replace, failed = os.replace, []

    def full(source: Any, target: Any) -> None:
        if Path(target).name == failing and not failed:
            failed.append(target)
            raise OSError(28, "no space left")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    done = mend("net.onnx", "", "drop-identity", "fold-batchnorm-into-conv")
    assert "no space left" in done.refused
    assert [Path(name).read_bytes() for name in listed()] == before
    assert len(load("net.onnx").graph) == 2


@pytest.mark.usefixtures("here")
def test_nothing_is_left_of_a_worker_that_died_while_it_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    with_data(shifted)

    def dying(module: str, request: Any, **_: Any) -> None:
        Path(request["room"], "net.onnx.data").write_bytes(b"half")
        raise WorkerDiedError("it was silent")

    monkeypatch.setattr(mending, "messages", dying)
    assert mend("net.onnx", first("Identity")).refused == "it was silent"
    assert listed() == ["net.onnx", "net.onnx.data"]
    assert len(load("net.onnx").graph) == 2


@pytest.mark.usefixtures("here")
def test_a_file_of_that_name_stays_where_the_model_has_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Case("x", shifted).model()
    Path("net.onnx.data").write_bytes(b"notes")
    save(model, "net.onnx")

    def full(*_: object) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(GraphcError, match="no space left"):
        save(model, "net.onnx")
    assert Path("net.onnx.data").read_bytes() == b"notes"
