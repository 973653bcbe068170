"""Lints of training: the ways of gradients, fields against the response to an impulse, statistics, shared weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphc
from graphc import Axis, Finding, findings
from graphc.analysis.flow import gradient_flow
from graphc.analysis.receptive_field import Field, receptive_fields
from graphc.analysis.sharing import thawed
from graphc.linting.engine import examine
from graphc.linting.lint import lints
from graphc.linting.messages import Examined
from graphc.linting.settings import Layer, Settings, checked

SPECS = Path(__file__).parents[1] / "specs"
TRAINING = [name for name in lints() if name.startswith("training/")]


def spec(folder: Path, text: str) -> Path:
    path = folder / "net.yaml"
    path.write_text(f"graphc: 1\n{text}", encoding="utf-8")
    return path


def told(folder: Path, text: str) -> list[tuple[str, str]]:
    return [(found.lint, found.message) for found in findings(str(spec(folder, text)), *TRAINING)]


# ---------------------------------------------------------------- gradients

WAYS = """
inputs: {x: "f32[2, 8]"}
outputs: [y]
nodes:
  - {id: f, dense: 8}
  BETWEEN
  - {id: y, op: relu}
train:
  inputs: {target: "f32[2, 8]"}
  losses: [{op: mse, from: [y, target]}]
