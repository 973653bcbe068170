"""The command line: what each verb prints, where, and how it ends.

Verbs run in this process through the same `app` that the console script runs; what depends on a fresh interpreter
(lazy imports, a closed pipe) runs in one.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

import graphc.compilation
from graphc.cases import Case
from graphc.cli import app
from graphc.cli.build import default_output
from graphc.cli.new import TEMPLATES
from graphc.cli.outcome import wrapped
from graphc.linting.engine import findings
from graphc.linting.lint import find_lint, lints
from graphc.pipeline import Pipeline, named_pipelines, onnx_ir_passes, pass_names, rewrites
from graphc.report.quantity import change, duration, quantity
from graphc.report.table import table
from graphc.runtime.tolerance import EXACT
from graphc.spec.layers import layers

SPEC = """\
graphc: 1
name: tiny
params: {width: 4}
variants: {wide: {width: 8}}
dims: {N: 1, H: {min: 8, opt: 16, max: 32}}
inputs: {x: "f32[N, 3, H, 8]"}
outputs: [y]
nodes:
  - conv: {out: =width, k: 3, bias: false}
  - batch_norm
  - {id: y, relu: }
weights: {init: he_normal, seed: 0}
passes: inference
"""
SPEC = SPEC.replace("{id: y, relu: }", "{id: y, op: relu}")
PLAYING = "\x1b[31m[bold]red[/bold]\u202eevil"  # a terminal's colour, rich's markup, and text that runs backwards


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test works in a folder of its own, which has a spec and a model of a convolution and a batch norm."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRAPHC_DEBUG", raising=False)
    Path("tiny.yaml").write_text(SPEC)
    ir.save(conv_bn(), "model.onnx")
    return tmp_path


def conv_bn() -> ir.Model:
    return Case(
        "",
        lambda g: g.Relu(
            g.BatchNormalization(
                g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3)),
                g.weight(4),
                g.weight(4),
                g.weight(4),
                g.weight(4, low=0.5),
            )
        ),
    ).model()


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, arguments, env=environment)


def ok(*arguments: str) -> str:
    """What a verb prints when all is well: on stdout only, and without control codes."""
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", result.stdout)
    return result.stdout


def fails(code: int, *arguments: str) -> str:
    """What a verb says when it fails: on stderr only, and no traceback."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert "Traceback" not in result.stderr
    return result.stderr


def python(code: str, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, **options
    )


# ---------------------------------------------------------------- the program


VERBS = [info.name for info in app.registered_commands]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_examples(verb: str) -> None:
    assert f"graphc {verb}" in ok(*verb.split(), "--help").partition("Examples:")[2]


def test_help_names_every_verb_and_version_is_the_package_s() -> None:
    text = ok("--help")
    assert all(f"  {verb} " in text for verb in VERBS)
    assert ok("--version") == f"graphc {graphc.__version__}\n"


def test_nothing_heavy_is_imported_before_a_verb_runs() -> None:
    heavy = "numpy onnx onnx_ir onnxruntime pydantic networkx yaml"
    code = f"""
import sys, graphc.cli
try:
    graphc.cli.main()
except SystemExit as ended:
    assert not ended.code
loaded = sys.modules.keys() & set({heavy.split()})
sys.exit(f"loaded {{loaded}}" if loaded else 0)
"""
    result = python(code, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert "build" in result.stdout


@pytest.mark.parametrize("arguments", [["build"], ["biuld", "tiny.yaml"], ["build", "tiny.yaml", "--wrong"]])
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    assert "Usage: " in fails(2, *arguments)


def test_an_unexpected_exception_is_called_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError(f"by {PLAYING}\nzero")

    monkeypatch.setattr(graphc.compilation, "compile", broken)
    said = fails(3, "build", "tiny.yaml")
    assert said.startswith("internal error: ZeroDivisionError: by ")
    assert "\x1b" not in said
    assert "GRAPHC_DEBUG=1" in said
    for debugging in (run("build", "tiny.yaml", GRAPHC_DEBUG="1"), run("-vv", "build", "tiny.yaml")):
        assert debugging.exit_code == 3
        assert "Traceback" in debugging.stderr
        assert "GRAPHC_DEBUG" not in debugging.stderr


def test_an_interrupt_ends_quietly_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(graphc.compilation, "compile", interrupted)
    assert fails(130, "build", "tiny.yaml") == ""


def test_an_interrupt_that_an_import_hides_is_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("a module failed to import") from None

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(graphc.compilation, "compile", interrupted)
    assert fails(130, "build", "tiny.yaml") == ""
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["layers"], 1, "run/write-failed: cannot write to stdout: No space left on device\n"),
        (["layers", "--format", "json"], 1, "run/write-failed: cannot write to stdout: No space left on device\n"),
        (["build", "absent.onnx", "--format", "json"], 2, "run/file-not-found: no such file: absent.onnx\n"),
    ],
)
def test_a_full_disk_behind_stdout_is_told(arguments: list[str], code: int, said: str) -> None:
    program = [sys.executable, "-c", "from graphc.cli import main; main()", *arguments]
    with open("/dev/full", "w") as full:
        result = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (result.returncode, result.stderr) == (code, said)


