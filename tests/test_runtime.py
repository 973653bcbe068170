"""ONNX Runtime sessions: options, providers, failures, temporary files; and what `graphc env` shows."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from nets import Net, plain

import graphc.model
from graphc.errors import GraphcError
from graphc.runtime.environment import environment
from graphc.runtime.session import providers, session

X = np.array([[1.0, -2.0]], np.float32)


def relu(shape=(1, 2), dtype=ir.DataType.FLOAT):
    net = Net()
    y = net.op("Relu", net.input("x", list(shape), dtype))
    y.type = ir.TensorType(dtype)
    return net.model(y=y)


def test_a_model_and_its_file_run_alike(tmp_path):
    graphc.model.save(relu(), tmp_path / "relu.onnx")
    for source in (relu(), tmp_path / "relu.onnx", str(tmp_path / "relu.onnx")):
        with session(source, threads=1) as run:
            assert (run.inputs, run.outputs) == (("x",), ("y",))
            assert np.array_equal(run.run({"x": X})["y"], np.maximum(X, 0))


@pytest.mark.parametrize(("optimise", "level"), [(False, "ORT_DISABLE_ALL"), (True, "ORT_ENABLE_ALL")])
def test_the_optimiser_and_spinning_are_off_unless_asked_for(optimise, level):
    with session(plain(), optimise=optimise) as run:
        settings = run.raw.get_session_options()
    assert settings.graph_optimization_level.name == level
    assert settings.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_float16_runs_and_bfloat16_is_refused_clearly():
    with session(relu(dtype=ir.DataType.FLOAT16)) as run:
        assert run.run({"x": X.astype(np.float16)})["y"].dtype == np.float16
    net = Net()
    y = net.op("Identity", net.input("x", [1, 2], ir.DataType.BFLOAT16))
    y.type = ir.TensorType(ir.DataType.BFLOAT16)
    with session(net.model(y=y)) as run, pytest.raises(GraphcError, match="no numpy array of type bfloat16"):
        run.run({"x": X.astype(ir.DataType.BFLOAT16.numpy())})


@pytest.mark.parametrize(
    ("feeds", "says"),
    [
        ({}, "no value for the inputs x"),
        ({"x": X, "z": X}, "Invalid input name: z"),
        ({"x": X.astype(np.float64)}, "tensor(double)"),
        ({"x": X.astype(">f4")}, "no numpy array of type float32"),
        ({"x": np.zeros((1, 3), np.float32)}, "Got: 3 Expected: 2"),
    ],
)
def test_wrong_feeds_are_errors(feeds, says):
    with session(relu()) as run, pytest.raises(GraphcError) as caught:
        run.run(feeds)
    assert caught.value.code == "run/session-failed"
    assert says in caught.value.message


def failing(kind):
    net = Net()
    x = net.input("x", ["N", 3, 4, 4])
    if kind == "channels":
        return net.model(y=net.op("Conv", x, net.normal(2, 5, 1, 1)))
    if kind == "reshape":
        return net.model(y=net.op("Reshape", x, net.weight(np.array([5, 5]))))
    if kind == "broadcast":
        return net.model(y=net.op("Add", x, net.input("b", ["M"])))
    return net.model(y=net.op("NoSuchOperator", x))


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("channels", "Conv 'conv0': Input channels C is not equal"),
        ("reshape", "Reshape 'reshape0': The input tensor cannot be reshaped"),
        ("broadcast", "Add 'add0': Attempting to broadcast"),
        ("operator", "NoSuchOperator"),
    ],
)
def test_a_failure_is_onnx_runtimes_message_without_its_sources(kind, says):
    with pytest.raises(GraphcError) as caught, session(failing(kind)) as run:
        run.run(
            {"x": np.zeros((1, 3, 4, 4), np.float32), "b": np.zeros(3, np.float32)}
            if kind == "broadcast"
            else {"x": np.zeros((1, 3, 4, 4), np.float32)}
        )
    message = caught.value.message
    assert caught.value.code == "run/session-failed"
    assert says in message
    assert not any(
        noise in message for noise in ("onnxruntime_src", "ONNXRuntimeError", "Status Message", ".cc:", ".h:", "\n")
    )


@pytest.mark.skipif("cuda" in providers(), reason="this machine has the provider")
def test_a_missing_provider_says_what_to_install():
    with pytest.raises(GraphcError) as caught:
        session(relu(), provider="cuda")
    error = caught.value
    assert (error.code, error.exit_code) == ("run/provider-missing", 2)
    assert "it has: cpu" in error.message
    assert "pip install 'graphc[gpu]'" in error.hint


def test_an_unknown_provider_is_wrong_usage():
    with pytest.raises(GraphcError, match="no provider 'tpu'") as caught:
        session(relu(), provider="tpu")
    assert caught.value.hint == "choose one of cpu, cuda"


@pytest.mark.skipif("cuda" not in providers(), reason="needs onnxruntime-gpu")
def test_cuda_agrees_with_the_cpu_in_full_float32():
    from graphc.runtime.difference import measure
    from graphc.runtime.tolerance import rounding

    x = {"x": np.random.default_rng(0).standard_normal((1, 3, 24, 24)).astype(np.float32)}
    with session(plain(), provider="cuda") as gpu, session(plain()) as cpu:
        assert measure("y", cpu.run(x)["y"], gpu.run(x)["y"], rounding(plain()), condition=2).passed


def test_large_models_go_through_a_temporary_file(monkeypatch, tmp_path):
    monkeypatch.setattr("graphc.runtime.session.INLINE_BYTES", 1000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model = plain()
    x = {"x": np.ones((1, 3, 24, 24), np.float32)}
    with session(model) as run:
        (folder,) = tmp_path.iterdir()
        assert sorted(file.name for file in folder.iterdir()) == ["model.onnx", "model.onnx.data"]
        found = run.run(x)["y"]
    assert list(tmp_path.iterdir()) == []
    assert not any(isinstance(v.const_value, ir.ExternalTensor) for v in model.graph.initializers.values())
    monkeypatch.undo()
    with session(model) as run:
        assert np.array_equal(found, run.run(x)["y"])


def test_a_session_that_cannot_open_leaves_no_files(monkeypatch, tmp_path):
    monkeypatch.setattr("graphc.runtime.session.INLINE_BYTES", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    net = Net()
    model = net.model(y=net.op("NoSuchOperator", net.input("x", [1]), net.normal(4)))
    with pytest.raises(GraphcError):
        session(model)
    assert list(tmp_path.iterdir()) == []


def test_importing_graphc_runtime_does_not_import_onnxruntime():
    modules = "graphc.runtime.equivalence, graphc.runtime.environment"
    code = f"import sys, {modules}; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_failing_session_writes_nothing_to_stderr(capfd):
    with pytest.raises(GraphcError):
        session(failing("operator"))
    with session(failing("channels")) as run, pytest.raises(GraphcError):
        run.run({"x": np.zeros((1, 3, 4, 4), np.float32)})
    assert capfd.readouterr().err == ""


def test_the_environment_names_versions_and_nothing_private():
    found = environment()
    assert found["python"] == platform.python_version()
    assert found["packages"]["numpy"] == np.__version__
    assert {"onnx", "onnx-ir", "onnxruntime"} <= found["packages"].keys()
    assert "cpu" in found["providers"]
    assert found["cpus"] >= 1
    text = json.dumps(found)
    assert not any(private in text for private in (str(Path.home()), os.getcwd(), platform.node()))