"""
THROUGH = ("{op: tanh}", "{dropout: 0.5}", "{reshape: [4, 4]}, {reshape: [2, 8]}", "{op: add, from: [f, f]}")
ROUNDS = ("{Round: {}}", "{Floor: {}}", "{Sign: {}}", "{Cast: {to: 7}}, {Cast: {to: 1}}", "{Ceil: {}}")


def between(*items: str) -> str:
    return WAYS.replace("BETWEEN", "\n  ".join(f"- {item}" for item in items))


@pytest.mark.parametrize("items", THROUGH)
def test_gradients_pass_what_has_one(items: str, tmp_path: Path) -> None:
    assert not told(tmp_path, between(*items.replace("}, {", "}\0{").split("\0")))


@pytest.mark.parametrize("items", ROUNDS)
def test_gradients_stop_where_there_is_none(items: str, tmp_path: Path) -> None:
    found = told(tmp_path, between(*items.replace("}, {", "}\0{").split("\0")))
    assert [name for name, _ in found] == ["training/non-differentiable"]
    assert "'f/weight' and 1 parameters more" in found[0][1]


def test_a_second_way_with_a_gradient_is_enough(tmp_path: Path) -> None:
    assert not told(tmp_path, between("{id: r, op: Round}", "{op: add, from: [r, f]}"))


def test_what_stands_before_a_stopped_gradient_does_not_train(tmp_path: Path) -> None:
    found = told(tmp_path, between("{op: tanh, stop_gradient: true}"))
    assert [name for name, _ in found] == ["training/no-gradient-path"]
    assert "stop_gradient" in found[0][1]


def test_an_index_that_is_computed_is_no_way_back(tmp_path: Path) -> None:
    text = between("{id: i, ArgMax: {axis: 1, keepdims: 0}}", "{id: e, embedding: {vocab: 8, dim: 8}, from: i}")
    found = told(tmp_path, text)
    assert [name for name, _ in found] == ["training/non-differentiable"]
    assert "ArgMax" in found[0][1]


def test_a_size_that_is_read_is_no_way_at_all(tmp_path: Path) -> None:
    """`z` only lends its shape."""
    text = between("{id: z, dense: 4}", "{id: s, Shape: {}, from: z}", "{id: r, Reshape: {}, from: [f, s]}")
    assert told(tmp_path, text.replace("dense: 4", "dense: 8, from: f")) == [
        ("training/no-gradient-path", "'z/weight' (and 1 more of this layer) trains, and is read by no loss")
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["tanh", "Round", "stop"]), max_size=5), st.integers(0, 5))
def test_a_chain_is_cut_by_its_first_obstacle(
    tmp_path_factory: pytest.TempPathFactory, ops: list[str], at: int
) -> None:
    """The layer behind the last obstacle trains; one before it does not, and the reason is the obstacle nearest to the
    loss of those that block it."""
    items = [f"{{op: {op if op != 'stop' else 'tanh, stop_gradient: true'}}}" for op in ops]
    items.insert(min(at, len(ops)), "{id: late, dense: 8}")
    after = ops[min(at, len(ops)) :]
    network = graphc.expand(spec(tmp_path_factory.mktemp("chain"), between(*items)))
    flow = gradient_flow(network)
    lost = set(flow.unused) | {path for paths in flow.blocking.values() for path in paths}
    assert ("late/weight" in lost) == bool({"Round", "stop"} & set(after))
    assert ("f/weight" in lost) == bool({"Round", "stop"} & set(ops))
    assert ("late/weight" in flow.stopped) == ("stop" in after)


# ---------------------------------------------------------------- receptive fields

LAYER = st.tuples(st.sampled_from([1, 2, 3, 5]), st.integers(1, 3), st.integers(1, 2))  # taps, dilation, stride


def response(layers: list[tuple[int, int, int]]) -> np.ndarray:
    """How much each input counts for output 0 of a chain of windows of equal weights: by convolving with impulses."""
    weights, jump = np.ones(1), 1
    for taps, dilation, stride in layers:
        window = np.zeros(jump * dilation * (taps - 1) + 1)
        window[:: jump * dilation] = 1 / taps
        weights = np.convolve(weights, window)
        jump *= stride
    return weights


@given(st.lists(LAYER, max_size=6))
def test_variance_is_that_of_the_response_to_an_impulse(layers: list[tuple[int, int, int]]) -> None:
    field = Field()
    for taps, dilation, stride in layers:
        field = field.through(Axis.conv(1, taps, stride, dilation))
    weights = response(layers)
    at = np.arange(len(weights))
    mean = (weights * at).sum()
    assert field.variance == pytest.approx((weights * (at - mean) ** 2).sum(), abs=1e-9)


CHAIN = """
inputs: {x: "f32[1, 8, 64, 64]"}
outputs: [y]
nodes: [ITEMS, {id: y, conv: {out: 8, k: 3}}]
"""


@pytest.mark.parametrize(
    ("items", "variance"),
    [
        ("relu", 2 / 3),
        ("{conv: {out: 8, k: 5}}", 2 + 2 / 3),
        ("{conv: {out: 8, k: 3, stride: 2}}", 2 / 3 + 4 * 2 / 3),
        ("{max_pool: {k: 2, s: 2}}", 1 / 4 + 4 * 2 / 3),
        ("{upsample: 2}", 2 / 3 / 4),
        ("{pixel_shuffle: 2}", 2 / 3 / 4),
        ("{conv_transpose: {out: 8, k: 4, stride: 2, pad: 1}}", 15 / 12 / 4 + 2 / 3 / 4),
        ("{residual: [{conv: {out: 8, k: 5}}]}", 2 / 2 + 2 / 3),
        ("{branch: {paths: [[{conv: {out: 8, k: 5}}], [{conv: {out: 8, k: 3}}]]}}", (2 + 2 / 3) / 2 + 2 / 3),
    ],
)
def test_fields_follow_strides_branches_and_samplers(items: str, variance: float, tmp_path: Path) -> None:
    network = graphc.expand(spec(tmp_path, CHAIN.replace("ITEMS", items)))
    (fields,) = receptive_fields(network).values()
    assert [axis.variance for axis in fields.axes] == pytest.approx([variance] * 2)


def test_behind_what_keeps_no_positions_there_is_no_field(tmp_path: Path) -> None:
    network = graphc.expand(spec(tmp_path, CHAIN.replace("ITEMS", "{transpose: [0, 1, 3, 2]}")))
    assert not receptive_fields(network)


# ---------------------------------------------------------------- statistics of few values

STATISTICS = """
inputs: {x: "f32[1, 8, SIZE, 3]"}
outputs: [y]
nodes: [{id: y, op: batch_norm, frozen: FROZEN}, {id: z, conv: 8}]
train:
  inputs: {target: "f32[1, 8, SIZE, 3]"}
  losses: [{op: mse, from: [z, target]}]
  BATCH