def test_errors_are_json_where_json_is_asked_for() -> None:
    Path("typo.yaml").write_text(SPEC.replace("relu", "rellu").replace("- batch_norm", "- batch_nrm"))
    result = run("build", "typo.yaml", "--format", "json")
    first, second = json.loads(result.stdout)["errors"]
    assert result.exit_code == 1
    assert first.keys() == {"code", "file", "line", "column", "message", "help"}
    assert [first["code"], first["help"]] == ["spec/unknown-layer", "did you mean 'batch_norm'?"]
    for error in (first, second):
        place = f"{error['file']}:{error['line']}:{error['column']}"
        assert f"{place}: {error['code']}: {error['message']}\n  help: {error['help']}" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "absent.onnx"],
        ["check", "absent.onnx", "model.onnx"],
        ["cost", "absent.onnx"],
        ["cost", "diff", "model.onnx", "absent.onnx"],
        ["render", "absent.onnx"],
        ["explain", "absent"],
        ["layers", "absent"],
    ],
)
def test_every_verb_with_a_format_fails_in_it(arguments: list[str]) -> None:
    result = run(*arguments, "--format", "json")
    (error,) = json.loads(result.stdout)["errors"]
    assert result.exit_code in (1, 2)
    assert result.stderr.startswith(f"{error['code']}: {error['message']}")
    assert (error["file"], error["line"], error["column"]) == (None, None, None)


def test_an_error_in_json_names_options_as_the_command_line_does() -> None:
    result = run("build", "model.onnx", "--set", "width=3", "--format", "json")
    (error,) = json.loads(result.stdout)["errors"]
    assert error["message"].startswith("--set is for specs")


def test_a_reader_that_left_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    code = "from graphc.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "layers"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (result.returncode, result.stderr) == (141, "")


def test_warnings_are_one_line_without_a_place_in_graphc(monkeypatch: pytest.MonkeyPatch) -> None:
    def warning(*_: object, **__: object) -> None:
        warnings.warn(f"a plugin {PLAYING}", UserWarning, stacklevel=2)
        raise KeyboardInterrupt

    monkeypatch.setattr(graphc.compilation, "compile", warning)
    said = run("build", "tiny.yaml").stderr
    assert said.startswith("warning: a plugin ")
    assert (said.count("\n"), "\x1b" in said) == (1, False)


@pytest.mark.parametrize("arguments", [["passes"], ["layers", "conv"], ["lints"], ["render", "tiny.yaml"]])
def test_what_a_pipe_gets_does_not_depend_on_a_width(arguments: list[str]) -> None:
    assert run(*arguments, COLUMNS="40").stdout == run(*arguments, COLUMNS="200").stdout


def test_lints_are_listed_by_category() -> None:
    whole = json.loads(ok("lints", "--format", "json"))
    assert sorted(each["name"] for members in whole.values() for each in members) == sorted(lints())
    assert json.loads(ok("lints", "cost", "--format", "json")) == {"cost": whole["cost"]}
    assert ok("explain", "cost") == ok("lints", "cost")
    assert all(f"\n  {each['name']} " in ok("lints", "cost") for each in whole["cost"])


# ---------------------------------------------------------------- build


def test_build_writes_a_checked_model_and_a_summary() -> None:
    text = ok("build", "tiny.yaml@wide")
    onnx.checker.check_model(onnx.load("tiny-wide.onnx"), full_check=True)
    assert text.startswith("tiny.yaml@wide → tiny-wide.onnx (")
    assert re.search(r"^nodes +3 +2 +−33 %$", text, re.M)
    weights = 3 * 8 * 9  # and a scale and a shift per channel before, a bias after
    assert re.search(rf"^parameters +{weights + 2 * 8} +{weights + 8} ", text, re.M)
    assert re.search(r"^compute +[\d.]+ kMAC +[\d.]+ kMAC", text, re.M)
    assert re.search(r"^fold-batchnorm-into-conv +1 +0 +−1 +[\d.]+ ms$", text, re.M)
    assert "H=16" in text
    assert re.search(r"^  y +\d.*e.* +\d+ %$", text, re.M)


