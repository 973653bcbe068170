"""Hostile and broken ONNX files: what is refused, and under which code."""

import os

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from nets import plain
from onnx import TensorProto, parser

from graphc.errors import GraphcError
from graphc.limits import Limits
from graphc.model import load, save
from graphc.runtime.session import session

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)


def refused(path, **arguments):
    with pytest.raises(GraphcError) as caught:
        load(path, **arguments)
    return caught.value


def external_tensor(location="w.bin", *, dims=(2, 3), dtype=TensorProto.FLOAT, **entries):
    tensor = TensorProto(name="w", data_type=dtype, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def model_proto(tensor=None):
    """y = x + w, with w as given."""
    proto = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 20]> g (float[2, 3] x) => (float[2, 3] y) { y = Add(x, w) }'
    )
    if tensor is not None:
        proto.graph.initializer.append(tensor)
    return proto


@pytest.fixture
def folder(tmp_path):
    """A model directory with good data in it, and a secret outside."""
    (tmp_path / "secret").write_bytes(VALUES.tobytes())
    inside = tmp_path / "model"
    (inside / "sub").mkdir(parents=True)
    (inside / "w.bin").write_bytes(VALUES.tobytes())
    (inside / "sub" / "w.bin").write_bytes(b"12345678" + VALUES.tobytes())
    return inside


def written(folder, proto):
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


# ---------------------------------------------------------------- external data


@pytest.mark.parametrize(
    "tensor",
    [
        external_tensor(),
        external_tensor(offset=0, length=24, checksum="abc"),
        external_tensor("sub/w.bin", offset=8),
        external_tensor("./sub//w.bin", offset=8, length=24),
    ],
)
def test_good_external_data_is_read(folder, tensor, monkeypatch):
    path = written(folder, model_proto(tensor))
    monkeypatch.chdir(folder)  # a path without a directory is where onnx_ir skips its own checks
    for name in (path, "model.onnx"):
        model = load(name)
        assert np.array_equal(model.graph.initializers["w"].const_value.numpy(), VALUES)
        with session(model) as run:
            assert np.array_equal(run.run({"x": VALUES})["y"], VALUES + VALUES)


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("../secret", "security/external-path-escape"),
        ("sub/../../secret", "security/external-path-escape"),
        ("sub/../w.bin", "security/external-path-escape"),
        ("..\\secret", "security/external-path-escape"),
        ("sub\\w.bin", "security/external-path-escape"),
        ("", "security/external-path-escape"),
        (".", "security/external-path-escape"),
        ("sub", "security/external-path-escape"),
        ("pipe", "security/external-path-escape"),
        ("w.bin\0", "security/external-path-escape"),
        ("x" * 5000, "security/external-path-escape"),
        ("{folder}/w.bin", "security/absolute-path"),
        ("/dev/zero", "security/absolute-path"),
        ("C:\\w.bin", "security/absolute-path"),
        ("C:/w.bin", "security/absolute-path"),
        ("\\\\host\\share", "security/absolute-path"),
        ("link", "security/symlink-or-hardlink"),
        ("inner-link", "security/symlink-or-hardlink"),
        ("linked/secret", "security/symlink-or-hardlink"),
        ("hard", "security/symlink-or-hardlink"),
        ("missing", "graph/external-data-missing"),
        ("w.bin/x", "graph/external-data-missing"),
    ],
)
def test_bad_locations_are_refused(folder, location, code):
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to(folder.parent / "secret")
    (folder / "inner-link").symlink_to(folder / "sub" / "w.bin")
    (folder / "linked").symlink_to(folder.parent)
    (folder / "hard").hardlink_to(folder.parent / "secret")
    proto = model_proto(external_tensor(location.format(folder=folder)))
    assert refused(written(folder, proto)).code == code


