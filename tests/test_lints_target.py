"""Lints about targets: what the installed ONNX Runtime has kernels for, and that what is said of it is so."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime  # noqa: TID251 - what its registry says is held against its sessions
import pytest
from onnx.reference import ReferenceEvaluator

from graphc import Case, CaseBuilder, GraphcError, Pipeline, findings, lints, partition
from graphc.linting.engine import settings_of
from graphc.linting.lint import Lint, LintCase
from graphc.linting.settings import checked
from graphc.runtime import kernels as registry
from graphc.runtime.kernels import CPU, CUDA, kernels

HAS_CUDA = CUDA in onnxruntime.get_available_providers()


def found(model: ir.Model, target: str) -> dict[str, str]:
    """The messages about a model on a target, by lint."""
    settings = checked({"target": target}, "a test")
    return {each.lint: each.message for each in findings(model, settings=settings) if each.lint.startswith("target/")}


def chain(*op_types: str, shape: tuple[int, ...] = (1, 4, 8, 8)) -> ir.Model:
    def build(g: CaseBuilder) -> ir.Value:
        x = g.input(*shape)
        for op_type in op_types:
            x = g.record(op_type, x)
        return x

    return Case("a chain", build).model()


# ---------------------------------------------------------------- what ONNX Runtime has


def roi_align(g: CaseBuilder, opset: int) -> ir.Value:
    g.opset = opset
    made: ir.Value = g.RoiAlign(g.input(1, 3, 8, 8), g.input(2, 4), g.input(2, dtype=ir.DataType.INT64))
    return made


def conv(g: CaseBuilder, dtype: ir.DataType) -> ir.Value:
    g.dtype = dtype
    made: ir.Value = g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3))
    return made


def opset_24(g: CaseBuilder, op_type: str) -> ir.Value:
    g.opset = 24
    made: ir.Value = g.record(op_type, g.input(1, 8))
    return made


MODELS = {
    "a convolution": lambda g: conv(g, ir.DataType.FLOAT),
    "a convolution of float64": lambda g: conv(g, ir.DataType.DOUBLE),
    "a convolution of float16, between Casts": lambda g: conv(g, ir.DataType.FLOAT16),
    "RoiAlign of opset 20": lambda g: roi_align(g, 20),
    "RoiAlign of opset 22": lambda g: roi_align(g, 22),
    "a function of the data's type": lambda g: g.CastLike(g.input(2), g.input(2, dtype=ir.DataType.INT64)),
    "a function": lambda g: g.MeanVarianceNormalization(g.input(1, 3, 8, 8)),
    "a function over what has no kernel": lambda g: g.Bernoulli(g.input(8)),
    "an image file": lambda g: g.ImageDecoder(g.input("bytes", dtype=ir.DataType.UINT8)),
    "an operator with two outputs": lambda g: g.record("TopK", g.input(8), g.constant([2]), outputs=2),
    "Swish": lambda g: opset_24(g, "Swish"),
    "Mish": lambda g: opset_24(g, "Mish"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_kernel_is_lacking_where_no_session_can_be_made(name: str) -> None:
    model = Case(name, MODELS[name]).model()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString(), options, providers=[CPU])
        opens = True
    except Exception:  # whatever it is, it is no session
        opens = False
    assert opens == (not partition(model, "ort-cpu").unsupported)


def test_of_a_version_that_is_too_new_the_newest_is_told() -> None:
    model = Case("of opset 22", lambda g: roi_align(g, 22)).model()
    ((_, lack),) = partition(model, "ort-cpu").unsupported
    assert (lack.kind, lack.what) == ("opset", "no kernel for RoiAlign of opset 22, only up to 16")


def test_halves_run_between_casts_on_the_cpu() -> None:
    model = Case("halves", lambda g: g.Relu(conv(g, ir.DataType.FLOAT16))).model()
    on_cpu = partition(model, "ort-cpu")
    assert not on_cpu.unsupported
    assert "Conv" in {node.op_type for node, _ in on_cpu.cast}
    assert "run in float32 between Casts" in found(model, "ort-cpu")["target/dtype-unsupported"]


def test_an_opset_that_the_runtime_cannot_read() -> None:
    newest = kernels(CPU).newest_opset
    model = chain("Relu")
    model.graph.opset_imports[""] = newest + 1
    assert found(model, "ort-cpu")["target/opset-unsupported"].startswith(f"opset {newest + 1}, and the target reads")


def test_nodes_of_subgraphs_and_functions_are_placed() -> None:
    text = """<ir_version: 8, opset_import: ["" : 22, "d" : 1]>
        g (float[1, 3, 8, 8] x, float[2, 4] r, int64[2] i, bool c) => (y) {
          z = If (c) <then_branch = t () => (a) { a = d.align (x, r, i) },
                      else_branch = e () => (b) { b = RoiAlign (x, r, i) }>
          y = Relu (z)
        }
        <domain: "d", opset_import: ["" : 20]>
        align (x, r, i) => (y) { y = RoiAlign (x, r, i) }"""
    made = partition(ir.from_proto(onnx.parser.parse_model(text)), "ort-cpu")
    assert [node.outputs[0].name for node, _ in made.unsupported] == ["b"], "the function's own opset has a kernel"
    assert sorted(each.node.op_type for each in made.placed) == ["If", "Relu", "RoiAlign", "RoiAlign"]


def test_broken_calls_of_functions_that_depend_on_types_kill_nothing() -> None:
    """ONNX itself dies over them, so this runs in a process of its own."""
    script = """