def test_build_as_json_is_exact() -> None:
    value = json.loads(ok("build", "model.onnx", "--format", "json", "-o", "out.onnx"))
    before, after = onnx.load("model.onnx").graph, onnx.load("out.onnx").graph
    for graph, summary in ((before, value["before"]), (after, value["after"])):
        assert summary["nodes"] == len(graph.node)
        statistics = {name for node in graph.node if node.op_type == "BatchNormalization" for name in node.input[3:]}
        weights = {t.name: int(np.prod(t.dims)) for t in graph.initializer}
        assert summary["parameters"] == sum(size for name, size in weights.items() if name not in statistics)
    macs = 4 * 6 * 6 * 3 * 9
    assert value["after"]["macs"] == macs
    written = ("out.onnx", "out.certificate.json")
    assert value["files"] == [{"path": name, "bytes": Path(name).stat().st_size} for name in written]
    folded = next(step for step in value["passes"] if step["fired"])
    assert (folded["name"], folded["fired"]) == ("fold-batchnorm-into-conv", ["n1_batchnormalization"])
    assert value["check"]["passed"] is True


def test_build_takes_parameters_as_yaml_and_dumps_after_each_pass() -> None:
    ok("build", "tiny.yaml", "--set", "width=5", "-p", "drop-identity,fold-batchnorm-into-conv",
       "--dump-after-each", "dumps/here")  # fmt: skip
    assert onnx.load("tiny.onnx").graph.initializer[0].dims[0] == 5
    dumps = sorted(Path("dumps/here").iterdir())
    assert [file.name for file in dumps] == ["01-drop-identity.onnx", "02-fold-batchnorm-into-conv.onnx"]
    assert [len(onnx.load(file).graph.node) for file in dumps] == [3, 2]


def test_another_seed_gives_other_weights_and_the_same_seed_the_same() -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        ok("build", "tiny.yaml", "--seed", str(seed), "-o", f"{name}.onnx")
    a, b, c = (Path(f"{name}.onnx").read_bytes() for name in "abc")
    assert a == b != c