@pytest.mark.parametrize(
    ("tensor", "code"),
    [
        (external_tensor(length=10**12), "security/external-range"),
        (external_tensor(length=23), "security/external-range"),
        (external_tensor(offset=-8), "security/external-range"),
        (external_tensor(offset=4096), "security/external-range"),
        (external_tensor(offset=4), "security/external-range"),
        (external_tensor(offset="abc"), "security/external-range"),
        (external_tensor(offset="٣"), "security/external-range"),
        (external_tensor(offset="9" * 5000), "security/external-range"),
        (external_tensor(dims=(1 << 20, 1 << 20)), "security/external-range"),
        (external_tensor(dims=(1 << 62, 1 << 62)), "security/external-range"),
        (external_tensor(dims=(-2, -3)), "security/external-range"),
        (external_tensor(dtype=TensorProto.STRING), "security/external-range"),
        (external_tensor(dtype=TensorProto.UNDEFINED), "run/not-a-model"),
        (external_tensor(dtype=TensorProto.DOUBLE), "security/external-range"),
        (external_tensor(dtype=999), "run/not-a-model"),
        (external_tensor(__class__="x"), "security/unknown-external-key"),
        (external_tensor(basepath="/etc"), "security/unknown-external-key"),
    ],
)
def test_bad_ranges_and_keys_are_refused(folder, tensor, code):
    assert refused(written(folder, model_proto(tensor))).code == code


def test_a_repeated_key_is_refused(folder):
    tensor = external_tensor()
    tensor.external_data.add(key="location", value="../secret")
    assert refused(written(folder, model_proto(tensor))).code == "security/unknown-external-key"


def attribute(tensor):
    return onnx.AttributeProto(name="value", type=onnx.AttributeProto.TENSOR, t=tensor)


def hidden(tensor, place):
    """A model that holds the tensor somewhere else than among its initializers."""
    proto = model_proto(TensorProto(name="w", data_type=1, dims=(2, 3), raw_data=VALUES.tobytes()))
    node = onnx.NodeProto(op_type="Constant", output=["c"], attribute=[attribute(tensor)])
    inner = onnx.GraphProto(name="inner", initializer=[tensor])
    sparse = onnx.SparseTensorProto(values=tensor, indices=tensor, dims=[9])
    if place == "node":
        proto.graph.node.insert(0, node)
    if place in ("subgraph", "subgraphs"):
        single = place == "subgraph"
        kind = onnx.AttributeProto.GRAPH if single else onnx.AttributeProto.GRAPHS
        holder = onnx.AttributeProto(
            name="then_branch", type=kind, g=inner if single else None, graphs=[] if single else [inner]
        )
        proto.graph.node.append(onnx.NodeProto(op_type="If", output=["i"], attribute=[holder]))
    if place == "function":
        proto.functions.add(name="f", domain="d", output=["c"], node=[node])
    if place == "function default":
        proto.functions.add(name="f", domain="d", output=["c"], attribute_proto=[attribute(tensor)])
    if place == "sparse":
        proto.graph.sparse_initializer.append(sparse)
    if place == "sparse attribute":
        node.attribute[0].CopyFrom(onnx.AttributeProto(name="sparse_value", type=11, sparse_tensor=sparse))
        proto.graph.node.insert(0, node)
    if place == "training":
        proto.training_info.add(initialization=inner)
    return proto


PLACES = (
    "node",
    "subgraph",
    "subgraphs",
    "function",
    "function default",
    "sparse",
    "sparse attribute",
    "training",
)


@pytest.mark.parametrize("place", PLACES)
def test_tensors_are_checked_wherever_they_hide(folder, place):
    escape = external_tensor("../secret")
    assert refused(written(folder, hidden(escape, place))).code == "security/external-path-escape"
    short = TensorProto(name="t", data_type=1, dims=(1 << 40,), raw_data=b"1234")
    assert refused(written(folder, hidden(short, place))).code == "security/tensor-larger-than-file"


def test_external_data_of_an_attribute_is_read(folder):
    proto = parser.parse_model('<ir_version: 8, opset_import: ["" : 20]> g () => (float[2, 3] y) { y = Constant() }')
    proto.graph.node[0].attribute.append(attribute(external_tensor()))
    with session(written(folder, proto)) as run:
        assert np.array_equal(run.run({})["y"], VALUES)