import onnx, onnx_ir as ir
from graphc import partition
names = [each.name for each in onnx.defs.get_all_schemas() if each.has_context_dependent_function and not each.domain]
for name in names:
    for inputs in ([], [None] * 3, [ir.val("x")], [ir.val("x", ir.DataType.FLOAT, [2])] * 2):
        node = ir.node(name, inputs)
        graph = ir.Graph([each for each in {*inputs} if each], node.outputs, nodes=[node], opset_imports={"": 24})
        partition(ir.Model(graph, ir_version=10), "ort-cpu")
print(len(names) > 3)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


# ---------------------------------------------------------------- what it lacks


@pytest.mark.skipif(HAS_CUDA, reason="this ONNX Runtime has CUDA")
def test_without_the_provider_nothing_is_told_but_that() -> None:
    assert set(found(chain("Relu"), "ort-cuda")) == {"target/provider-missing"}
    with pytest.raises(GraphcError, match="tells of no kernels of CUDAExecutionProvider") as error:
        partition(chain("Relu"), "ort-cuda")
    assert error.value.code == "run/provider-missing"


def test_a_runtime_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(onnxruntime.capi.onnxruntime_pybind11_state, "get_all_opkernel_def")
    with fresh_registry():
        assert set(found(chain("Relu"), "ort-cpu")) == {"target/provider-missing"}


class fresh_registry:  # noqa: N801 - reads as a statement
    """What is remembered of the registry is forgotten before and after."""

    def __enter__(self) -> None:
        registry._registry.cache_clear()
        kernels.cache_clear()

    def __exit__(self, *_: object) -> None:
        self.__enter__()


@pytest.fixture
def a_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A registry as of a GPU that has every kernel of the CPU but those of Erf, and none of float64."""
    defined, operators = registry._registry()
    added = [_copied(each) for each in defined if each.op_name != "Erf"]
    monkeypatch.setattr(registry, "_registry", lambda: ([*defined, *added], operators))
    kernels.cache_clear()
    yield
    kernels.cache_clear()


def _copied(kernel: Any) -> SimpleNamespace:
    types = {name: set(allowed) - {"tensor(double)"} for name, allowed in kernel.type_constraints.items()}
    return SimpleNamespace(
        op_name=kernel.op_name,
        domain=kernel.domain,
        version_range=kernel.version_range,
        type_constraints=types,
        provider=CUDA,
    )


@pytest.mark.usefixtures("a_gpu")
def test_provider_fallback_and_memcpy_nodes() -> None:
    said = found(chain("Relu", "Erf", "Relu", "Erf", "Neg"), "ort-cuda")
    assert said["target/provider-fallback"].startswith(
        "2 of 5 nodes leave CUDAExecutionProvider for the CPU: no kernel"
    )
    assert "no kernel for Erf (2)" in said["target/provider-fallback"]
    assert said["target/memcpy-nodes"].startswith("4 values are copied between CUDAExecutionProvider and the CPU")
    assert "target/partition-count" not in said, "three parts"


@pytest.mark.usefixtures("a_gpu")
def test_partition_count() -> None:
    model = chain(*["Relu", "Erf"] * 6)
    assert found(model, "ort-cuda")["target/partition-count"] == "CUDAExecutionProvider runs it in 6 parts"
    made = partition(model, "ort-cuda")
    assert made.rows() == [(CUDA, "Relu", 6, ""), (CPU, "Erf", 6, "no kernel for Erf")]


@pytest.mark.usefixtures("a_gpu")
def test_what_a_gpu_runs_whole() -> None:
    assert not found(chain("Relu", "Neg"), "ort-cuda")


@pytest.mark.usefixtures("a_gpu")
def test_a_type_that_only_the_cpu_has() -> None:
    model = Case("doubles", lambda g: g.Relu(g.input(2, 3, dtype=ir.DataType.DOUBLE))).model()
    assert "no kernel for Relu of double" in found(model, "ort-cuda")["target/provider-fallback"]


@pytest.mark.usefixtures("a_gpu")
def test_what_neither_runs_is_an_error_and_no_fallback() -> None:
    model = Case("image", lambda g: g.ImageDecoder(g.input("bytes", dtype=ir.DataType.UINT8))).model()
    assert set(found(model, "ort-cuda")) == {"target/op-unsupported"}


@pytest.mark.usefixtures("a_gpu")
def test_arithmetic_of_sizes_is_no_fallback() -> None:
    def build(g: CaseBuilder) -> ir.Value:
        x = g.input("N", 4, 8)
        made: ir.Value = g.Reshape(g.Relu(x), g.Mul(g.Shape(x), g.constant([1, 1, 1])))
        return made

    made = partition(Case("sizes", build).model(), "ort-cuda")
    assert {node.op_type for node in made.free} == {"Shape", "Mul"}
    assert (made.left, made.copies, made.count) == ((), (), 1)


# ---------------------------------------------------------------- files of targets


TARGET = """
name: chip
doc: a test
pipeline: portable
allows: [Relu, Neg]
"""


def test_dynamic_dim(tmp_path: Path) -> None:
    open_sizes = Case("open", lambda g: g.Relu(g.input("N", 3))).model()
    (tmp_path / "any.yaml").write_text(TARGET)
    (tmp_path / "fixed.yaml").write_text(TARGET + "dynamic: false\n")
    assert not found(open_sizes, str(tmp_path / "any.yaml"))
    said = found(open_sizes, str(tmp_path / "fixed.yaml"))
    assert said == {"target/dynamic-dim": "input 'x0' is [N,3], and chip wants every size"}
    assert not found(chain("Relu"), str(tmp_path / "fixed.yaml"))


def test_the_newest_opset_of_a_target(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text(TARGET + "opset: 17\ntypes: [float32]\n")
    said = found(chain("Relu"), str(tmp_path / "old.yaml"))
    assert said == {"target/opset-unsupported": "opset 20, and the target reads up to 17"}


def test_a_grouped_convolution_on_portable() -> None:
    grouped = Case("grouped", lambda g: g.Conv(g.input(1, 4, 8, 8), g.weight(4, 1, 3, 3), group=4)).model()
    assert found(grouped, "portable")["target/op-unsupported"] == "portable does not run a grouped convolution"


def test_onnx_runtime_is_imported_for_its_own_targets_only(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(ir.to_proto(chain("Relu", "Neg")), path)
    script = f"""
