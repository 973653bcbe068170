"""Where everything begins: specs and models by name, and which argument is for which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

import graphc
from graphc import Case, GraphcError, open_source
from graphc.cli.spelling import spelled
from graphc.pipeline import named_pipelines, parse

SPEC = """\
graphc: 1
name: tiny
params: {width: 4}
variants: {wide: {width: 8}}
dims: {N: 1, H: {min: 8, opt: 16, max: 32}}
inputs: {x: "f32[N, 3, H, 8]"}
outputs: [y]
nodes: [{id: y, conv: {out: =width, k: 3}}, batch_norm, {id: z, op: relu}]
weights: {init: he_normal, seed: 0}
targets: {small: {shapes: {H: 8}}}
""".replace("outputs: [y]", "outputs: [z]")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(SPEC)
    ir.save(overridable(), "model.onnx")


def overridable() -> ir.Model:
    return Case("", lambda g: g.Add(g.input("N", 3), g.overridable(g.weight(3)))).model()


def weights(model: ir.Model) -> list[np.ndarray]:
    return [value.const_value.numpy() for value in model.graph.initializers.values()]


@pytest.mark.parametrize("as_path", [str, Path])
def test_a_spec_is_built_with_what_is_given(as_path: type) -> None:
    model, passes = open_source(as_path("tiny.yaml"), params={"width": 5}, dims={"H": 9}, seed=1)
    assert passes is None
    assert model.graph.inputs[0].shape == (1, 3, 9, 8)
    assert model.graph.outputs[0].shape[1] == 5
    (same, _), (other, _) = (open_source("tiny.yaml", params={"width": 5}, seed=seed) for seed in (1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(weights(model), weights(same), strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(weights(model), weights(other), strict=True))


def test_variants_targets_and_passes_are_the_specs() -> None:
    Path("told.yaml").write_text(SPEC + "passes: [drop-identity]\n")
    model, passes = open_source("told.yaml@wide", target="small")
    assert (model.graph.outputs[0].shape[1], passes) == (8, ["drop-identity"])


def test_without_weights_there_are_shapes_and_no_content() -> None:
    model, _ = open_source("tiny.yaml", weights=False)
    filters = [value for value in model.graph.initializers.values() if len(value.shape) == 4]
    assert [tuple(value.shape) for value in filters] == [(4, 3, 3, 3)]
    assert filters[0].const_value is None


@pytest.mark.parametrize("form", ["file", "model"])
def test_a_model_is_frozen_and_sized_and_left_as_it_was(form: str) -> None:
    source = "model.onnx" if form == "file" else overridable()
    before = None if form == "file" else ir.to_proto(source)
    model, passes = open_source(source, dims={"N": 7}, freeze_inputs=True)
    assert passes is None
    assert [tuple(value.shape) for value in model.graph.inputs] == [(7, 3)]
    assert len(open_source(source)[0].graph.inputs) == 2
    assert before is None or ir.to_proto(source) == before


@pytest.mark.parametrize(
    ("source", "given", "option"),
    [
        ("model.onnx", {"params": {"width": 3}}, "--set"),
        ("model.onnx", {"seed": 0}, "--seed"),
        ("tiny.yaml", {"freeze_inputs": True}, "--freeze-inputs"),
    ],
)
def test_what_would_be_ignored_is_refused_by_its_name(source: str, given: dict, option: str) -> None:
    (name,) = given
    opened = [source, overridable()] if source.endswith(".onnx") else [source]
    for each in opened:
        with pytest.raises(GraphcError, match=f"`{name}` is for ") as caught:
            graphc.compile(each, **given)
        assert caught.value.code == "run/usage"
    assert f"{option} is for " in spelled(str(caught.value))


def test_a_model_has_no_targets_of_its_own() -> None:
    with pytest.raises(GraphcError, match="unknown target 'portabel'") as caught:
        graphc.compile("model.onnx", target="portabel")
    assert caught.value.hint == "did you mean 'portable'?"


def test_an_unknown_dimension_is_told_with_the_nearest_name() -> None:
    with pytest.raises(GraphcError, match="no dimension 'M'") as caught:
        open_source("model.onnx", dims={"M": 3})
    assert caught.value.hint == "known: N"


def test_only_parameters_in_backquotes_are_spelled_as_options() -> None:
    said = "allow `limits.graph_nodes=9`, `force`, params, `inputs` and `H`"
    assert spelled(said) == "allow --limit graph-nodes=9, --force, params, `inputs` and `H`"


DEFAULT = len(list(parse(named_pipelines()["inference"])))


@pytest.mark.parametrize(("pipeline", "steps"), [([], 0), ("", 0), (["drop-identity"], 1), (None, DEFAULT)])
def test_none_stands_for_the_default_passes_and_nothing_for_none(pipeline: object, steps: int) -> None:
    Path("none.yaml").write_text(SPEC + "passes: []\n")
    made = graphc.compile("tiny.yaml", verify=False, pipeline=pipeline)
    assert len(made.record.steps) == steps
    assert graphc.compile("none.yaml", verify=False).record.steps == ()


def test_mistakes_in_a_specs_passes_are_all_told_at_their_places(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(
        'graphc: 1\nname: net\ninputs: {x: "f32[1, 4]"}\noutputs: [y]\nnodes: [{id: y, op: relu}]\n'
        "passes:\n  - inferenc\n  - drop-identity: {whne: always}\n  - drop-dropout\n"
    )
    with pytest.raises(GraphcError) as error:
        graphc.compile(path)
    told = [(each.code, each.where.line, each.where.column) for each in error.value.all if each.where]
    assert told == [("spec/unknown-pass", 7, 5), ("spec/unknown-pass-option", 8, 5)]
    assert graphc.compile(path, pipeline="inference").report is not None