@pytest.mark.parametrize("place", ["subgraph", "function", "default"])
def test_external_data_of_functions_is_read_and_travels_with_the_model(folder, tmp_path, place, monkeypatch):
    proto = parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 20, "d" : 1]> g (float[2, 3] x) => (float[2, 3] y) { y = d.f(x) }'
        '<domain: "d", opset_import: ["" : 20]> f (a) => (b) { c = Constant<value = bool {1}>() b = If(c) <'
        "then_branch = t () => (r) { r = Add(a, w) }, else_branch = e () => (q) { q = Relu(a) }> }"
        if place == "subgraph"
        else '<ir_version: 9, opset_import: ["" : 20, "d" : 1]> g (float[2, 3] x) => (float[2, 3] y) { y = d.f(x) }'
        '<domain: "d", opset_import: ["" : 20]> f (a) => (b) { w = Constant() b = Add(a, w) }'
    )
    body = proto.functions[0]
    if place == "subgraph":
        branch = next(each for each in body.node[1].attribute if each.name == "then_branch")
        branch.g.initializer.append(external_tensor())
    elif place == "function":
        body.node[0].attribute.append(attribute(external_tensor()))
    else:
        body.attribute_proto.append(attribute(external_tensor()))
        kind = onnx.AttributeProto.TENSOR
        body.node[0].attribute.append(onnx.AttributeProto(name="value", ref_attr_name="value", type=kind))
    model = load(written(folder, proto))
    save(model, tmp_path / "copy.onnx")
    (folder / "w.bin").unlink()
    for source in (model, tmp_path / "copy.onnx"):
        with session(source) as run:
            assert np.array_equal(run.run({"x": VALUES})["y"], VALUES + VALUES)


# ---------------------------------------------------------------- structure


@pytest.mark.parametrize(
    "tensor",
    [
        TensorProto(name="w", data_type=1, dims=(2, 3), float_data=VALUES.flat),
        TensorProto(name="w", data_type=1, dims=(2, 3), raw_data=VALUES.tobytes()),
        TensorProto(name="w", data_type=TensorProto.COMPLEX64, dims=(2,), float_data=[1, 2, 3, 4]),
        TensorProto(name="w", data_type=TensorProto.INT4, dims=(3,), int32_data=[1, 2]),
        TensorProto(name="w", data_type=TensorProto.INT4, dims=(3,), raw_data=b"12"),
        TensorProto(name="w", data_type=TensorProto.STRING, dims=(2,), string_data=[b"a", b"b"]),
        TensorProto(name="w", data_type=TensorProto.FLOAT16, dims=(2,), int32_data=[1, 2]),
        TensorProto(name="w", data_type=1, dims=(0, 3)),
        TensorProto(name="w", data_type=1, float_data=[1]),
    ],
)
def test_inline_tensors_of_every_kind_are_accepted(tmp_path, tensor):
    assert load(written(tmp_path, model_proto(tensor))).graph.initializers["w"].const_value is not None


@pytest.mark.parametrize(
    "tensor",
    [
        TensorProto(name="w", data_type=1, dims=(2, 3), float_data=[1]),
        TensorProto(name="w", data_type=1, dims=(2, 3)),
        TensorProto(name="w", data_type=1, dims=(1 << 20, 1 << 20), raw_data=b"0" * 64),
        TensorProto(name="w", data_type=1, dims=(-2, -3), float_data=VALUES.flat),
        TensorProto(name="w", data_type=1, dims=(2,), raw_data=b"0" * 9),
        TensorProto(name="w", data_type=TensorProto.STRING, dims=(1 << 50,), string_data=[b"a"]),
    ],
)
def test_inline_tensors_must_hold_what_they_declare(tmp_path, tensor):
    assert refused(written(tmp_path, model_proto(tensor))).code == "security/tensor-larger-than-file"


def functions(*bodies):
    """A model that calls f0; each body is the names of the functions it calls."""
    proto = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 20, "d" : 1]> g (float[2] x) => (float[2] y) { y = d.f0(x) }'
    )
    for index, calls in enumerate(bodies):
        function = proto.functions.add(name=f"f{index}", domain="d", input=["a"], output=["b"])
        function.opset_import.add(domain="", version=20)
        function.opset_import.add(domain="d", version=1)
        for step, call in enumerate(calls):
            domain = "d" if call.startswith("f") else ""
            source, target = (
                ("a" if step == 0 else f"t{step - 1}"),
                ("b" if step == len(calls) - 1 else f"t{step}"),
            )
            function.node.add(domain=domain, op_type=call, input=[source], output=[target])
    return proto


