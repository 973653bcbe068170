"""`graphc cost` and `graphc cost diff`: what they print, what options change, how they end."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import onnx_ir as ir
import pytest
from typer.testing import CliRunner, Result

from graphc.analysis.conventions import CONVENTIONS
from graphc.analysis.optimizers import PER_ELEMENT
from graphc.cases import Case
from graphc.cli import app
from graphc.cli.cost import By, Convention, DiffFormat, Format, Optimizer, Sort
from graphc.report import cost_rows
from graphc.report.sheet import SETTERS

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
  - {id: head, conv: {out: 2, k: 1}}
  - {id: y, op: relu}
train:
  inputs: {t: "f32[N, 2, H, 8]"}
  losses: [{op: mse, from: [y, t]}]
  optimizer: {sgd: {lr: 0.1}}
  batch: 4
  steps: 10
weights: {init: he_normal, seed: 0}
"""
PIXELS, STEM, HEAD = 16 * 8, 9 * 3 * 4, 4 * 2  # filters per pixel of the two convolutions
PARAMS = STEM + HEAD + 2
FLOAT = 4  # bytes
FORMATS = ("text", "json", "csv", "md", "html")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRAPHC_DEBUG", raising=False)
    Path("tiny.yaml").write_text(SPEC)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["cost", *arguments])


def ok(*arguments: str) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def fails(code: int, *arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == code
    assert "json" in arguments or result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


def value(*arguments: str) -> dict[str, Any]:
    return json.loads(ok(*arguments, "--format", "json"))


def save(name: str, build: Any) -> None:
    ir.save(Case("", build).model(), name)


# ---------------------------------------------------------------- what it prints


def test_json_has_the_keys_of_schema_1() -> None:
    found = value("tiny.yaml", "--train")
    directions = ["forward", "filter_grad", "input_grad"]
    assert (found["schema"], found["model"]) == (1, "tiny")
    assert {"schema", "model", "unit", "totals", "memory", "nodes", "uncosted"} <= found.keys()
    for name in ("macs", "effective_macs", "flops", "bytes"):
        assert list(found["totals"][name]) == directions
        assert all(list(node[name]) == directions for node in found["nodes"])
    assert {"weights", "gradients", "optimizer", "saved_activations", "peak_training", "peak_inference"} <= found[
        "memory"
    ].keys()
    assert all({"name", "op_type"} <= node.keys() for node in found["nodes"])
    assert found["uncosted"] == []


def test_the_numbers_are_those_of_the_network() -> None:
    found = value("tiny.yaml", "--train")
    macs, memory = found["totals"]["macs"], found["memory"]
    assert found["totals"]["params"] == PARAMS
    assert macs["forward"] == macs["filter_grad"] == PIXELS * (STEM + HEAD)
    assert macs["input_grad"] == PIXELS * HEAD  # nobody wants that of the image
    assert memory["weights"] == memory["gradients"] == PARAMS * FLOAT
    assert found["optimizer"] == {"name": "sgd", "flops": 2 * PARAMS}


def test_output_is_the_same_bytes_in_every_process() -> None:
    runs = [["cost", "tiny.yaml", "--train", "--format", format] for format in FORMATS]
    code = f"from graphc.cli import app\nfor arguments in {runs}: app(arguments, standalone_mode=False)"

    def printed(seed: str, columns: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8", "COLUMNS": columns}
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, encoding="utf-8", check=True
        ).stdout

    here = "".join(ok(*arguments[1:]) for arguments in runs)
    assert printed("1", "40") == printed("2", "200") == here


def test_text_shows_what_a_step_is_counted_at() -> None:
    lines = ok("tiny.yaml", "--train").splitlines()
    assert lines[:3] == ["tiny.yaml: a training step", "x 1×3×16×8, t 1×2×16×8", "with its loss"]
    assert "optimizer" in "".join(lines)
    lines = ok("tiny.yaml").splitlines()
    assert lines[:2] == ["tiny.yaml: an inference", "x 1×3×16×8"]
    assert not any("gradient" in line or "optimizer" in line for line in lines)


def test_a_model_has_no_loss_and_trains_its_weights() -> None:
    save("model.onnx", lambda g: g.Relu(g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3))))
    assert "without a loss" in ok("model.onnx", "--train")
    assert value("model.onnx", "--train")["totals"]["params"] == 4 * 3 * 9


