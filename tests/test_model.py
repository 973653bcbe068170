"""Loading by policy (initializers that are inputs) and saving: whole or not at all."""

import os
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from light import FOLDER, light_models
from nets import plain

import graphc.model
from graphc.errors import GraphcError
from graphc.model import data_file, load, require_writable, save

# ---------------------------------------------------------------- initializers that are inputs


@pytest.mark.parametrize("name", light_models())
def test_ir3_models_keep_their_overridable_inputs_unless_frozen(name):
    path = FOLDER / f"light_{name}.onnx"
    model, frozen = load(path), load(path, freeze_inputs=True)
    assert model.opset_imports[""] == 9
    assert [value.name for value in frozen.graph.inputs] == [
        value.name for value in model.graph.inputs if not value.is_initializer()
    ]
    assert all(value.is_graph_input() for value in model.graph.initializers.values())
    assert frozen.graph.initializers.keys() == model.graph.initializers.keys()
    assert not any(value.is_graph_input() for value in frozen.graph.initializers.values())
    assert model.ir_version == frozen.ir_version == 4
    onnx.checker.check_model(ir.to_proto(model))
    onnx.checker.check_model(ir.to_proto(frozen))


# ---------------------------------------------------------------- writing


def test_what_is_written_is_read_again(tmp_path):
    model = plain()
    save(model, tmp_path / "model.onnx")
    again = load(tmp_path / "model.onnx")
    assert ir.to_proto(again) == ir.to_proto(model)
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_large_weights_go_beside_the_model(tmp_path, monkeypatch):
    monkeypatch.setattr(graphc.model, "INLINE_BYTES", 1000)
    model = plain()
    save(model, tmp_path / "big.onnx")
    assert sorted(os.listdir(tmp_path)) == ["big.onnx", "big.onnx.data"]
    again = load(tmp_path / "big.onnx")
    large = [v for v in again.graph.initializers.values() if isinstance(v.const_value, ir.ExternalTensor)]
    assert large
    assert {v.const_value.location for v in large} == {"big.onnx.data"}
    for name, value in model.graph.initializers.items():
        assert not isinstance(value.const_value, ir.ExternalTensor)
        assert np.array_equal(value.const_value.numpy(), again.graph.initializers[name].const_value.numpy())


def test_weights_of_a_data_file_follow_the_model(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(graphc.model, "INLINE_BYTES", 1000)
    save(plain(), tmp_path / "model.onnx")
    monkeypatch.undo()
    save(load(tmp_path / "model.onnx"), tmp_path / "out" / "copy.onnx")
    (tmp_path / "model.onnx.data").unlink()
    copy = load(tmp_path / "out" / "copy.onnx")
    for name, value in plain().graph.initializers.items():
        assert np.array_equal(copy.graph.initializers[name].const_value.numpy(), value.const_value.numpy())


def test_sources_are_not_overwritten_without_force(tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    save(plain(), path)
    before = path.read_bytes()
    with pytest.raises(GraphcError, match="would overwrite what the model is made from") as caught:
        save(plain(1), tmp_path / "." / "model.onnx", sources=[path])
    assert caught.value.code == "run/usage"
    assert path.read_bytes() == before
    save(plain(1), path, sources=[path], force=True)
    assert path.read_bytes() != before
    save(plain(), path)
    assert path.read_bytes() == before


def test_what_may_not_be_written_is_known_before_there_is_a_model(tmp_path):
    (tmp_path / "model.onnx").write_text("precious")
    (tmp_path / "linked.onnx.data").symlink_to(tmp_path / "model.onnx")
    linked, own = tmp_path / "linked.onnx", tmp_path / "model.onnx"
    for files, sources, code in [
        ([linked, data_file(linked)], [], "security/symlink-or-hardlink"),
        ([own], [tmp_path / "." / "model.onnx"], "run/usage"),
        ([tmp_path], [], "run/usage"),
        ([tmp_path / "no" / "x.onnx"], [], "run/file-not-found"),
    ]:
        with pytest.raises(GraphcError) as caught:
            require_writable(*files, sources=sources)
        assert caught.value.code == code
    require_writable(own, data_file(own), sources=[own], force=True)
    require_writable(tmp_path / "new.onnx", sources=[own])


def test_a_data_file_in_use_is_not_overwritten_without_force(tmp_path, monkeypatch):
    monkeypatch.setattr(graphc.model, "INLINE_BYTES", 1000)
    path = tmp_path / "model.onnx"
    save(plain(), path)
    model = load(path)
    expected = {name: value.const_value.numpy().copy() for name, value in model.graph.initializers.items()}
    with pytest.raises(GraphcError):
        save(load(path), path)
    save(load(path), path, force=True)
    for name, value in load(path).graph.initializers.items():
        assert np.array_equal(value.const_value.numpy(), expected[name])


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx.data"])
def test_links_are_never_written_through(tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / name).symlink_to(victim)
    with pytest.raises(GraphcError) as caught:
        save(plain(), tmp_path / "model.onnx", force=True)
    assert caught.value.code == "security/symlink-or-hardlink"
    assert victim.read_text() == "precious"


def test_a_hard_link_keeps_the_old_content(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "model.onnx").hardlink_to(victim)
    save(plain(), tmp_path / "model.onnx")
    assert victim.read_text() == "precious"


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    path = tmp_path / "model.onnx"
    path.write_text("old")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(GraphcError, match="No space left") as caught:
        save(plain(), path)
    assert caught.value.code == "run/write-failed"
    assert os.listdir(tmp_path) == ["model.onnx"]
    assert path.read_text() == "old"


@pytest.mark.parametrize(("name", "code"), [("no/dir/x.onnx", "run/file-not-found"), (".", "run/usage")])
def test_places_that_cannot_be_written(tmp_path, name, code):
    (tmp_path / "sub").mkdir()
    with pytest.raises(GraphcError) as caught:
        save(plain(), tmp_path / "sub" / name if name != "." else tmp_path / "sub")
    assert caught.value.code == code


def test_the_mode_follows_the_umask(tmp_path, monkeypatch):
    monkeypatch.setattr(graphc.model, "INLINE_BYTES", 1000)
    old = os.umask(0o022)
    try:
        save(plain(), tmp_path / "model.onnx")
    finally:
        os.umask(old)
    modes = {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes == {0o644}


def test_a_sparse_initializer_becomes_a_dense_one(tmp_path: Path) -> None:
    values = onnx.TensorProto(name="k", data_type=1, dims=[2], float_data=[2.0, 3.0])
    indices = onnx.TensorProto(data_type=7, dims=[2], int64_data=[1, 3])
    graph = onnx.GraphProto(name="g")
    graph.node.add(op_type="Add", input=["x", "k"], output=["y"])
    for infos, name in ((graph.input, "x"), (graph.output, "y")):
        tensor = infos.add(name=name).type.tensor_type
        tensor.elem_type = 1
        tensor.shape.dim.add(dim_value=4)
    graph.sparse_initializer.add(values=values, indices=indices, dims=[4])
    model = onnx.ModelProto(
        ir_version=10, graph=graph, opset_import=[onnx.OperatorSetIdProto(domain="ai.onnx", version=20)]
    )
    path = tmp_path / "sparse.onnx"
    path.write_bytes(model.SerializeToString())
    loaded = load(path)
    assert loaded.graph.initializers["k"].const_value.numpy().tolist() == [0, 2, 0, 3]
    assert loaded.opset_imports == {"": 20}
