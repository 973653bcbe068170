"""The JSON Schema for editors: it is one, it accepts the specs there are, and it refuses the usual slips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from graphc.spec.document import parse, read
from graphc.spec.language import RESERVED, Spec
from graphc.spec.layers import layers
from graphc.spec.schema import schema
from graphc.spec.tree import plain

SPECS = sorted((Path(__file__).parents[1] / "specs").glob("*.yaml"))
GENERAL = schema()

CAN = """\
graphc: 1
name: can
params: {width: 32, depth: 10}
variants: {can24: {width: 24, depth: 9}}
dims: {N: 1, H: {min: 64, opt: 1080, max: 2160}, W: =2 * width}
inputs: {image: "f32[N, 3, H, W]"}
outputs: [y]
blocks:
  layer:
    params: {d: null}
    do:
      - conv: {out: =width, k: 3, dilation: =d, bias: false, init: identity}
      - adaptive_norm
      - leaky_relu: 0.2
nodes:
  - repeat: {s: =range(depth - 2)}
    do:
      - layer: =2**s
  - layer: 1
  - {when: =width > 3, residual: [relu, {layer: {d: 2}}]}
  - residual: {do: [{conv: 3}], scale: =1 / 2, act: {leaky_relu: 0.1}}
  - branch: {paths: [[], [max_pool: {k: 3, s: 1}]], merge: add}
  - {Resize: {mode: cubic}, from: [y, null, [1, 1, 2, 2]]}
  - {op: Relu}
  - {id: y, conv: {out: 3, k: [1, =1]}, from: prev, stop_gradient: true}
weights: {init: per-layer, seed: 0}
train:
  inputs: {target: "f32[N, 3, H, W]"}
  losses: [{op: mse, from: [y, target], weight: =1 / width}]
  optimizer: {adam: {lr: 1e-4}}
  batch: =width
targets:
  gpu: {ep: CUDAExecutionProvider, opset: 20, precision: fp16, shapes: {H: 256}}
passes:
  - fold-adaptive-norm-into-conv
  - replace-dilated-conv-with-space-to-batch: {min_dilation: 8, when: cheaper}
lint:
  budgets: {params: 80k, macs: 200G, activation-memory: 1GiB, nodes: 200}
"""


@pytest.fixture
def can(tmp_path: Path) -> Path:
    path = tmp_path / "can.yaml"
    path.write_text(CAN)
    return path


def complaints(made: dict[str, Any], spec: object) -> list[str]:
    return ["/".join(map(str, error.absolute_path)) for error in Draft7Validator(made).iter_errors(spec)]


def test_it_is_a_draft_7_schema(can: Path) -> None:
    Draft7Validator.check_schema(GENERAL)
    Draft7Validator.check_schema(schema(can))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_it_accepts_the_shipped_specs(path: Path) -> None:
    assert complaints(schema(path), plain(read(path))) == []


def test_it_accepts_every_form_of_an_item(can: Path) -> None:
    assert complaints(schema(can), plain(read(can))) == []


def test_a_files_own_words_are_known_to_its_own_schema_only(can: Path) -> None:
    assert complaints(GENERAL, plain(read(can))) != []


@pytest.mark.parametrize(
    ("right", "wrong", "place"),
    [
        ("name: can", "nmae: can", ""),
        ("- adaptive_norm", "- adaptive_nrom", "blocks/layer/do/1"),
        ("leaky_relu: 0.2", "leaky_relu: steep", "blocks/layer/do/2"),
        ("out: 3, k:", "out: 3, kernal:", "nodes/7"),
        ("{layer: {d: 2}}", "{layer: {e: 2}}", "nodes/2"),
        ("stop_gradient: true", "stop_gradent: true", "nodes/7"),
        ("merge: add", "merge: sum", "nodes/4"),
        ("precision: fp16", "precision: fp12", "targets/gpu/precision"),
        ("min: 64", "mni: 64", "dims/H"),
        ("graphc: 1", "graphc: 2", "graphc"),
    ],
)
def test_it_refuses_slips(can: Path, right: str, wrong: str, place: str) -> None:
    assert CAN.count(right) == 1
    slip = plain(parse(CAN.replace(right, wrong), "can.yaml"))
    assert complaints(schema(can), slip) == [place]


def test_it_names_every_section_layer_and_reserved_key() -> None:
    assert set(GENERAL["properties"]) == set(Spec.model_fields)
    bare, mapping = GENERAL["definitions"]["item"]["anyOf"]
    assert set(layers()) <= set(bare["anyOf"][0]["enum"])
    assert {*layers(), *RESERVED, "residual", "branch"} == set(mapping["properties"])


def test_layers_are_documented_and_have_their_short_names() -> None:
    conv = GENERAL["definitions"]["item"]["anyOf"][1]["properties"]["conv"]
    arguments = conv["anyOf"][0]["properties"]
    assert conv["description"]
    assert arguments["k"]["description"] == "short for kernel"
    assert {**arguments["k"], "description": ""} == {**arguments["kernel"], "description": ""}
