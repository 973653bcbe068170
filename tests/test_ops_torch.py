"""Multiply-adds against PyTorch's FlopCounterMode, layer by layer; it multiplies filter gradients by the groups.

tests/fixtures/cost/README.md says how the fixtures were made.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from one_node import node_of

from graphc.ops import op_of
from graphc.view import View

FIXTURE = Path(__file__).parent / "fixtures/cost/layers.json"
LAYERS = json.loads(FIXTURE.read_text())["layers"]


@pytest.mark.parametrize("layer", LAYERS, ids=[f"{n}-{layer['torch']}" for n, layer in enumerate(LAYERS)])
def test_as_pytorch_counts(layer):
    op_type, attributes, macs = layer["op_type"], layer["attributes"], layer["macs"]
    node = node_of(op_type, *map(tuple, layer["inputs"]), opset=23 if op_type == "Attention" else 20, **attributes)
    assert list(node.outputs[0].shape.numpy()) == layer["output"]
    view, op = View(node), op_of(node)
    assert op.forward(view).mac == macs["forward"]
    if op_type == "Attention":  # the gradients of query, key and value together, and what they share
        assert op.shared(view).mac + sum(op.toward(view, index).mac for index in range(3)) == macs["input_grad"]
        return
    assert op.toward(view, 0).mac == macs["input_grad"]
    assert op.toward(view, 1).mac * layer["groups"] == macs["filter_grad_raw"]


def test_there_are_enough_of_them():
    assert len(LAYERS) >= 200
    assert {len(layer["inputs"][0]) - 2 for layer in LAYERS if layer["op_type"] == "Conv"} == {1, 2, 3}
    assert sum(layer["groups"] > 1 for layer in LAYERS) > 100