def test_by_depth_sort_and_top_choose_the_rows() -> None:
    def names(*options: str) -> list[str]:
        return [line["name"] for line in csv.DictReader(io.StringIO(ok("tiny.yaml", "--format", "csv", *options)))]

    assert names()[-2:] == ["head", "y"]
    assert names("--by", "op") == ["Conv", "Relu"]
    assert names("--sort", "total")[0] == names()[0] != "head"
    assert names("--sort", "bytes", "--top", "1") != names("--sort", "total", "--top", "2")
    assert names("--sort", "name") == sorted(names())
    assert names("--by", "block", "--depth", "9") == names()
    table = ok("tiny.yaml", "--by", "node", "--top", "1")
    assert "2 more nodes" in table


def test_conventions_explain_published_numbers() -> None:
    save("up.onnx", lambda g: g.ConvTranspose(g.input(1, 2, 5, 5), g.weight(2, 3, 4, 4), strides=[2, 2]))
    dense, on_the_output = 5 * 5 * 2 * 3 * 16, 12 * 12 * 2 * 3 * 16

    def total(convention: str) -> int:
        page = ok("up.onnx", "--convention", convention)
        (line,) = re.findall(rf"^{convention} .* ([\d,]+) (?:MAC|FLOP)$", page, re.M)
        return int(line.replace(",", ""))

    assert total("macs") == dense
    assert total("torch") == 2 * dense
    assert total("fvcore") == dense
    assert total("legacy-output-grid") == on_the_output


# ---------------------------------------------------------------- what options change


def test_batch_multiplies_the_work_and_what_is_saved_but_not_the_weights() -> None:
    one, four = value("tiny.yaml", "--train"), value("tiny.yaml", "--train", "--batch", "4")
    for direction, count in one["totals"]["macs"].items():
        assert four["totals"]["macs"][direction] == 4 * count
    assert four["memory"]["saved_activations"] == 4 * one["memory"]["saved_activations"] > 0
    assert four["memory"]["weights"] == one["memory"]["weights"]


def test_freeze_takes_filter_gradients_and_the_input_gradients_behind_them() -> None:
    all_train = value("tiny.yaml", "--train")
    stem = all_train["nodes"][0]["name"]
    frozen = value("tiny.yaml", "--train", "--freeze", f"{stem}*")
    assert frozen["totals"]["macs"] == {
        "forward": PIXELS * (STEM + HEAD),
        "filter_grad": PIXELS * HEAD,
        "input_grad": 0,
    }
    assert (frozen["totals"]["params"], frozen["totals"]["frozen"]) == (HEAD + 2, STEM)
    assert frozen["memory"]["gradients"] == FLOAT * (HEAD + 2)


def test_optimizer_and_precision_change_bytes_only() -> None:
    sgd, adam = value("tiny.yaml", "--train"), value("tiny.yaml", "--train", "--optimizer", "adam")
    assert (sgd["memory"]["optimizer"], adam["memory"]["optimizer"]) == (0, 2 * PARAMS * FLOAT)
    half = value("tiny.yaml", "--train", "--precision", "bf16")
    assert half["totals"]["macs"] == sgd["totals"]["macs"]
    assert {d: 2 * n for d, n in half["totals"]["bytes"].items()} == sgd["totals"]["bytes"]


def test_dims_parameters_and_variants_are_those_of_the_spec() -> None:
    assert value("tiny.yaml", "--dim", "H=32")["totals"]["macs"]["forward"] == 2 * PIXELS * (STEM + HEAD)
    wide = value("tiny.yaml@wide")
    assert wide["totals"]["macs"]["forward"] == 2 * PIXELS * (STEM + HEAD)
    assert value("tiny.yaml", "--set", "width=8")["totals"] == wide["totals"]


# ---------------------------------------------------------------- a device

PROFILE = "name: toy\nmacs_per_second: {fp32: 1e6, bf16: 4e6}\nbytes_per_second: 1e6\nseconds_per_node: 6e-4\n"


