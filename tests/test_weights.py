"""Weights: the statistics of each initialisation scheme, and each file format against what numpy wrote."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest
from pydantic import ValidationError
from safetensors.numpy import save_file

from graphc.errors import GraphcError, Where
from graphc.limits import Limits
from graphc.spec.doors import build
from graphc.spec.parameters import SCHEMES, Parameter, Role, initialise
from graphc.spec.weights import Weights, fill

FLOAT, HALF, BRAIN = ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16


def parameter(
    path: str,
    shape: tuple[int, ...],
    role: Role = "weight",
    *,
    init: str | dict[str, float] | None = None,
    fan_in: int = 1,
    fan_out: int = 1,
    dtype: ir.DataType = FLOAT,
) -> Parameter:
    value = ir.Value(name=path, type=ir.TensorType(dtype), shape=ir.Shape(shape))
    return Parameter(path, value, shape, role, init, fan_in, fan_out, trainable=True)


def content(p: Parameter) -> np.ndarray[Any, Any]:
    assert p.value.const_value is not None
    assert p.value.const_value.dtype == p.value.dtype
    return p.value.const_value.numpy()


# ---------------------------------------------------------------- initialisation

FILTER, FAN_IN, FAN_OUT = (96, 64, 3, 3), 64 * 9, 96 * 9
DEVIATIONS = {
    "he_normal": math.sqrt(2 / FAN_IN),
    "he_uniform": math.sqrt(2 / FAN_IN),
    "xavier_normal": math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "xavier_uniform": math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "lecun_normal": math.sqrt(1 / FAN_IN),
}


@pytest.mark.parametrize("name", DEVIATIONS)
@pytest.mark.parametrize("gain", [1.0, 0.1])
def test_schemes_have_their_spread(name: str, gain: float) -> None:
    init = name if gain == 1.0 else {name: gain}
    array = initialise(parameter("w", FILTER, init=init, fan_in=FAN_IN, fan_out=FAN_OUT))
    # Mean and variance of n draws lie within 5 standard errors: sd/√n, and sd²√((kurtosis - 1)/n) with a
    # kurtosis of at most 3 (normal). The seed fixes the draws, so this cannot fail by chance later.
    sd, n = gain * DEVIATIONS[name], array.size
    assert array.dtype == np.float32
    assert abs(array.mean()) < 5 * sd / math.sqrt(n)
    assert abs(array.var() - sd**2) < 5 * sd**2 * math.sqrt(2 / n)
    if name.endswith("uniform"):
        assert np.abs(array).max() <= np.float32(sd * math.sqrt(3))
    else:
        assert np.abs(array).max() > sd * 3


def test_every_scheme_gives_float32_of_the_shape() -> None:
    for name, scheme in SCHEMES.items():
        init = name if scheme.default is not None else {name: 0.5}
        array = initialise(parameter("w", (4, 4, 3, 3), init=init, fan_in=36, fan_out=36))
        assert array.dtype == np.float32, name
        assert array.shape == (4, 4, 3, 3), name
    for name in SCHEMES.keys() - {"orthogonal", "identity"}:
        init = name if SCHEMES[name].default is not None else {name: 0.5}
        array = initialise(parameter("w", (), init=init))
        assert array.dtype == np.float32, name
        assert array.shape == (), name


@pytest.mark.parametrize("shape", [(8, 4, 3, 3), (4, 8), (8, 2), (5, 5)])
def test_orthogonal_filters(shape: tuple[int, ...]) -> None:
    matrix = initialise(parameter("w", shape, init={"orthogonal": 2.0})).reshape(shape[0], -1).astype(float)
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    # Entries are rounded to float32 once; a dot product of k of them moves by at most 2·k·eps·|a||b|.
    bound = 2 * max(matrix.shape) * np.finfo(np.float32).eps * 4
    assert np.abs(gram - 4 * np.eye(len(gram))).max() < bound


def test_orthogonal_recurrence_is_per_gate_and_direction() -> None:
    gates = initialise(parameter("r", (2, 12, 4), "recurrent")).reshape(6, 4, 4).astype(float)
    for gate in gates:
        assert np.abs(gate @ gate.T - np.eye(4)).max() < 2 * 4 * np.finfo(np.float32).eps
    assert not np.allclose(gates[0], gates[1])


def correlate(x: np.ndarray[Any, Any], w: np.ndarray[Any, Any], groups: int) -> np.ndarray[Any, Any]:
    """Convolution of (C, H, W) with 'same' zero padding, by loops."""
    out, per, kh, kw = w.shape
    padded = np.pad(x, ((0, 0), (kh // 2, kh // 2), (kw // 2, kw // 2)))
    y = np.zeros((out, *x.shape[1:]))
    for o in range(out):
        for i in range(per):
            channel = o // (out // groups) * per + i
            for a in range(kh):
                for b in range(kw):
                    y[o] += w[o, i, a, b] * padded[channel, a : a + x.shape[1], b : b + x.shape[2]]
    return y


@pytest.mark.parametrize(("outputs", "inputs", "groups"), [(4, 4, 1), (4, 4, 2), (4, 4, 4), (6, 4, 2), (2, 4, 1)])
def test_identity_passes_channels_on(outputs: int, inputs: int, groups: int) -> None:
    shape = (outputs, inputs // groups, 3, 5)
    fans = inputs // groups * 15, outputs // groups * 15
    w = initialise(parameter("w", shape, init="identity", fan_in=fans[0], fan_out=fans[1]))
    x = np.random.default_rng(0).standard_normal((inputs, 6, 7))
    y = correlate(x, w, groups).reshape(groups, -1, 6, 7)
    by_group = x.reshape(groups, -1, 6, 7)
    kept = min(y.shape[1], by_group.shape[1])
    assert np.array_equal(y[:, :kept], by_group[:, :kept])
    assert not y[:, kept:].any()


def test_identity_needs_a_centre() -> None:
    for shape in ((4, 4, 2, 3), (4,), ()):
        with pytest.raises(GraphcError) as caught:
            initialise(parameter("body/w", shape, init="identity"))
        assert caught.value.code == "spec/bad-value"
        assert "body/w" in caught.value.message


def test_roles_choose_and_the_network_chooses_for_filters_only() -> None:
    roles: dict[Role, object] = {"bias": 0, "shift": 0, "mean": 0, "scale": 1, "variance": 1, "scalar": 1}
    for role, value in roles.items():
        assert (initialise(parameter("p", (3,), role), {"constant": 7.0}) == value).all()
    assert (initialise(parameter("p", (3,)), {"constant": 7.0}) == 7).all()
    assert (initialise(parameter("p", (3,), init="ones"), {"constant": 7.0}) == 1).all()
    assert initialise(parameter("p", (3,), fan_in=2)).std() > 0


@pytest.mark.parametrize("init", ["he_normall", "normal", "constant", {"a": 1, "b": 2}, {}])
def test_bad_initialisations(init: str | dict[str, float]) -> None:
    with pytest.raises(GraphcError) as caught:
        initialise(parameter("w", (2, 2), init=init))
    assert caught.value.code == "spec/bad-value"
    assert caught.value.hint


def test_values_depend_on_seed_and_path_alone() -> None:
    def values(order: list[str], seed: int) -> dict[str, bytes]:
        made = [parameter(path, (3, 4), fan_in=4) for path in order]
        fill(made, Weights(seed=seed), root=Path(), project=Path())
        return {p.path: content(p).tobytes() for p in made}

    assert values(["a", "b", "c"], 1) == values(["c", "a", "b"], 1)
    assert len({*values(["a", "b"], 1).values(), *values(["a", "b"], 2).values()}) == 4
    override = parameter("a", (3, 4), fan_in=4)
    fill([override], Weights(seed=1), root=Path(), project=Path(), seed=2)
    assert content(override).tobytes() == values(["a"], 2)["a"]


@pytest.mark.parametrize("dtype", [HALF, BRAIN])
def test_values_take_the_parameters_type(dtype: ir.DataType) -> None:
    narrow, wide = parameter("w", (50,), dtype=dtype), parameter("w", (50,))
    fill([narrow], Weights(), root=Path(), project=Path())
    fill([wide], Weights(), root=Path(), project=Path())
    assert np.array_equal(content(narrow), content(wide).astype(dtype.numpy()))


def test_more_weights_than_the_limit_are_refused_before_they_are_made() -> None:
    huge = parameter("w", (1 << 20, 1 << 20))
    with pytest.raises(GraphcError) as caught:
        fill([huge], Weights(), root=Path(), project=Path(), where=Where("s.yaml", 3, 1))
    assert (caught.value.code, caught.value.where) == ("spec/limit-exceeded", Where("s.yaml", 3, 1))


# ---------------------------------------------------------------- files


def arrays() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    return {
        "conv/weight": rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "conv/bias": np.array([0.0, -0.0, np.nan, np.inf], np.float32),
        "gain": np.array(2.5, np.float32),
    }


def write(kind: str, path: Path, tensors: dict[str, np.ndarray[Any, Any]]) -> None:
    if kind == "npz":
        np.savez(path, **tensors)  # type: ignore[arg-type]  # numpy's stub takes every keyword for allow_pickle
    elif kind == "safetensors":
        save_file({name: np.ascontiguousarray(array).reshape(array.shape) for name, array in tensors.items()}, path)
    else:
        made = [ir.serde.serialize_tensor(ir.tensor(array, name=name)) for name, array in tensors.items()]
        graph = onnx.GraphProto(name="weights", initializer=made)
        path.write_bytes(onnx.ModelProto(ir_version=10, graph=graph).SerializeToString())


KINDS = ["npz", "safetensors", "onnx"]


def loaded(kind: str, path: Path, wanted: list[Parameter], **options: Any) -> list[np.ndarray[Any, Any]]:
    fill(wanted, Weights.model_validate({kind: path.name, **options}), root=path.parent, project=path.parent)
    return [content(p) for p in wanted]


def failure(kind: str, path: Path, wanted: list[Parameter], **options: Any) -> GraphcError:
    with pytest.raises(GraphcError) as caught:
        loaded(kind, path, wanted, **options)
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_written_is_read_bit_for_bit(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"w.{kind}"
    write(kind, path, arrays())
    wanted = [parameter(name, array.shape) for name, array in arrays().items()]
    for found, array in zip(loaded(kind, path, wanted), arrays().values(), strict=True):
        assert found.tobytes() == array.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_does_not_fit_is_told_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"w.{kind}"
    write(kind, path, {**arrays(), "wide": np.zeros(2), "count": np.zeros(2, np.int32)})
    wanted = [
        parameter("conv/weight", (3, 4, 3, 3)),
        parameter("conv/biass", (4,)),
        parameter("gain", ()),
        parameter("wide", (2,)),
        parameter("count", (2,)),
    ]
    error = failure(kind, path, wanted)
    assert sorted(
        (e.code, next(n for n in ("conv/weight", "biass", "bias", "wide", "count") if n in e.message))
        for e in error.all
    ) == [
        ("spec/weight-missing", "biass"),
        ("spec/weight-shape", "conv/weight"),
        ("spec/weight-type", "count"),
        ("spec/weight-type", "wide"),
        ("spec/weight-unexpected", "bias"),
    ]
    assert all(path.name in e.message for e in error.all)
    assert "conv/bias" in next(e.hint for e in error.all if e.code == "spec/weight-missing")
    assert wanted[2].value.const_value is None  # nothing is filled half


def test_float_widths_of_a_networks_precision_are_interchangeable(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    write("npz", path, {"a": np.array([1 / 3], np.float32), "b": np.array([1 / 3], np.float16)})
    a, b = loaded("npz", path, [parameter("a", (1,), dtype=HALF), parameter("b", (1,))])
    assert (a.dtype, b.dtype) == (np.float16, np.float32)
    assert a[0] == np.float16(np.float32(1 / 3))
    assert b[0] == np.float16(1 / 3)


def test_float16_overflow_is_refused_and_infinity_is_not(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    write("npz", path, {"a": np.array([1e6], np.float32)})
    assert failure("npz", path, [parameter("a", (1,), dtype=HALF)]).code == "numerics/fp16-overflow"
    write("npz", path, {"a": np.array([np.inf], np.float32)})
    assert loaded("npz", path, [parameter("a", (1,), dtype=HALF)])[0] == np.inf


def test_bfloat16_of_safetensors(tmp_path: Path) -> None:
    array = np.array([1.5, -2.0], ml_dtypes.bfloat16)
    path = tmp_path / "w.safetensors"
    header = json.dumps({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + array.tobytes())
    assert loaded("safetensors", path, [parameter("a", (2,))])[0].tolist() == [1.5, -2.0]


def test_unusual_but_honest_npy_arrays(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    forms = {"fortran": np.asfortranarray(array), "big": array.astype(">f4"), "plain": array}
    for version in ((1, 0), (2, 0), (3, 0)):
        path = tmp_path / "w.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, form in forms.items():
                stream = io.BytesIO()
                np.lib.format.write_array(stream, form, version=version)
                archive.writestr(f"{name}.npy", stream.getvalue())
        for found in loaded("npz", path, [parameter(name, (2, 3, 4)) for name in forms]):
            assert found.dtype == np.float32
            assert np.array_equal(found, array)


@pytest.mark.parametrize("kind", KINDS)
def test_map_renames_one_or_a_prefix(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"w.{kind}"
    names = {
        "features.0.weight": 1.0,
        "features.0.bias": 2.0,
        "out": 3.0,
        "features.0.alpha": 4.0,
        "a.b/c": 5.0,
    }
    write(kind, path, {name: np.array([value], np.float32) for name, value in names.items()})
    wanted = [parameter(n, (1,)) for n in ("vgg/c1/weight", "vgg/c1/bias", "head/bias", "vgg/c1/scale", "a/b/c")]
    renames = {"vgg/c1/*": "features.0.*", "head/bias": "out", "vgg/c1/scale": "features.0.alpha"}
    assert [float(v[0]) for v in loaded(kind, path, wanted, map=renames)] == [1, 2, 3, 4, 5]
    error = failure(kind, path, wanted, map={"vgg/c2/*": "x.*"})
    assert error.code == "spec/unknown-name"
    assert "'vgg/c2/*'" in error.message


def test_not_strict_initialises_what_is_missing_and_ignores_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    write("npz", path, {"a": np.array([5], np.float32), "other": np.zeros(1, np.float32)})
    assert [
        float(v[0]) for v in loaded("npz", path, [parameter("a", (1,)), parameter("b", (1,), "scale")], strict=False)
    ] == [5, 1]


def test_the_hash_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    write("npz", path, {"a": np.ones(1, np.float32)})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded("npz", path, [parameter("a", (1,))], sha256=digest.upper())[0] == 1
    assert failure("npz", path, [parameter("a", (1,))], sha256="0" * 64).code == "security/hash-mismatch"


def test_files_stay_inside_the_project(tmp_path: Path) -> None:
    root, outside = tmp_path / "project", tmp_path / "secret.npz"
    root.mkdir()
    write("npz", outside, {"a": np.ones(1, np.float32)})
    (root / "link.npz").symlink_to(outside)
    (root / "folder").symlink_to(tmp_path)
    for name in (
        "../secret.npz",
        str(outside),
        "link.npz",
        "folder/secret.npz",
        "a\0b",
    ):
        with pytest.raises(GraphcError) as caught:
            fill([parameter("a", (1,))], Weights(npz=name), root=root, project=root)
        assert caught.value.code == "spec/import-escapes-project", name
    wider = parameter("a", (1,))
    fill([wider], Weights(npz="../secret.npz"), root=root, project=tmp_path)
    assert content(wider) == 1
    for name in ("none.npz", ".", ""):
        with pytest.raises(GraphcError) as caught:
            fill([parameter("a", (1,))], Weights(npz=name), root=root, project=root)
        assert caught.value.code == "run/file-not-found", name


def test_a_spec_takes_weights_from_anywhere_in_its_project(tmp_path: Path) -> None:
    for folder in ("specs", "weights"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pyproject.toml").touch()
    write("npz", tmp_path / "weights" / "w.npz", {"y.weight": np.full((1, 1, 1, 1), 7, np.float32)})
    spec = tmp_path / "specs" / "n.yaml"
    spec.write_text(
        "graphc: 1\ninputs: {x: 'f32[1, 1, 2, 2]'}\noutputs: [y]\nweights: {npz: ../weights/w.npz}\n"
        "nodes: [{id: y, pw: {out: 1, bias: false}}]\n",
        "utf-8",
    )
    assert build(spec).graph.initializers["y/weight"].const_value.numpy() == 7
    (tmp_path / "pyproject.toml").unlink()  # now the project is the folder of the spec
    with pytest.raises(GraphcError, match="outside the project") as caught:
        build(spec)
    assert (caught.value.code, caught.value.where.line) == ("spec/import-escapes-project", 4)


def test_a_file_above_the_limit_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    write("npz", path, {"a": np.ones(100, np.float32)})
    with pytest.raises(GraphcError) as caught:
        fill(
            [parameter("a", (100,))],
            Weights(npz="w.npz"),
            root=tmp_path,
            project=tmp_path,
            limits=Limits(weight_bytes=500),
        )
    assert caught.value.code == "spec/limit-exceeded"


def test_the_section_refuses_what_makes_no_sense() -> None:
    for section in (
        {"npz": "a", "onnx": "b"},
        {"map": {"a": "b"}},
        {"sha256": "0" * 64},
        {"npz": "a", "map": {"a*": "b"}},
        {"npz": "a", "sha256": "0"},
        {"seed": -1},
        {"nzp": "a"},
    ):
        with pytest.raises(ValidationError):
            Weights.model_validate(section)


# ---------------------------------------------------------------- ONNX external data


def external(path: Path, entries: dict[str, str], shape: tuple[int, ...] = (2,)) -> None:
    tensor = onnx.TensorProto(name="a", dims=shape, data_type=1, data_location=onnx.TensorProto.EXTERNAL)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    graph = onnx.GraphProto(name="weights", initializer=[tensor])
    path.write_bytes(onnx.ModelProto(ir_version=10, graph=graph).SerializeToString())


def test_external_data_beside_the_model_is_read(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(np.array([1, 2, 3], np.float32).tobytes())
    for extra in ({}, {"length": "8"}):
        external(tmp_path / "m.onnx", {"location": "w.bin", "offset": "4", **extra})
        assert loaded("onnx", tmp_path / "m.onnx", [parameter("a", (2,))])[0].tolist() == [2, 3]


EXTERNAL = {  # name: (entries, shape, code)
    "parent": ({"location": "../w.bin"}, (2,), "security/external-path-escape"),
    "nested": ({"location": "sub/../../w.bin"}, (2,), "security/external-path-escape"),
    "absolute": ({"location": "/etc/hostname"}, (2,), "security/absolute-path"),
    "backslash": ({"location": "..\\w.bin"}, (2,), "security/external-path-escape"),
    "NUL": ({"location": "w.bin\0"}, (2,), "security/external-path-escape"),
    "link": ({"location": "link.bin"}, (2,), "security/symlink-or-hardlink"),
    "linked folder": ({"location": "folder/w.bin"}, (2,), "security/symlink-or-hardlink"),
    "hard link": ({"location": "hard.bin"}, (2,), "security/symlink-or-hardlink"),
    "no location": ({}, (2,), "security/external-path-escape"),
    "folder": ({"location": "sub"}, (2,), "security/external-path-escape"),
    "pipe": ({"location": "pipe"}, (2,), "security/external-path-escape"),
    "length": ({"location": "w.bin", "length": "1000000000000"}, (2,), "security/external-range"),
    "negative offset": ({"location": "w.bin", "offset": "-8"}, (2,), "security/external-range"),
    "large offset": ({"location": "w.bin", "offset": "4096"}, (2,), "security/external-range"),
    "no number": ({"location": "w.bin", "offset": "abc"}, (2,), "security/external-range"),
    "huge shape": ({"location": "w.bin"}, (1 << 20, 1 << 20), "security/external-range"),
    "negative shape": ({"location": "w.bin"}, (-2,), "security/external-range"),
    "class": ({"location": "w.bin", "__class__": "x"}, (2,), "security/unknown-external-key"),
    "basepath": ({"location": "w.bin", "basepath": "/"}, (2,), "security/unknown-external-key"),
}


@pytest.mark.parametrize("name", EXTERNAL)
def test_external_data_that_lies_is_refused(name: str, tmp_path: Path) -> None:
    entries, shape, code = EXTERNAL[name]
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "w.bin").write_bytes(bytes(8))
    (folder / "w.bin").write_bytes(bytes(8))
    (folder / "inner.bin").write_bytes(bytes(8))
    (folder / "link.bin").symlink_to(folder / "inner.bin")
    (folder / "folder").symlink_to(folder)
    os.link(folder / "inner.bin", folder / "hard.bin")
    os.mkfifo(folder / "pipe")
    external(folder / "m.onnx", entries, shape)
    assert failure("onnx", folder / "m.onnx", [parameter("a", (2,))]).code == code