"""


@pytest.mark.parametrize(
    ("size", "batch", "few"), [(1, "", 3), (1, "batch: 2", 6), (2, "batch: 1", 6), (1, "batch: 3", None), (3, "", None)]
)
def test_values_per_channel_are_batch_times_positions(size: int, batch: str, few: int | None, tmp_path: Path) -> None:
    text = STATISTICS.replace("SIZE", str(size)).replace("BATCH", batch)
    found = findings(str(spec(tmp_path, text.replace("FROZEN", "false"))), "training/batchnorm-batch-1")
    assert [each.measured for each in found] == ([] if few is None else [few])
    assert not findings(str(spec(tmp_path, text.replace("FROZEN", "true"))), "training/batchnorm-batch-1")


# ---------------------------------------------------------------- targets

DIFFERENCE = """
inputs: {x: "f32[PREDICTION]"}
outputs: [y]
nodes: [{id: y, dense: LAST}]
train:
  inputs: {target: "f32[TARGET]"}
  nodes: [{id: d, op: sub, from: [y, target]}, {id: s, op: square}]
  losses: [{op: reduce_mean, from: s}]
"""


@pytest.mark.parametrize(
    ("prediction", "target", "wrong"),
    [
        ("4, 1", "4", True),
        ("4, 3", "4, 1", True),
        ("1, 1", "1", True),  # a batch of 1 today
        ("4, 3", "3", True),
        ("4, 3", "4, 3", False),
        ("4, 3", "1, 3", False),
        ("4, 3", "", False),
        ("4, 3", "1", False),
    ],
)
def test_shapes_that_spread_over_each_other_are_told(prediction: str, target: str, wrong: bool, tmp_path: Path) -> None:
    last = prediction.rpartition(" ")[2]
    text = DIFFERENCE.replace("PREDICTION", prediction).replace("TARGET", target).replace("LAST", last)
    found = findings(str(spec(tmp_path, text)), "training/target-shape-mismatch")
    assert len(found) == wrong


# ---------------------------------------------------------------- weights

SHARED = """
inputs: {x: "f32[1, 8, 8, 8]"}
outputs: [y]
nodes: [{conv: 8, shared: w, frozen: FIRST}, {id: y, conv: 8, shared: w, frozen: SECOND}]
train:
  inputs: {target: "f32[1, 8, 8, 8]"}
  losses: [{op: mse, from: [y, target]}]
"""


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_the_first_use_decides_and_a_later_one_is_told(first: bool, second: bool, tmp_path: Path) -> None:
    text = SHARED.replace("FIRST", str(first).lower()).replace("SECOND", str(second).lower())
    network = graphc.expand(spec(tmp_path, text))
    assert bool(network.trainable) == (not first)
    assert len(list(thawed(network.tree))) == (second and not first)


INIT = """
inputs: {x: "f32[1, 8, 8, 8]"}
outputs: [y]
nodes: [{id: y, conv: {out: OUT, k: KERNEL, pad: valid}}]
weights: {init: identity}
"""


@pytest.mark.parametrize("kernel", ["1", "2", "3", "4", "[3, 2]", "[1, 5]"])
@pytest.mark.parametrize("out", [4, 8, 16])
def test_an_identity_that_is_told_is_one_that_cannot_be_drawn(out: int, kernel: str, tmp_path: Path) -> None:
    path = spec(tmp_path, INIT.replace("OUT", str(out)).replace("KERNEL", kernel))
    if not findings(str(path), "training/invalid-identity-init"):
        graphc.build(path)
        return
    with pytest.raises(graphc.GraphcError) as refused:
        graphc.build(path)
    assert refused.value.code == "spec/bad-value"


# ---------------------------------------------------------------- memory, and what is shipped


def test_memory_is_that_of_the_batch_that_trains(tmp_path: Path) -> None:
    text = SHARED.replace("FIRST", "false").replace("SECOND", "false")
    device = "{name: d, macs_per_second: {fp32: 1}, bytes_per_second: 1, memory_bytes: BYTES}"
    peak = graphc.cost(spec(tmp_path, f"{text}  batch: 16\n"), batch=16).memory.peak_training

    def looked(memory: int) -> tuple[Finding, ...]:
        (tmp_path / "device.yaml").write_text(device.replace("BYTES", str(memory)), encoding="utf-8")
        given = checked({"device": "device.yaml"}, "the test")
        return findings(str(tmp_path / "net.yaml"), "training/memory-exceeds-target", settings=given)

    assert not looked(peak)
    (found,) = looked(peak - 1)
    assert found.measured == peak


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_specs_train_as_they_say(path: Path) -> None:
    steps = examine(str(path), [Layer("the test", Settings())], asked=frozenset(TRAINING))
    found = next(step.findings for step in steps if isinstance(step, Examined))
    assert not found, "\n".join(map(str, found))