def test_functions_are_counted_once_expanded(tmp_path):
    doubling = [[f"f{index + 1}"] * 2 for index in range(24)] + [["Relu"]]
    error = refused(written(tmp_path, functions(*doubling)))
    assert error.code == "security/expansion-bomb"
    assert "20000 nodes once its functions are expanded" in error.message
    modest = functions(["f1", "f1", "Relu"], ["Relu", "Relu"])
    assert len(load(written(tmp_path, modest), limits=Limits(graph_nodes=5)).functions) == 2
    assert refused(written(tmp_path, modest), limits=Limits(graph_nodes=4)).code == "security/expansion-bomb"


@pytest.mark.parametrize("bodies", [[["f0"]], [["f1"], ["f0"]], [["f1"], ["f2"], ["Relu", "f1"]]])
def test_functions_that_call_themselves_are_refused(tmp_path, bodies):
    error = refused(written(tmp_path, functions(*bodies)))
    assert error.code == "security/expansion-bomb"
    assert "in a circle" in error.message


def test_a_long_chain_of_functions_is_no_recursion_for_us(tmp_path):
    chain = [[f"f{index + 1}"] for index in range(5000)] + [["Relu"]]
    assert len(load(written(tmp_path, functions(*chain))).functions) == 5001


def test_too_many_nodes_are_refused_before_they_are_built(tmp_path):
    path = tmp_path / "model.onnx"
    save(plain(layers=4), path)
    assert refused(path, limits=Limits(graph_nodes=11)).code == "spec/limit-exceeded"
    assert len(load(path, limits=Limits(graph_nodes=12)).graph) == 12


def test_a_constant_that_would_fill_the_memory_is_refused(tmp_path):
    head = '<ir_version: 8, opset_import: ["" : 20]> g () => (float[N] y)'
    text = f"{head} <int64[2] s = {{1048576, 1048576}}> {{ y = ConstantOfShape(s) }}"
    assert refused(written(tmp_path, parser.parse_model(text))).code == "security/expansion-bomb"
    text = f"{head} {{ s = Constant<value_ints = [1099511627776]>() y = ConstantOfShape(s) }}"
    assert refused(written(tmp_path, parser.parse_model(text))).code == "security/expansion-bomb"


BOMBS = {
    "an initializer": "y = ConstantOfShape(s)",
    "a branch": "y = If(c) <then_branch = t () => (a) { a = ConstantOfShape(s) }, "
    "else_branch = e () => (b) { b = Relu(x) }>",
    "a function": "y = d.f(x)",
    "a branch in a function": "y = d.g(x)",
}


@pytest.mark.parametrize("body", BOMBS.values(), ids=BOMBS)
def test_a_constant_that_would_fill_the_memory_is_found_wherever_it_is_made(tmp_path, body):
    text = (
        '<ir_version: 8, opset_import: ["" : 20, "d" : 1]> g (float[N] x, bool c, int64[2] s) => (float[N] y) '
        f"<int64[2] s = {{1048576, 4096}}> {{ {body} }}"
        '<domain: "d", opset_import: ["" : 20]> f (a) => (b) '
        "{ s = Constant<value = int64[2] {1048576, 4096}>() big = ConstantOfShape(s) b = ReduceSum(big) }"
        '<domain: "d", opset_import: ["" : 20]> g (a) => (b) { c = Constant<value = bool {1}>() b = If(c) <'
        "then_branch = t () => (u) { s = Constant<value_ints = [1048576, 4096]>() u = ConstantOfShape(s) }, "
        "else_branch = e () => (v) { v = Relu(a) }> }"
    )
    assert refused(written(tmp_path, parser.parse_model(text))).code == "security/expansion-bomb"