def test_a_device_bounds_the_time_of_two_nodes() -> None:
    """[4, 8] times [8, 16], then Relu: 2 operations per multiply-add, every operand read once, every result written."""
    save("two.onnx", lambda g: g.Relu(g.MatMul(g.input(4, 8), g.weight(8, 16))))
    Path("toy.yaml").write_text(PROFILE)
    flops, moved = 2 * 4 * 8 * 16, FLOAT * (4 * 8 + 8 * 16 + 4 * 16)
    elementwise, through = 4 * 16, FLOAT * 2 * 4 * 16
    found = value("two.onnx", "--device", "toy.yaml")["roofline"]
    product, relu = found["nodes"]
    assert (found["device"], found["precision"]) == ("toy", "fp32")
    assert [product["direction"], relu["direction"]] == ["forward", "forward"]
    assert [product["by"], relu["by"]] == ["memory", "overhead"]
    assert product["intensity"] == flops / moved
    assert relu["intensity"] == elementwise / through
    times = [moved / 1e6 + 6e-4, through / 1e6 + 6e-4]
    assert flops / 2e6 < moved / 1e6
    assert through / 1e6 < 6e-4 < moved / 1e6
    exactly = pytest.approx(times, rel=4 * sys.float_info.epsilon)  # a quotient and a sum, each rounded twice
    assert [product["seconds"], relu["seconds"]] == exactly
    total = pytest.approx(sum(times), rel=8 * sys.float_info.epsilon)
    assert found["seconds"] == {"forward": total, "filter_grad": 0, "input_grad": 0}


def test_text_says_at_best_and_what_bounds_it() -> None:
    save("two.onnx", lambda g: g.Relu(g.MatMul(g.input(4, 8), g.weight(8, 16))))
    Path("toy.yaml").write_text(PROFILE)
    page = ok("two.onnx", "--device", "toy.yaml")
    after_memory = page.partition("\nmemory:")[2]
    assert "at best on toy, fp32:" in after_memory
    assert "a bound, not a prediction" in after_memory
    # 896 + 600 and 512 + 600 microseconds
    assert re.search(r"^forward +2.61 ms +0.0 % +57.4 % +42.6 %$", after_memory, re.M)
    assert re.search(r"^ *1.50 ms +57.4 % +1.14 +memory +n0_matmul: MatMul$", after_memory, re.M)
    assert re.search(r"^ *1.11 ms +42.6 % +0.125 +overhead +n1_relu: Relu$", after_memory, re.M)
    table = ok("two.onnx", "--device", "toy.yaml", "--by", "node")
    assert re.search(r"^forward +at best +bound by +share +node$", table, re.M)
    assert re.search(r"^512 MAC +1.50 ms +memory +100.0 % .*n0_matmul: MatMul$", table, re.M)


def test_without_a_device_nothing_is_bounded() -> None:
    with_device = value("tiny.yaml", "--train", "--device", "h100-sxm")
    assert with_device.pop("roofline")["device"] == "h100-sxm"
    assert with_device == value("tiny.yaml", "--train")
    assert "at best" not in ok("tiny.yaml", "--train")


def test_a_peak_is_that_of_the_precision() -> None:
    """3x3 over 64 channels does 9 * 64 multiply-adds per output: a toy that moves bytes fast is bound by its peak."""
    save("conv.onnx", lambda g: g.Conv(g.input(1, 64, 8, 8), g.weight(64, 64, 3, 3)))
    Path("toy.yaml").write_text(PROFILE.replace("bytes_per_second: 1e6", "bytes_per_second: 1e12"))
    macs = 6 * 6 * 64 * 64 * 9
    for precision, peak in (("fp32", 1e6), ("bf16", 4e6)):
        found = value("conv.onnx", "--device", "toy.yaml", "--precision", precision)["roofline"]
        assert (found["precision"], found["nodes"][0]["by"]) == (precision, "compute")
        assert found["seconds"]["forward"] == pytest.approx(macs / peak + 6e-4, rel=8 * sys.float_info.epsilon)


@pytest.mark.parametrize("by", ["node", "block", "op"])
def test_csv_has_the_least_seconds_however_nodes_are_grouped(by: str) -> None:
    arguments = ("tiny.yaml", "--train", "--device", "h100-sxm")
    lines = list(csv.DictReader(io.StringIO(ok(*arguments, "--format", "csv", "--by", by))))
    seconds = value(*arguments)["roofline"]["seconds"]
    rounding = 32 * sys.float_info.epsilon  # of at most 9 bounds that are added in another order
    assert sum(float(line["seconds"]) for line in lines) == pytest.approx(sum(seconds.values()), rel=rounding)
    named = {by for line in lines for by in line["bound_by"].split(", ") if by}
    assert named == {each["by"] for each in value(*arguments)["roofline"]["nodes"]}


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_holds_what_stdout_would(format: str) -> None:
    assert ok("tiny.yaml", "--format", format, "-o", "out") == ""
    assert Path("out").read_text(encoding="utf-8") == ok("tiny.yaml", "--format", format)
    assert sorted(file.name for file in Path().iterdir()) == ["out", "tiny.yaml"]