class Wrong(ir.passes.InPlacePass):
    """Doubles the first weight."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        value = next(iter(model.graph.initializers.values()))
        value.const_value = ir.tensor(2 * value.const_value.numpy(), name=value.name)
        return ir.passes.PassResult(model, True)


def test_a_failed_check_writes_nothing_and_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphc.pipeline.onnx_ir_passes", lambda: {"wrong": Wrong})
    Path("model-optimised.onnx").write_text("older")
    said = fails(1, "build", "model.onnx", "-p", "wrong")
    assert "numerics/output-mismatch" in said
    assert Path("model-optimised.onnx").read_text() == "older"
    ok("build", "model.onnx", "-p", "wrong", "--no-verify")
    assert Path("model-optimised.onnx").read_bytes() != b"older"


def test_the_tolerance_is_what_the_rewrites_declare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphc.compilation, "derive", lambda *_: EXACT)
    assert "exceeds 0 (bit-equal" in fails(1, "build", "model.onnx")


def test_a_pass_that_is_no_rewrite_says_whether_it_changed_anything() -> None:
    twice = Case("", lambda g: (lambda x: g.Add(g.Relu(x), g.Relu(x)))(g.input(2, 3))).model()
    ir.save(twice, "twice.onnx")
    text = ok("build", "twice.onnx", "-p", "drop-identity,common-subexpression-elimination,name-fix")
    assert re.search(r"^1 other that did not fire +0 +0 +\d", text, re.M)
    assert re.search(r"^common-subexpression-elimination +changed +−1 ", text, re.M)
    assert re.search(r"^name-fix +− +\d", text, re.M)


def test_no_passes_are_no_passes() -> None:
    text = ok("build", "tiny.yaml", "-p", "")
    assert "\nno passes\n" in text
    assert re.search(r"^nodes +3 +3$", text, re.M)


@pytest.mark.parametrize("name", onnx_ir_passes())
def test_options_are_accepted_as_they_are_printed(name: str) -> None:
    printed = json.loads(ok("explain", name, "--format", "json"))["options"]
    plain = {key: value for key, value in printed.items() if re.fullmatch(r"\w+", value) and value != "None"}
    Pipeline(f"{name}{{{','.join(f'{key}={value.lower()}' for key, value in plain.items())}}}")


def test_uncosted_operators_are_shown_and_never_counted_as_nothing() -> None:
    text = """<ir_version: 8, opset_import: ["" : 20, "com.microsoft" : 1]>
              g (float[2, 3] x) => (float[2, 3] y) { [act] y = com.microsoft.Gelu(x) }"""
    onnx.save(onnx.parser.parse_model(text), "gelu.onnx")
    text = ok("build", "gelu.onnx")
    assert re.search(r"^compute +unknown +unknown$", text, re.M)
    assert "uncosted before: 1 node: Gelu 'act'" in text
    assert "uncosted" in ok("render", "gelu.onnx").splitlines()[-1]
    assert "depends" not in text


def test_a_size_that_nothing_declares_is_named_where_it_keeps_a_cost_from_being_known() -> None:
    text = """<ir_version: 8, opset_import: ["" : 20]>
              g (float[b, 3, 8, h] x) => (float[b, 2, d, e] y)
              <float[2, 3, 1, 1] w = {1, 2, 3, 4, 5, 6}, float[2, 2, 1, 1] v = {1, 2, 3, 4}> {
                p = Conv(x, w)  q = Relu(p)  r = Conv(q, v)  s = Relu(r)  t = Conv(s, v)  y = Relu(t)
              }"""
    onnx.save(onnx.parser.parse_model(text), "dynamic.onnx")
    text = ok("build", "dynamic.onnx", "-p", "")
    assert re.search(r"^compute +unknown +unknown$", text, re.M)
    assert "uncosted before: 6 nodes: 3 Conv, 3 Relu\n" in text
    assert "the cost depends on b, h; graphc cost with --dim b=1 --dim h=1 counts it" in text
    counted = ok("cost", "dynamic.onnx", "--dim", "b=1", "--dim", "h=1")
    assert "uncosted" not in counted
    assert "depends" not in ok("build", "dynamic.onnx", "-p", "", "--dim", "b=1", "--dim", "h=1")


def test_a_model_whose_weights_can_be_overridden_gets_a_note() -> None:
    model = conv_bn()
    model.graph.inputs.extend(model.graph.initializers.values())
    ir.save(model, "open.onnx")
    assert "note: 5 initializers " in ok("build", "open.onnx")
    assert "note:" not in ok("build", "open.onnx", "--freeze-inputs")
    assert len(onnx.load("open-optimised.onnx").graph.node) == 2
    assert "fires at no places" in ok("explain", "fold-batchnorm-into-conv", "open.onnx")
    assert "fires at 1 place " in ok("explain", "fold-batchnorm-into-conv", "open.onnx", "--freeze-inputs")
    for options, sets in (((), 4), (("--freeze-inputs",), 3)):  # one more that overrides the initializers
        assert f"with {sets} sets of inputs" in ok("check", "open.onnx", "open.onnx", *options)
    ok("check", "tiny.yaml", "tiny.yaml", "--freeze-inputs", "--seeds", "1")


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("specs/can.yaml@can24", "can-can24.onnx"),
        ("can.yaml", "can.onnx"),
        ("shufflenet_v2.yaml@x0.5", "shufflenet_v2-x0.5.onnx"),
        ("models/net.onnx", "net-optimised.onnx"),
        ("a@b.onnx", "a@b-optimised.onnx"),
    ],
)
def test_default_output(source: str, output: str) -> None:
    assert default_output(source) == Path(output)


USER_ERRORS = [
    (2, "no such file", ["build", "absent.onnx"]),
    (2, "absent.yaml", ["build", "absent.yaml"]),
    (2, "no such directory", ["build", "tiny.yaml", "-o", "absent/out.onnx"]),
    (2, "overwrite what the model is made from", ["build", "model.onnx", "-o", "model.onnx"]),
    (2, "overwrite what the model is made from", ["build", "tiny.yaml@wide", "-o", "tiny.yaml"]),
    (2, "--set is for specs", ["build", "model.onnx", "--set", "width=3"]),
    (2, "--seed is for specs", ["build", "model.onnx", "--seed", "3"]),
    (2, "--target is for specs", ["explain", "drop-identity", "model.onnx", "--target", "gpu"]),
    (2, "--freeze-inputs is for models", ["explain", "drop-identity", "tiny.yaml", "--freeze-inputs"]),
    (2, "give --force", ["build", "model.onnx", "-o", "model.onnx"]),
    (2, "no dimension 'H'", ["render", "model.onnx", "--dim", "H=3"]),
    (1, "--limit graph-nodes=10", ["check", "model.onnx", "model.onnx", "--limit", "graph-nodes=1"]),
    (2, "--set takes NAME=VALUE", ["build", "tiny.yaml", "--set", "width"]),
    (2, "did you mean 'graph-nodes'?", ["build", "tiny.yaml", "--limit", "graph-node=3"]),
    (2, "at least 1", ["build", "tiny.yaml", "--limit", "graph-nodes=0"]),
    (2, "takes an integer", ["build", "tiny.yaml", "--limit", "graph-nodes=many"]),
    (1, "spec/limit-exceeded", ["build", "tiny.yaml", "--limit", "graph-nodes=1"]),
    (1, "did you mean 'fold-batchnorm-into-conv'?", ["build", "tiny.yaml", "-p", "fold-batchnorm-in-conv"]),
    (1, "has no option 'wen'", ["build", "tiny.yaml", "-p", "drop-identity{wen=always}"]),
    (1, "did you mean 'wide'?", ["build", "tiny.yaml@wid"]),
    (1, "did you mean 'width'?", ["build", "tiny.yaml", "--set", "widht=3"]),
    (1, "spec/unknown-target", ["build", "tiny.yaml", "--target", "gpu"]),
    (1, "run/not-a-model", ["build", "text.onnx"]),
    (2, "did you mean 'conv'?", ["explain", "conf"]),
    (2, "one rewrite", ["explain", "drop-identity,drop-dropout", "model.onnx"]),
    (2, "is no rewrite", ["explain", "inference", "model.onnx"]),
    (1, "did you mean 'drop-identity'?", ["explain", "drop-identty", "model.onnx"]),
    (1, "did you mean 'conv'?", ["layers", "conf"]),
    (2, "Usage", ["render", "tiny.yaml", "--format", "svg"]),
    (2, "no such directory", ["render", "tiny.yaml", "-o", "absent/tiny.txt"]),
    (2, "overwrite what the model is made from", ["render", "tiny.yaml@wide", "-o", "tiny.yaml"]),
    (2, "absent.yaml", ["schema", "--for", "absent.yaml"]),
    (2, "absent.onnx", ["check", "model.onnx", "absent.onnx"]),
    (2, "did you mean 'n2_relu'?", ["check", "model.onnx", "model.onnx", "--tolerance", "n2_rel=1"]),
    (2, "from 0 on", ["check", "model.onnx", "model.onnx", "--rtol", "nan"]),
    (2, "no dimension", ["check", "model.onnx", "model.onnx", "--dim", "H=3"]),
    (2, "is no name", ["new", "../evil"]),
    (2, "beginning with a letter", ["new", "1abc"]),
    (2, "'conv' is a layer", ["explain", "conv", "tiny.yaml"]),
    (2, "did you mean 'convolution/checkerboard'?", ["explain", "convolution/chekerboard", "tiny.yaml"]),
    (2, "did you mean 'classifier'?", ["new", "net", "--template", "clasifier"]),
]  # fmt: skip


@pytest.mark.parametrize(("code", "message", "arguments"), USER_ERRORS)
def test_mistakes_of_users(code: int, message: str, arguments: list[str]) -> None:
    Path("text.onnx").write_text("not a protobuf")
    before = {file: file.read_bytes() for file in Path().iterdir()}
    assert message in fails(code, *arguments)
    assert {file: file.read_bytes() for file in Path().iterdir()} == before


@pytest.mark.parametrize("name", ["tiny.onnx", "tiny.onnx.data"])
def test_a_link_is_not_written_through(name: str) -> None:
    Path(name).symlink_to("model.onnx")
    before = Path("model.onnx").read_bytes()
    assert "security/symlink-or-hardlink" in fails(1, "build", "tiny.yaml")
    assert "security/symlink-or-hardlink" in fails(1, "render", "tiny.yaml", "-o", name)
    assert Path("model.onnx").read_bytes() == before


@pytest.mark.parametrize("output", ["linked.onnx", "model.onnx", "absent/model.onnx", "."])
def test_where_nothing_can_be_written_nothing_is_built(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("linked.onnx").symlink_to("model.onnx")
    monkeypatch.setattr(graphc.compilation, "compile", lambda *_, **__: pytest.fail("it was built"))
    fails(1 if output == "linked.onnx" else 2, "build", "model.onnx", "-o", output)


# ---------------------------------------------------------------- check


def test_check_compares_a_spec_with_what_was_built_from_it() -> None:
    ok("build", "tiny.yaml")
    value = json.loads(ok("check", "tiny.yaml", "tiny.onnx", "--dim", "H=9", "--seeds", "2", "--format", "json"))
    assert (value["passed"], value["dims"]["H"], len(value["feeds"])) == (True, 9, 2)
    assert value["outputs"][0]["name"] == "y"


def test_check_ends_with_1_where_models_differ_unless_told_that_they_may() -> None:
    model = conv_bn()
    Wrong()(model)
    ir.save(model, "other.onnx")
    result = run("check", "model.onnx", "other.onnx")
    assert (result.exit_code, result.stderr) == (1, "")
    assert "FAILED" in result.stdout
    for generous in (["--rtol", "9"], ["--atol", "1e9"], ["--tolerance", "n2_relu=9"]):
        assert ok("check", "model.onnx", "other.onnx", *generous).startswith("the models agree\n")


def test_check_of_different_interfaces_is_a_finding() -> None:
    ir.save(Case("", lambda g: g.Relu(g.input(1, 2))).model(), "other.onnx")
    assert "run/interface-differs" in fails(1, "check", "model.onnx", "other.onnx")


# ---------------------------------------------------------------- render


def test_render_shows_every_node_in_its_scope() -> None:
    lines = ok("render", "tiny.yaml").splitlines()
    assert lines[:2] == ["input   x  f32[1, 3, H, 8]", "output  y  f32[1, 4, H, 8]"]
    assert [line.split()[1:3] for line in lines[-3:]] == [
        ["conv", "Conv"],
        ["batch_norm", "BatchNormalization"],
        ["y", "Relu"],
    ]


def nested() -> None:
    Path("nested.yaml").write_text(
        SPEC.replace("  - batch_norm\n", "  - repeat: 3\n    do: [residual: [{conv: {out: =width, act: relu}}]]\n")
    )


def test_a_tree_adds_up_and_folds_below_a_depth() -> None:
    nested()
    root = json.loads(ok("render", "nested.yaml", "--format", "json"))

    def leaves(part: dict) -> list[dict]:
        return [part] if "node" in part else [leaf for child in part["children"] for leaf in leaves(child)]

    ok("build", "nested.yaml", "-p", "name-fix", "--no-verify")
    assert len(leaves(root)) == len(onnx.load("nested.onnx").graph.node)
    assert root["macs"] == sum(leaf["macs"] for leaf in leaves(root))
    assert root["macs"] == 16 * 8 * 9 * 4 * (3 + 3 * 4)
    assert root["parameters"] == 9 * 4 * 3 + 3 * (9 * 4 * 4 + 4)
    folded = ok("render", "nested.yaml", "--depth", "1")
    assert "repeat.1: 3 nodes" in folded
    assert "residual" not in folded


def test_a_tree_has_the_parameters_that_a_build_counts() -> None:
    Path("tiny.yaml").write_text(SPEC.replace("batch_norm", "adaptive_norm"))
    counted = 9 * 4 * 3 + 4 + 2  # filter, shift, and the scalars λ and μ
    assert json.loads(ok("render", "tiny.yaml", "--format", "json"))["parameters"] == counted
    built = json.loads(ok("build", "tiny.yaml", "--format", "json"))
    assert built["before"]["parameters"] == counted


def test_expanded_names_the_line_of_the_spec() -> None:
    nested()
    lines = ok("render", "nested.yaml", "--expanded").splitlines()[4:]
    assert [line.split()[0] for line in lines][2] == "repeat.0/residual/conv/act"
    text = Path("nested.yaml").read_text().splitlines()
    assert {text[int(line.rpartition(":")[2]) - 1].strip()[:9] for line in lines[1:3]} == {"do: [resi"}


@pytest.mark.parametrize(("form", "arrow"), [("dot", "->"), ("mermaid", "-->|")])
def test_diagrams_have_every_node_and_every_edge(form: str, arrow: str) -> None:
    nested()
    ok("build", "nested.yaml", "-p", "name-fix", "--no-verify")
    graph = onnx.load("nested.onnx").graph
    weights = {tensor.name for tensor in graph.initializer}
    edges = sum(len({name for name in node.input if name and name not in weights}) for node in graph.node)
    text = ok("render", "nested.onnx", "--format", form)
    assert text.count(arrow) == edges + len(graph.output)
    assert all(f"n{index}[" in text.replace(" [", "[") for index in range(len(graph.node)))
    assert text.count("subgraph ") == len({"repeat", "residual", "conv"}) * 3
    ok("render", "nested.onnx", "--format", form, "-o", "diagram.txt")
    assert Path("diagram.txt").read_text() == text


def test_unnamed_nodes_and_equal_names_are_all_drawn() -> None:
    model = Case("", lambda g: g.Relu(g.Relu(g.Relu(g.input(2, 3))))).model()
    for node, name in zip(model.graph, ("", "a", "a/b"), strict=True):
        node.name = name
    ir.save(model, "odd.onnx")
    assert ok("render", "odd.onnx").count(" Relu  ") == 3


# ---------------------------------------------------------------- names that play tricks


@pytest.mark.parametrize(
    "arguments",
    [["build"], ["render"], ["render", "--expanded"], ["render", "--format", "dot"],
     ["render", "--format", "mermaid"], ["render", "--format", "json"], ["build", "--format", "json"]],
)  # fmt: skip
def test_names_from_a_file_cannot_reach_the_terminal(arguments: list[str]) -> None:
    model = conv_bn()
    model.graph.name = f"graph {PLAYING}"
    for node in model.graph:
        node.name = f'{PLAYING}/{node.op_type}"'
    for index, value in enumerate((*model.graph.inputs, *model.graph.outputs)):
        value.name = f"value{index} {PLAYING}"
    ir.save(model, "evil.onnx")
    verb, *options = arguments
    text = ok(verb, "evil.onnx", *options)
    if verb == "render" and "json" not in options and "mermaid" not in options:
        assert "[bold]red[/bold]" in text


def test_explain_of_a_site_is_clean() -> None:
    model = conv_bn()
    next(iter(model.graph)).name = PLAYING
    ir.save(model, "evil.onnx")
    assert "[bold]red" in ok("explain", "fold-pad-into-conv", "evil.onnx")


# ---------------------------------------------------------------- pages


def test_passes_lists_everything_that_may_stand_in_a_pipeline() -> None:
    value = json.loads(ok("passes", "--format", "json"))
    listed = {each["name"] for members in value.values() for each in members}
    assert listed == set(pass_names())
    text = ok("passes")
    assert all(each["doc"] and each["doc"] in text for members in value.values() for each in members)


@pytest.mark.parametrize("name", sorted(rewrites()))
def test_a_rewrite_s_page_has_its_law_and_every_reason(name: str) -> None:
    text, value = ok("explain", name), json.loads(ok("explain", name, "--format", "json"))
    assert "\nLaw " in text
    assert all(f"- {case['refuses']}" in text for case in value["cases"] if case["refuses"])
    assert all(condition["reason"] in text for condition in value["conditions"])
    assert value["kind"] == "rewrite"


@pytest.mark.parametrize("name", [*onnx_ir_passes(), *named_pipelines()])
def test_other_passes_have_pages_too(name: str) -> None:
    text = ok("explain", name)
    assert text.startswith(f"{name}: a ")
    assert len(text.splitlines()) > 2


def test_explain_on_a_model_tells_each_site_and_changes_no_file() -> None:
    before = Path("model.onnx").read_bytes()
    value = json.loads(ok("explain", "fold-batchnorm-into-conv", "model.onnx", "--format", "json"))
    assert value["fired"] == ["n1_batchnormalization"]
    value = json.loads(ok("explain", "fold-pad-into-conv", "model.onnx", "--format", "json"))
    assert [site["node"] for site in value["refused"]] == ["n0_conv"]
    assert value["refused"][0]["reason"] in ok("explain", "fold-pad-into-conv{when=always}", "model.onnx")
    assert "the model has no Dropout" in ok("explain", "drop-dropout", "model.onnx")
    assert Path("model.onnx").read_bytes() == before


def test_explain_counts_places_with_one_reason_and_leaves_each_to_json() -> None:
    model = Case("", lambda g: g.Conv(g.Conv(g.Relu(g.input(1, 3, 8, 8)), g.weight(3, 3, 3, 3)), g.weight(3, 3, 3, 3)))
    ir.save(model.model(), "convs.onnx")
    refused = json.loads(ok("explain", "fold-pad-into-conv", "convs.onnx", "--format", "json"))["refused"]
    (reason,) = {site["reason"] for site in refused}
    text = ok("explain", "fold-pad-into-conv", "convs.onnx")
    assert len(refused) == 2
    assert re.findall(r"^refused.*", text, re.M) == [f"refused  2 places  {reason}"]


def test_explain_of_a_lint_on_a_model_tells_what_it_finds() -> None:
    name = "convolution/checkerboard"
    bad = find_lint(name).bad_cases[0].model()
    ir.save(bad, "bad.onnx")
    (expected,) = findings(bad, name)
    text = ok("explain", name, "bad.onnx")
    assert text.startswith(f"{name} finds 1 place\n")
    assert expected.message in text
    assert json.loads(ok("explain", name, "bad.onnx", "--format", "json"))["findings"][0]["node"] == expected.node
    assert ok("explain", name, "model.onnx") == f"{name} finds no places\n"


def test_layers_lists_every_layer_once() -> None:
    listed = [each["name"] for each in json.loads(ok("layers", "--format", "json"))]
    assert sorted(listed) == sorted(layers())
    text = ok("layers")
    assert all(re.search(rf"^  {name} +\S", text, re.M) for name in layers())


@pytest.mark.parametrize("name", layers())
def test_a_layer_s_page_names_every_parameter(name: str) -> None:
    text = ok("layers", name)
    assert text == ok("explain", name)
    for parameter, field in layers()[name].model_fields.items():
        row = re.search(rf"^  {parameter}\b.*$", text, re.M)
        assert row
        assert ("required" in row[0]) == field.is_required()
        assert (field.description or "") in row[0]


def test_schema_is_json_and_knows_a_spec_s_own_words() -> None:
    assert json.loads(ok("schema"))["$schema"].startswith("http://json-schema.org/draft-07/")
    Path("own.yaml").write_text(SPEC.replace("nodes:", "blocks: {shiny: {do: [relu]}}\nnodes:"))
    assert "shiny" in ok("schema", "--for", "own.yaml")
    assert "shiny" not in ok("schema")


def test_env_reports_versions_and_no_paths() -> None:
    value = json.loads(ok("env", "--format", "json"))
    assert value["packages"]["onnx"] == onnx.__version__
    assert "cpu" in value["providers"]
    assert not re.search(r"[/\\]", ok("env"))


@pytest.mark.parametrize("template", [file.stem for file in TEMPLATES.glob("*.yaml")])
def test_every_template_builds_and_says_what_to_do_next(template: str) -> None:
    Path("specs").mkdir()
    said = ok("new", "first_net", "--template", template, "-o", "specs")
    command = said.splitlines()[-1].removeprefix("next: graphc ")
    ok(*command.split())
    graph = onnx.load("first_net.onnx").graph
    assert graph.name == "first_net"
    written = Path("specs/first_net.yaml").read_text()
    assert "NAME" not in written
    assert "first_net' exists" not in fails(2, "new", "first_net", "-o", "specs")
    assert Path("specs/first_net.yaml").read_text() == written
    assert template in ok("new", "--help")


# ---------------------------------------------------------------- numbers and lines


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (12_345, "12.3 kB"), (999_499, "999 kB"),
     (999_500, "1.00 MB"), (8_200_000_000, "8.20 GB"), (10**21, "1000 EB")],
)  # fmt: skip
def test_quantity(value: int, shown: str) -> None:
    assert quantity(value, "B") == shown


@given(st.integers(1, 10**20))
def test_a_quantity_is_right_to_three_digits(value: int) -> None:
    number, unit = quantity(value, "B").split()
    factor = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}[unit[:-1]]
    assert float(number) * factor == pytest.approx(value, rel=0.005 + 1e-9)


def test_durations_and_changes() -> None:
    assert [duration(s) for s in (0.00004, 0.0031, 0.25, 2.4)] == ["0.0 ms", "3.1 ms", "250 ms", "2.40 s"]
    assert [change(*pair) for pair in ((100, 50), (1000, 1001), (3, 3), (0, 3), (10**6, 10**6 + 1))] == [
        "−50 %", "+0.1 %", "", "", "≈0 %",
    ]  # fmt: skip


@given(st.lists(st.text("ab 一x", max_size=30), min_size=1, max_size=4), st.integers(20, 90))
def test_a_wrapped_line_keeps_its_words_and_fits(words: list[str], width: int) -> None:
    line = "  ".join(words)
    parts = wrapped(line, width).splitlines()
    assert " ".join(parts).split() == line.split()
    longest = max((len(word) for word in line.split()), default=0)
    assert all(len(part) <= max(width, width - 20 + longest) for part in parts)


def test_columns_line_up_whatever_stands_in_them() -> None:
    rows = [("名前", "1", "x"), ("name", "10,000", ""), (f"a{PLAYING}", "2", "y")]
    lines = table(rows, "<><").splitlines()
    assert lines[1].endswith("10,000")
    assert lines[0].index("1") + 2 == len(lines[1]) - 1  # each of the two wide characters fills two columns
    assert not any("\x1b" in line for line in lines)
