"""Hostile files through `graphc lint`: each is a finding of its code, in little memory and without a traceback.

A run lints all files of a group in one worker, whose peak memory the launcher reports. That each alone takes under two
seconds is measured by benchmarks/hostile_times.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import onnx
import pytest
from test_hostile import BODY, EXPRESSIONS, HEAD, MEMORY, NPZ, PATIENCE, PROJECTS, SAFETENSORS, YAML

from graphc.linting.lint import lints

GRAPHC = str(Path(sys.executable).with_name("graphc"))
LAUNCHER = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
peak = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print("peak", peak, "exit", done.returncode, file=sys.stderr)
"""
DENSE = 'graphc: 1\ninputs: {x: "f32[1, 3]"}\noutputs: [y]\nnodes: [{id: y, dense: {out: 2, bias: false}}]\n'
CODES = {1: "a finding", 2: "wrong usage or a missing file"}


def linted(folder: Path, files: list[str], codes: Container[int] = CODES) -> dict[str, list[dict[str, Any]]]:
    """The findings by file, of one run that ends as it should."""
    command = [sys.executable, "-c", LAUNCHER, GRAPHC, "lint", *files, "--output-format", "json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    *rest, last = done.stderr.splitlines()
    _, peak, _, code = last.split()
    assert rest == [], done.stderr
    assert int(peak) < MEMORY
    assert int(code) in codes, (done.stderr, done.stdout)
    found: dict[str, list[dict[str, Any]]] = {file: [] for file in files}
    for each in json.loads(done.stdout)["findings"]:
        found[each["source"]].append(each)
    return found


def check(folder: Path, files: Mapping[str, str]) -> None:
    """Each file, and the code of the error that is found in it."""
    found = linted(folder, list(files))
    for file, code in files.items():
        errors = [each["name"] for each in found[file] if each["severity"] == "error"]
        assert code in errors, (file, found[file])
        assert "run/plugin-failed" not in errors
        assert "run/worker-died" not in errors


def specs(folder: Path, cases: Mapping[str, tuple[bytes, str]]) -> dict[str, str]:
    (folder / "graphc.toml").touch()  # the project's root
    for name, (content, _) in cases.items():
        (folder / f"{name}.yaml").write_bytes(content)
    return {f"{name}.yaml": code for name, (_, code) in cases.items()}


def test_yaml(tmp_path: Path) -> None:
    check(tmp_path, specs(tmp_path, {name: (content, code) for name, (content, code, _) in YAML.items()}))


def scripts(folder: Path) -> dict[str, str]:
    """Specs with hostile expressions, blocks and imports."""
    cases = {
        name: (f"{HEAD}let:\n  b: ={expression}\n{BODY}".encode(), code)
        for name, (expression, code) in EXPRESSIONS.items()
    }
    return specs(folder, cases | {name: (text.encode(), code) for name, (text, code, _) in PROJECTS.items()})


def test_expressions_blocks_and_imports(tmp_path: Path) -> None:
    check(tmp_path, scripts(tmp_path))


def weights(folder: Path, suffix: str, cases: Mapping[str, tuple[bytes, str]]) -> dict[str, str]:
    """Each as the weights of a spec whose one parameter, 2 x 3, is the file's w."""
    (folder / "graphc.toml").touch()
    files = {}
    for name, (content, code) in cases.items():
        (folder / f"{name}.{suffix}").write_bytes(content)
        named = f'{{{suffix}: {name}.{suffix}, map: {{"y/weight": w}}}}'
        (folder / f"{name}.yaml").write_text(f"{DENSE}weights: {named}\n")
        files[f"{name}.yaml"] = code
    return files


@pytest.mark.parametrize(("suffix", "cases"), [("npz", NPZ), ("safetensors", SAFETENSORS)], ids=["npz", "safetensors"])
def test_weights(tmp_path: Path, suffix: str, cases: Mapping[str, tuple[bytes, str]]) -> None:
    check(tmp_path, weights(tmp_path, suffix, cases))


def hostile_models(folder: Path) -> dict[str, str]:
    """The bad cases of every security lint that is about a model, as files; and the code of each."""
    files = {}
    for name, each in lints().items():
        for index, case in enumerate(each.bad_cases):
            if each.category == "security" and each.severity == "error" and case.kind == "file":
                place = folder / f"{name.replace('/', '-')}-{index}"
                place.mkdir()
                (place / "graphc.toml").touch()
                files[str(case.write(place).relative_to(folder))] = name
    return files


def test_models_and_archives_of_the_lints(tmp_path: Path) -> None:
    check(tmp_path, hostile_models(tmp_path))


STFT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[1, 0, 1] x, int64 step) => (float[N, M, K, 2] y) { y = STFT(x, step) }"""
LAYER_NORM = """<ir_version: 8, opset_import: ["" : 17]>
g (float[] x, float[1] s) => (float[] y) { y = LayerNormalization <axis = 3> (x, s) }"""
SPLIT = """<ir_version: 8, opset_import: ["" : 20]>
g (float[7] x) => (float[3] a, float[4] b) { a, b = Split <num_outputs = 3> (x) }"""
BATCH_NORM = """<ir_version: 8, opset_import: ["" : 20]>
g (float[1, 3, 4, 4] x, float[5] s) => (float[1, 3, 4, 4] y) { y = BatchNormalization(x, s, s, s, s) }"""


@pytest.mark.parametrize("text", [LAYER_NORM, SPLIT, BATCH_NORM], ids=["layer norm", "split", "batch norm"])
def test_what_has_crashed_checkers_is_no_pass(tmp_path: Path, text: str) -> None:
    """onnx#6187, #3642, #3629: found, and the process lives."""
    (tmp_path / "net.onnx").write_bytes(onnx.parser.parse_model(text).SerializeToString())
    assert linted(tmp_path, ["net.onnx"])["net.onnx"]


def test_a_model_that_has_crashed_checkers_is_survived(tmp_path: Path) -> None:
    """onnx#6186: ONNX takes it today, so whatever is said of it will do."""
    (tmp_path / "net.onnx").write_bytes(onnx.parser.parse_model(STFT).SerializeToString())
    linted(tmp_path, ["net.onnx"], codes=(0, 1))


def test_nothing_outside_the_folder_is_read(tmp_path: Path) -> None:
    """A file that lies outside cannot even be opened: its name leads to a pipe that nobody writes to."""
    os.mkfifo(tmp_path / "secret")
    model = tmp_path / "model"
    model.mkdir()
    tensor = onnx.TensorProto(name="w", dims=[2, 3], data_type=1, data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../secret")
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 20]> g (float[2, 3] x) => (float[2, 3] y) { y = Add(x, w) }'
    )
    proto.graph.initializer.append(tensor)
    (model / "net.onnx").write_bytes(proto.SerializeToString())
    (found,) = linted(model, ["net.onnx"])["net.onnx"]
    assert found["name"] == "security/external-path-escape"


def test_there_are_hostile_models(tmp_path: Path) -> None:
    assert len(hostile_models(tmp_path)) > 20