def test_a_file_is_replaced_as_a_whole_and_never_through_a_link() -> None:
    Path("out").write_text("older")
    Path("link").symlink_to("out")
    ok("tiny.yaml", "-o", "out")
    assert "older" not in Path("out").read_text()
    assert "security/symlink-or-hardlink" in fails(1, "tiny.yaml", "-o", "link")


def test_a_device_stays_one() -> None:
    ok("tiny.yaml", "-o", os.devnull)
    assert Path(os.devnull).is_char_device()


# ---------------------------------------------------------------- diff


def test_diff_shows_what_differs_and_ends_with_0() -> None:
    page = ok("diff", "tiny.yaml", "tiny.yaml@wide")
    assert page.startswith("tiny.yaml → tiny.yaml@wide\n")
    assert re.search(rf"^params +{PARAMS} +{2 * (STEM + HEAD) + 2} +\+98 %$", page, re.M)
    assert re.search(r"^training_macs +[\d.]+ kMAC +[\d.]+ kMAC +\+100 %$", page, re.M)
    assert re.search(r"kMAC .* head: Conv$", page, re.M)
    assert "nothing differs" in ok("diff", "tiny.yaml", "tiny.yaml")


def test_diff_as_json_has_every_measure_and_the_nodes() -> None:
    found = json.loads(ok("diff", "tiny.yaml", "tiny.yaml@wide", "--format", "json"))
    forward, input_grad = PIXELS * (STEM + HEAD), PIXELS * HEAD
    assert found["measures"]["training_macs"] == {
        "before": {"value": 2 * forward + input_grad, "complete": True},
        "after": {"value": 2 * (2 * forward + input_grad), "complete": True},
    }
    assert found["measures"]["nodes"]["before"]["value"] == 3
    changes = [each["after"]["macs"] - each["before"]["macs"] for each in found["nodes"]]
    assert changes == sorted(changes, reverse=True)
    assert sum(changes) == 2 * forward + input_grad


def test_diff_names_nodes_that_come_and_go() -> None:
    save("a.onnx", lambda g: g.Relu(g.Relu(g.input(2, 3))))
    save("b.onnx", lambda g: g.Abs(g.Relu(g.input(2, 3))))
    page = ok("diff", "a.onnx", "b.onnx")
    assert re.search(r" removed +n1_relu: Relu$", page, re.M)
    assert re.search(r" added +n1_abs: Abs$", page, re.M)


@pytest.mark.parametrize(
    ("threshold", "code"),
    [
        ("training_macs:+100%", 0),
        ("training_macs:+99.9%", 1),
        ("training_macs: +100 %", 0),
        (f"params:+{STEM + HEAD}", 0),
        (f"params:+{STEM + HEAD - 1}", 1),
        ("params:+1e3", 0),
        ("params:-0", 0),
        ("nodes:+0", 0),
        ("peak_training_bytes:+0%", 1),
    ],
)
def test_a_threshold_is_passed_beyond_it_only(threshold: str, code: int) -> None:
    result = run("diff", "tiny.yaml", "tiny.yaml@wide", "--fail-if", threshold)
    assert (result.exit_code, result.stderr) == (code, "")
    assert ("failed:" in result.stdout) == bool(code)


def test_thresholds_hold_downwards_too_and_all_that_fail_are_told() -> None:
    result = run("diff", "tiny.yaml@wide", "tiny.yaml", "--fail-if", "params:-1", "--fail-if", "params:+0",
                 "--fail-if", "training_flops:-10%", "--format", "json")  # fmt: skip
    assert result.exit_code == 1
    assert json.loads(result.stdout)["failed"] == ["params:-1", "training_flops:-10%"]


def test_a_threshold_on_what_is_not_known_fails() -> None:
    model = Case("", lambda g: g.Relu(g.Abs(g.input(2, 3)))).model()
    model.graph[0].domain = "example"
    model.opset_imports["example"] = 1
    ir.save(model, "strange.onnx")
    result = run("diff", "strange.onnx", "strange.onnx", "--fail-if", "inference_flops:+50%", "--fail-if", "nodes:+0")
    assert result.exit_code == 1
    assert re.search(r"^inference_flops:\+50% +a part is not known", result.stdout, re.M)
    assert "nodes:+0" not in result.stdout


# ---------------------------------------------------------------- mistakes


