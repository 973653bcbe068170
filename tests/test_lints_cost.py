"""Lints of cost: budgets against counts by hand, lower bounds, noise, reports that were kept, devices."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphc
from graphc import CaseBuilder, Finding, findings
from graphc.analysis import budgets
from graphc.analysis.latency import Latency, latencies, of_times
from graphc.cases import Case
from graphc.linting import budgets as verdicts
from graphc.linting.engine import examine
from graphc.linting.finding import NOT_ANALYSED
from graphc.linting.messages import Examined
from graphc.linting.run import run
from graphc.linting.settings import Layer, Settings, checked

OVER, UNPROVEN, REGRESSION = "cost/over-budget", "cost/budget-not-provable", "cost/regression"
SPECS = Path(__file__).parents[1] / "specs"

# x [1, 4, 10, H] -> conv 3x3 'same' to 8 -> relu; trained with mse in batches of 2, with momentum.
SPEC = """\
graphc: 1
dims: {N: 1, H: {min: 6, opt: 10, max: 20}}
inputs: {x: "f32[N, 4, 10, H]"}
outputs: [y]
nodes: [{conv: {out: 8, k: 3}}, {id: y, op: relu}]
train:
  inputs: {target: "f32[N, 8, 10, H]"}
  losses: [{op: mse, from: [y, target]}]
  optimizer: {sgd: {momentum: 0.9}}
  batch: 2
lint:
  budgets:
    NAME: LIMIT