import sys
from graphc import findings
from graphc.linting.settings import checked
for target in (None, "portable", "ort-cpu"):
    findings({str(path)!r}, settings=checked({{"target": target}}, "a test"))
    print("onnxruntime" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True"]


# ---------------------------------------------------------------- known bugs are still there, and mended


BUG = lints()["target/known-runtime-bug"]
over_bugs = pytest.mark.parametrize("case", [pytest.param(each, id=each.name) for each in BUG.bad_cases])


@over_bugs
def test_a_known_bug_is_one(case: LintCase) -> None:
    """ONNX Runtime refuses the model, or makes something else of it than ONNX's reference."""
    model = ir.to_proto(case.model())
    feeds = {value.name: _drawn(value) for value in model.graph.input}
    made = _run(model, feeds)
    if made is not None:
        expected = ReferenceEvaluator(model).run(None, feeds)[0]
        assert made.shape != expected.shape or np.abs(made - expected).max() > 0.1


def _drawn(value: onnx.ValueInfoProto) -> np.ndarray:
    sizes = [size.dim_value for size in value.type.tensor_type.shape.dim]
    dtype = ir.DataType(value.type.tensor_type.elem_type).numpy()
    return np.random.default_rng(0).uniform(0, 9, sizes).astype(dtype)


def _run(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> np.ndarray | None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        opened = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[CPU])
        made: np.ndarray = opened.run(None, feeds)[0]
    except Exception:  # refused, whatever it is called
        return None
    return made


def fixable() -> list[Any]:
    names = [each for each in lints().values() if each.category in ("target", "graph")]
    pairs = [(each, case) for each in names for case in each.bad_cases if case.kind != "spec"]
    return [pytest.param(each, case, id=f"{each.name}-{case.name}") for each, case in pairs]


@pytest.mark.parametrize(("each", "case"), fixable())
def test_the_passes_of_a_fix_remove_the_finding(each: Lint, case: LintCase, tmp_path: Path) -> None:
    source = case.model() if case.kind == "model" else case.write(tmp_path)
    settings = settings_of(case)
    told = findings(source, each.name, settings=settings)
    passes = {name: None for finding in told if finding.fix is not None for name in finding.fix.passes}
    if not passes:
        return
    model = source if isinstance(source, ir.Model) else ir.load(source)
    made = Pipeline(",".join(passes))(model).model
    assert not findings(made, each.name, settings=settings)