MISTAKES = [
    (2, "Usage", []),
    (2, "Usage", ["diff", "tiny.yaml"]),
    (2, "Usage", ["tiny.yaml", "--format", "xml"]),
    (2, "Usage", ["tiny.yaml", "--convention", "ops"]),
    (2, "Usage", ["tiny.yaml", "--top", "0"]),
    (2, "absent.yaml", ["absent.yaml"]),
    (2, "no such directory", ["tiny.yaml", "-o", "absent/out"]),
    (2, "overwrite what the model is made from", ["tiny.yaml", "-o", "tiny.yaml"]),
    (2, "overwrite what the model is made from", ["diff", "tiny.yaml", "tiny.yaml@wide", "-o", "tiny.yaml"]),
    (2, "JSON holds every node", ["tiny.yaml", "--format", "json", "--top", "3"]),
    (2, "shipped profiles: cpu-avx2-8, h100-sxm", ["tiny.yaml", "--device", "h100"]),
    (2, "absent.yaml", ["tiny.yaml", "--device", "absent.yaml"]),
    (2, "is no device profile", ["tiny.yaml", "--device", "tiny.yaml"]),
    (2, "has no fp16", ["tiny.yaml", "--device", "cpu-avx2-8", "--precision", "fp16"]),
    (2, "add --train", ["tiny.yaml", "--optimizer", "adam"]),
    (2, "forward pass only", ["tiny.yaml", "--train", "--convention", "fvcore"]),
    (2, "no parameter matches 'nothing*'", ["tiny.yaml", "--train", "--freeze", "nothing*"]),
    (2, "--set is for specs", ["model.onnx", "--set", "width=3"]),
    (2, "--set is for specs", ["diff", "model.onnx", "model.onnx", "--set", "width=3"]),
    (1, "spec/", ["tiny.yaml", "--dim", "Q=3"]),
    (2, "known: params, nodes, inference_macs", ["diff", "tiny.yaml", "tiny.yaml", "--fail-if", "speed:+1%"]),
    (2, "is no threshold", ["diff", "tiny.yaml", "tiny.yaml", "--fail-if", "params:1%"]),
    (2, "is no threshold", ["diff", "tiny.yaml", "tiny.yaml", "--fail-if", "params"]),
]


@pytest.mark.parametrize(("code", "message", "arguments"), MISTAKES)
def test_mistakes_of_users(code: int, message: str, arguments: list[str]) -> None:
    save("model.onnx", lambda g: g.Relu(g.input(2, 3)))
    before = {file: file.read_bytes() for file in Path().iterdir()}
    assert message in fails(code, *arguments)
    assert {file: file.read_bytes() for file in Path().iterdir()} == before


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("flops", ["inference_flops", "training_flops"]),
        ("macs", ["forward_macs", "training_macs"]),
        ("bytes", ["training_bytes", "peak_training_bytes"]),
        ("ops", ["training_macs", "training_flops", "2 per multiply-add"]),
        ("size", ["weights_bytes", "peak_inference_bytes"]),
    ],
)
def test_a_measure_that_does_not_say_which_is_refused_with_the_choice(name: str, choices: list[str]) -> None:
    said = fails(2, "diff", "tiny.yaml", "tiny.yaml", "--fail-if", f"{name}:+1%")
    assert all(choice in said for choice in choices)


def test_choices_are_those_of_the_library() -> None:
    """They are written twice so that `graphc --help` need not import the library."""

    def choices(part: Any) -> set[str]:
        """The strings in `Annotated[Literal[...] | None, ...]`."""
        return {part} if isinstance(part, str) else set().union(*map(choices, get_args(part)))

    assert choices(Convention) == set(CONVENTIONS)
    assert choices(Optimizer) == set(PER_ELEMENT)
    assert choices(By) == choices(cost_rows.By)
    assert choices(Sort) == choices(cost_rows.Sort)
    assert choices(Format) == {"json", "csv", *SETTERS}
    assert choices(DiffFormat) == {"json", *SETTERS}


def test_help_has_examples_and_names_both_verbs() -> None:
    assert "graphc cost resnet.yaml@r18 --train" in ok("--help").partition("Examples:")[2]
    assert "--device h100-sxm" in ok("--help").partition("Examples:")[2]
    assert "graphc cost diff" in ok("diff", "--help").partition("Examples:")[2]
    assert ok("diff", "--help").startswith("Usage: ")
    assert "cost diff [OPTIONS]" in ok("diff", "--help")