@pytest.mark.parametrize(
    ("shape", "value", "limit", "small"),
    [
        ([10, 25], "", 1000, True),  # float32: 4 bytes each
        ([10, 25], "", 999, False),
        ([10, 25], "<value = double[1] {1.0}>", 1000, False),
        ([10, 25], "<value = int8[1] {1}>", 250, True),
        ([1 << 40, 0], "", 1, True),  # it is empty
    ],
)
def test_a_constant_is_as_large_as_its_bytes(tmp_path, shape, value, limit, small):
    text = (
        '<ir_version: 8, opset_import: ["" : 20]> g () => (y) '
        f"{{ s = Constant<value_ints = {shape}>() y = ConstantOfShape{value}(s) }}"
    )
    path, limits = written(tmp_path, parser.parse_model(text)), Limits(weight_bytes=limit)
    if small:
        assert len(load(path, limits=limits).graph) == 2
    else:
        assert refused(path, limits=limits).code == "security/expansion-bomb"


@pytest.mark.parametrize("shape", ["int64 s = {7}", "float[2] s = {1, 2}", 'string[1] s = {"a"}'])
def test_shapes_that_are_none_end_in_no_other_exception(tmp_path, shape):
    text = f'<ir_version: 8, opset_import: ["" : 20]> g () => (y) <{shape}> {{ y = ConstantOfShape(s) }}'
    assert len(load(written(tmp_path, parser.parse_model(text))).graph) == 1


@pytest.mark.parametrize("attributes", ["", "<value_int = 1, value_float = 2.0>"])
def test_a_constant_without_its_one_value_is_refused(tmp_path, attributes):
    text = (
        f'<ir_version: 8, opset_import: ["" : 20]> g () => (y) {{ s = Constant{attributes}() y = ConstantOfShape(s) }}'
    )
    assert refused(written(tmp_path, parser.parse_model(text))).code == "graph/checker-error"


@pytest.mark.parametrize("end", ["input", "output"])
def test_dangling_values_are_refused_and_nothing_is_printed(tmp_path, capfd, end):
    proto = model_proto()
    if end == "output":
        proto.graph.node[0].input[1] = "x"
        proto.graph.output[0].name = "w"
    error = refused(written(tmp_path, proto))
    assert error.code == "graph/dangling-input"
    assert "'w', which nothing produces" in error.message
    assert capfd.readouterr().err == ""


def test_names_that_are_not_text_are_refused(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(model_proto(external_tensor("w.bix")).SerializeToString().replace(b"w.bix", b"w.bi\xff"))
    assert refused(path).code == "run/not-a-model"


@pytest.mark.parametrize("content", [b"", b"\x00", b"not a model", b"\x08\x08", b"\xff" * 100])
def test_other_files_are_not_models(tmp_path, content):
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    assert refused(path).code == "run/not-a-model"


def test_an_attribute_without_a_type_is_refused(tmp_path):
    proto = model_proto(TensorProto(name="w", data_type=1, dims=(2, 3), raw_data=VALUES.tobytes()))
    proto.graph.node[0].attribute.add(name="axis", i=1)
    assert refused(written(tmp_path, proto)).code == "run/not-a-model"


def test_a_damaged_model_ends_in_our_error_or_loads(folder):
    """Bytes changed at random: an error of ours or a model, never another exception."""
    random = np.random.default_rng(0)
    whole = [
        ir.to_proto(plain(layers=1, channels=2)).SerializeToString(),
        hidden(external_tensor(), "subgraph").SerializeToString(),
        functions(["f1", "Relu"], ["Relu"]).SerializeToString(),
    ]
    path = folder / "damaged.onnx"
    codes = set()
    for _ in range(600):
        damaged = bytearray(whole[random.integers(len(whole))])
        for position in random.integers(0, len(damaged), 3):
            damaged[position] = random.integers(256)
        path.write_bytes(damaged)
        try:
            load(path)
            codes.add("")
        except GraphcError as error:
            codes.add(error.code)
    assert {"", "run/not-a-model", "graph/dangling-input"} <= codes


@pytest.mark.parametrize("name", ["missing.onnx", "no/such/place.onnx", "."])
def test_missing_files_and_directories(tmp_path, name):
    error = refused(tmp_path / name)
    assert (error.code, error.exit_code) == ("run/file-not-found", 2)