"""


def taps_on_data(height: int, width: int) -> int:
    """Pairs of an output and a tap of a 3x3 window, padded by 1, that fall on data: by trying all."""
    return sum(
        0 <= row + down < height and 0 <= column + right < width
        for row in range(height)
        for column in range(width)
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    )


PARAMS = 8 * 4 * 9 + 8
DENSE, EFFECTIVE = 8 * 4 * 9, 8 * 4  # times positions; times taps on data
LARGE, TRAINED = 10 * 20, 2 * 10 * 10  # positions: of the largest inference, of a step
ACTIVATIONS = 4 * (4 * LARGE + 8 * LARGE + 8 * LARGE)  # x, the convolution's output and the ReLU's, all at once
BY_HAND = {
    "params": PARAMS,
    "nodes": 2,
    "macs": DENSE * LARGE,
    "effective-macs": EFFECTIVE * taps_on_data(10, 20),
    "filter-grad-macs": DENSE * TRAINED,
    "filter-grad-effective-macs": EFFECTIVE * 2 * taps_on_data(10, 10),
    "input-grad-macs": 0,  # x is an input: it needs no gradient
    "input-grad-effective-macs": 0,
    "training-macs": 2 * DENSE * TRAINED,
    "training-effective-macs": 2 * EFFECTIVE * 2 * taps_on_data(10, 10),
    "activation-memory": ACTIVATIONS,
    "peak-memory": ACTIVATIONS + 4 * PARAMS,
}


def linted(path: Path, *names: str, **said: Any) -> tuple[Finding, ...]:
    given = checked({name.replace("_", "-"): value for name, value in said.items()}, "the test")
    return findings(str(path), *(names or (OVER, UNPROVEN)), settings=given)


def written(folder: Path, name: str, limit: object, text: str = SPEC) -> Path:
    path = folder / "net.yaml"
    path.write_text(text.replace("NAME", name).replace("LIMIT", str(limit)), encoding="utf-8")
    return path


@pytest.mark.parametrize(("name", "count"), BY_HAND.items(), ids=BY_HAND)
def test_a_budget_is_kept_up_to_its_limit_and_broken_beyond(name: str, count: int, tmp_path: Path) -> None:
    assert not linted(written(tmp_path, name, count))
    if not count:
        return
    (found,) = linted(written(tmp_path, name, count - 1))
    assert found.lint == OVER
    assert (found.measured, found.limit) == (count, count - 1)
    assert found.where is not None
    assert found.where.line == len(SPEC.splitlines())
    assert "H=20" in found.message or name in ("params", "nodes") or "H=10" in found.message


def test_every_budget_of_the_language_is_looked_at() -> None:
    from graphc.spec.lint_language import Budgets

    known = {*BY_HAND, "training-memory", "file-size", "latency"}
    assert {each.alias or name for name, each in Budgets.model_fields.items()} == known


def test_training_memory_holds_weights_gradients_and_momentum(tmp_path: Path) -> None:
    (found,) = linted(written(tmp_path, "training-memory", 0))
    held = 4 * (3 * PARAMS + TRAINED * (4 + 8))  # x and target are there throughout
    kept = 4 * TRAINED * (4 + 8)  # the convolution keeps its input, the ReLU its output
    assert isinstance(found.measured, int)
    assert held + 4 * 8 * TRAINED <= found.measured <= held + kept + 4 * 8 * TRAINED * 4
    assert found.message.startswith("training-memory")
    assert "H=10" in found.message


def test_the_size_of_a_file_is_that_on_disk_with_its_external_data(tmp_path: Path) -> None:
    model = graphc.build(written(tmp_path, "nodes", 9))
    path = tmp_path / "net.onnx"
    graphc.save(model, path)
    size = path.stat().st_size
    assert not linted(path, budgets={"file-size": size})
    (found,) = linted(path, budgets={"file-size": size - 1})
    assert found.measured == size
    proto = onnx.load(path)
    onnx.save_model(proto, path, save_as_external_data=True, location="net.data", size_threshold=0)
    both = path.stat().st_size + (tmp_path / "net.data").stat().st_size
    (found,) = linted(path, budgets={"file-size": 1})
    assert found.measured == both


def test_the_size_of_a_spec_is_that_of_the_model_that_it_makes(tmp_path: Path) -> None:
    path = written(tmp_path, "file-size", 1)
    (found,) = linted(path)
    graphc.save(graphc.build(path), tmp_path / "net.onnx")
    real = (tmp_path / "net.onnx").stat().st_size
    assert isinstance(found.measured, int)
    assert abs(found.measured - real) < 200  # of a few more names, and sizes of tensors


def test_budgets_of_a_project_are_findings_of_the_file_each_known_by_itself(tmp_path: Path) -> None:
    path = written(tmp_path, "nodes", 9)
    found = linted(path, budgets={"params": 1, "macs": 1})
    assert [each.where.file for each in found if each.where] == [str(path)] * 2
    assert len({each.fingerprint for each in found}) == 2


# ---------------------------------------------------------------- not provable

UNKNOWN = """<ir_version: 10, opset_import: ["": 20, "d": 1]>
g (float[1, 4, 8, 8] x, float[4, 4, 3, 3] w) => (float[1, 4, 6, 6] y) { c = Conv (x, w)  y = d.Mystery (c) }
"""
MACS = 4 * 4 * 9 * 36


def test_what_has_no_known_cost_breaks_a_budget_and_never_keeps_one() -> None:
    def names(limit: int) -> list[str]:
        model = ir.from_proto(onnx.parser.parse_model(UNKNOWN))
        given = checked({"budgets": {"macs": limit}}, "the test")
        return [found.lint for found in findings(model, OVER, UNPROVEN, settings=given)]

    assert names(MACS - 1) == [OVER]
    assert names(MACS) == [UNPROVEN]
    assert names(10**12) == [UNPROVEN]


QUANTISED = """<ir_version: 10, opset_import: ["": 20]>
g (float[1, 8] x) => (float[1, 4] y)
<int8[8, 4] w = {WEIGHTS}, float scale = {0.1}, int8 zero = {0}>
{ d = DequantizeLinear (w, scale, zero)  y = MatMul (x, d) }
""".replace("WEIGHTS", ", ".join("1" * 32))


def test_weights_of_integers_make_a_count_of_parameters_a_lower_bound() -> None:
    given = checked({"budgets": {"params": 100}}, "the test")
    model = ir.from_proto(onnx.parser.parse_model(QUANTISED))
    (found,) = findings(model, OVER, UNPROVEN, settings=given)
    assert found.lint == UNPROVEN
    assert "quantised" in found.message


def test_dims_of_the_settings_give_a_model_its_sizes() -> None:
    def batched(g: CaseBuilder) -> object:
        return g.Relu(g.Conv(g.input("batch", 4, 8, 8), g.weight(4, 4, 3, 3)))

    def told(dims: Mapping[str, object], limit: int) -> list[str]:
        given = checked({"budgets": {"macs": limit}, "dims": dims}, "the test")
        return [f.lint for f in findings(Case("batched", batched).model(), OVER, UNPROVEN, settings=given)]

    assert told({}, 10**9) == [UNPROVEN]
    assert told({"batch": {"min": 1}}, 10**9) == [UNPROVEN]
    assert told({"batch": {"max": 4}}, 4 * MACS) == []
    assert told({"batch": {"max": 4}}, 4 * MACS - 1) == [OVER]
    assert told({"batch": 2, "other": 7}, 2 * MACS) == []


RANGED = """<ir_version: 10, opset_import: ["": 20]>
g (float[N, 4, 8, H] x, float[4, 4, 3, 3] w) => (float[N, 4, 6, K] y) { y = Conv (x, w) }
"""


@pytest.mark.parametrize(
    ("ranges", "lint"),
    [
        ('{"N": 1, "H": 8}', None),
        ('{"N": 1, "H": {"min": 4, "opt": 6, "max": 8}}', None),
        ('{"N": 1, "H": {"min": 4, "opt": 6, "max": 9}}', OVER),
        ('{"N": 1, "H": {"min": 4}}', UNPROVEN),
        ('{"N": 1}', UNPROVEN),
        ("[]", UNPROVEN),
        ('{"N": {"min": "x"}}', UNPROVEN),
        ('{"N": 1, "H": {"max": 100000000000000000000000}}', UNPROVEN),
    ],
)
def test_ranges_of_a_models_metadata_are_believed_as_far_as_they_go(ranges: str, lint: str | None) -> None:
    model = ir.from_proto(onnx.parser.parse_model(RANGED))
    model.metadata_props["graphc.dims"] = ranges
    given = checked({"budgets": {"macs": 4 * 4 * 9 * 6 * 6}}, "the test")
    assert [found.lint for found in findings(model, OVER, UNPROVEN, settings=given)] == ([lint] if lint else [])


RANGES = st.dictionaries(
    st.sampled_from("NHW"),
    st.dictionaries(st.sampled_from(["min", "opt", "max", "multiple_of"]), st.integers(1, 99)),
)


@given(RANGES)
def test_points_lie_in_the_order_of_the_range(ranges: dict[str, dict[str, int]]) -> None:
    found = budgets.points(ranges)
    assert all(point.keys() == ranges.keys() for point in found)
    assert len(found) == len({tuple(point.items()) for point in found}) <= 3
    for name, sizes in ranges.items():
        assert {sizes[key] for key in ("min", "opt", "max") if key in sizes} <= {point[name] for point in found}


# ---------------------------------------------------------------- latency


@pytest.mark.parametrize(("n", "rank"), [(6, 1), (8, 1), (9, 2), (17, 5), (25, 8), (31, 10), (100, 40)])
def test_interval_of_the_median_is_that_of_the_tables(n: int, rank: int) -> None:
    found = of_times([float(i) for i in range(1, n + 1)])
    assert (found.low, found.high) == (rank, n + 1 - rank)
    inside = sum(Fraction(comb(n, k), 2**n) for k in range(rank, n - rank + 1))
    assert found.confidence == pytest.approx(float(inside))
    assert found.confidence >= 0.95
    further = sum(Fraction(comb(n, k), 2**n) for k in range(rank + 1, n - rank))
    assert further < Fraction(95, 100)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.sampled_from([6, 15, 31]))
def test_the_interval_holds_the_median_of_any_distribution(seed: int, n: int) -> None:
    random = np.random.default_rng(seed)
    times = random.lognormal(0, 1, (400, n))  # its median is 1
    held = sum((found := of_times(list(row))).low <= 1 <= found.high for row in times)
    assert held >= 400 * 0.95 - 4 * (400 * 0.95 * 0.05) ** 0.5 - 1


def relu(g: CaseBuilder) -> object:
    return g.Relu(g.input(1, 8))


def measured(monkeypatch: pytest.MonkeyPatch, limit: str, low: float, high: float) -> Sequence[Finding]:
    def fake(runs: Sequence[object], **_: object) -> list[Latency]:
        return [Latency((low + high) / 2, low, high, 31, 0.97)] * len(runs)

    monkeypatch.setattr(verdicts, "latencies", fake)
    given = checked({"budgets": {"latency": limit}, "run": True}, "the test")
    return findings(Case("relu", relu).model(), OVER, UNPROVEN, settings=given)


def test_a_latency_is_judged_only_where_noise_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not measured(monkeypatch, "5ms", 4e-3, 5e-3)
    (over,) = measured(monkeypatch, "5ms", 5.1e-3, 6e-3)
    assert over.lint == OVER
    assert "5.55 ms" in over.message
    (unsure,) = measured(monkeypatch, "5ms", 4.9e-3, 5.1e-3)
    assert unsure.lint == UNPROVEN
    assert "between 4.9 and 5.1 ms, with 97% confidence" in unsure.message
    assert "quiet machine" in unsure.help


def test_latency_is_measured_here() -> None:
    model = Case("relu", relu).model()
    (found,) = latencies([(model, {})], rounds=8)
    assert 0 < found.low <= found.median <= found.high
    assert found.runs == 8
    given = checked({"budgets": {"latency": "9000s"}, "run": True}, "the test")
    assert not findings(model, OVER, UNPROVEN, settings=given)
    given = checked({"budgets": {"latency": 0}, "run": True}, "the test")
    (over,) = findings(model, OVER, UNPROVEN, settings=given)
    assert over.lint == OVER


def test_a_model_that_does_not_run_keeps_no_latency() -> None:
    given = checked({"budgets": {"latency": "1s"}, "run": True}, "the test")
    model = ir.from_proto(onnx.parser.parse_model(UNKNOWN))
    (found,) = findings(model, OVER, UNPROVEN, settings=given)
    assert found.lint == UNPROVEN
    assert "ONNX Runtime" in found.message


# ---------------------------------------------------------------- reports that were kept


def kept(path: Path, to: Path, **given: Any) -> Path:
    to.write_text(graphc.cost(path, **given).json(), encoding="utf-8")
    return path


def test_a_regression_says_what_grew_and_by_how_much(tmp_path: Path) -> None:
    path = kept(written(tmp_path, "nodes", 9), tmp_path / "kept.json", training=False)
    assert not linted(path, REGRESSION, cost_baseline="kept.json")
    path.write_text(path.read_text().replace("out: 8, k: 3", "out: 8, k: 5"), encoding="utf-8")
    (found,) = linted(path, REGRESSION, cost_baseline="kept.json")
    assert "forward_macs +178 % (28,800 to 80,000)" in found.message
    assert found.measured == pytest.approx(100 * 16 / 9)
    assert not linted(path, REGRESSION, cost_baseline="kept.json", cost_tolerance=200)


@pytest.mark.parametrize("batch", [None, 1, 16])
def test_a_training_step_is_compared_at_the_batch_of_the_report(batch: int | None, tmp_path: Path) -> None:
    path = kept(written(tmp_path, "nodes", 9), tmp_path / "kept.json", training=True, batch=batch)
    assert not linted(path, REGRESSION, cost_baseline="kept.json")
    path.write_text(path.read_text().replace("momentum: 0.9", "momentum: 0"), encoding="utf-8")
    assert not linted(path, REGRESSION, cost_baseline="kept.json")
    path.write_text(path.read_text().replace("sgd: {momentum: 0}", "adam: {}"), encoding="utf-8")
    (found,) = linted(path, REGRESSION, cost_baseline="kept.json")
    assert "peak_training_bytes" in found.message


def test_a_folder_has_a_report_for_each_variant(tmp_path: Path) -> None:
    text = SPEC.replace("graphc: 1\n", "graphc: 1\nparams: {k: 3}\nvariants: {wide: {k: 5}}\n").replace(
        "k: 3}}", "k: =k}}"
    )
    path = written(tmp_path, "nodes", 9, text)
    (tmp_path / "costs").mkdir()
    for name in ("net", "net@wide"):
        source = str(path).replace("net.yaml", name.replace("net", "net.yaml"))
        (tmp_path / "costs" / f"{name}.json").write_text(graphc.cost(source, training=False).json(), encoding="utf-8")
    assert not linted(path, REGRESSION, cost_baseline="costs")
    (tmp_path / "costs" / "net@wide.json").unlink()
    (found,) = linted(path, REGRESSION, cost_baseline="costs")
    assert found.lint == NOT_ANALYSED
    assert "net@wide.json" in found.message


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"schema": 2}', '{"schema": 1, "totals": 3}', "[" * 10_000])
def test_a_broken_report_is_not_analysed(text: str, tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text(text, encoding="utf-8")
    (found,) = linted(written(tmp_path, "nodes", 9), REGRESSION, cost_baseline="kept.json")
    assert found.lint == NOT_ANALYSED


def test_every_damaged_field_of_a_report_is_not_analysed_or_compared(tmp_path: Path) -> None:
    path = kept(written(tmp_path, "nodes", 9), tmp_path / "kept.json", training=True)
    said = json.loads((tmp_path / "kept.json").read_text())
    for key in said:
        for damage in (None, -1, "x", [], {}, 1.5):
            (tmp_path / "kept.json").write_text(json.dumps(said | {key: damage}), encoding="utf-8")
            assert {found.lint for found in linted(path, REGRESSION, cost_baseline="kept.json")} <= {
                NOT_ANALYSED,
                REGRESSION,
            }


def test_a_report_of_another_size_is_not_compared(tmp_path: Path) -> None:
    path = kept(written(tmp_path, "nodes", 9), tmp_path / "kept.json", training=False)
    path.write_text(
        path.read_text().replace('"f32[N, 4, 10, H]"', '"f32[N, 4, 12, H]"').replace("8, 10, H", "8, 12, H")
    )
    (found,) = linted(path, REGRESSION, cost_baseline="kept.json")
    assert found.lint == NOT_ANALYSED
    assert "takes x [1, 4, 10, 10]" in found.message


def test_a_config_file_names_a_report_from_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "models" / "deep"
    inner.mkdir(parents=True)
    path = kept(written(inner, "nodes", 9), tmp_path / "kept.json", training=False)
    path.write_text(path.read_text().replace("k: 3}}", "k: 5}}"), encoding="utf-8")
    (tmp_path / "graphc.toml").write_text('[lint]\ncost-baseline = "kept.json"\nselect = ["cost"]\n', encoding="utf-8")
    monkeypatch.chdir(inner)
    outcome = run([str(path)], Settings())
    assert [found.lint for found in outcome.found] == [REGRESSION]


# ---------------------------------------------------------------- devices, and what is shipped


def test_an_unknown_device_is_not_analysed_and_nothing_else(tmp_path: Path) -> None:
    path = written(tmp_path, "nodes", 9)
    for name in ("abacus", "missing.yaml"):
        found = linted(path, "cost/memory-bound", device=name)
        assert [each.lint for each in found] == [NOT_ANALYSED]


def test_intensity_of_a_fully_connected_layer_is_half_an_operation_per_byte() -> None:
    def dense(g: CaseBuilder) -> object:
        return g.MatMul(g.input(1, 1024), g.weight(1024, 1024))

    given = checked({"device": "cpu-avx2-8"}, "the test")
    (found,) = findings(Case("dense", dense).model(), "cost/memory-bound", settings=given)
    assert found.measured == pytest.approx(2 * 1024**2 / (4 * (1024**2 + 2 * 1024)))
    assert found.limit == pytest.approx(2 * 384e9 / 51.2e9)


def test_shipped_specs_keep_their_budgets_in_every_variant() -> None:
    for path in sorted(SPECS.glob("*.yaml")):
        steps = examine(
            str(path), [Layer("the test", Settings())], asked=frozenset({OVER, UNPROVEN, "cost/dominant-layer"})
        )
        told = next(step.findings for step in steps if isinstance(step, Examined))
        assert not told, "\n".join(map(str, told))
