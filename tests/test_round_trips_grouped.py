"""Grouped convolutions and channel shuffles, there and back: the node that comes out is the node that went in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
from networks import expanded, telling_model

import graphc
from graphc.cases import CaseBuilder
from graphc.pipeline import Pipeline

Build = Callable[[CaseBuilder], ir.Value]


def model_of(build: Build, opset: int = 20) -> ir.Model:
    return graphc.Case("round trip", build, opset=opset).model()


def said(node: ir.Node) -> dict[str, object]:
    return {name: attribute.value for name, attribute in node.attributes.items()}


def weights_of(node: ir.Node) -> list[np.ndarray | str | None]:
    """The contents of the weights, or the names of those that are no constants."""
    values = [value for value in node.inputs[1:] if value is not None]
    return [value.name if value.const_value is None else value.const_value.numpy() for value in values]


def assert_same_node(before: ir.Node, after: ir.Node) -> None:
    assert before.op_type == after.op_type
    assert said(before) == said(after)
    for a, b in zip(weights_of(before), weights_of(after), strict=True):
        np.testing.assert_array_equal(a, b)  # type: ignore[arg-type] # names are compared as strings


GROUPED: dict[str, Build] = {
    "two groups, bias": lambda g: g.Conv(
        g.input(1, 4, 5, 6), g.weight(6, 2, 3, 3), g.weight(6), group=2, pads=(1, 0, 2, 1), strides=(2, 1)
    ),
    "three groups, dilated, any size": lambda g: g.Conv(
        g.input("N", 6, "L"), g.weight(9, 2, 2), group=3, dilations=(2,), auto_pad="SAME_LOWER"
    ),
    "depthwise": lambda g: g.Conv(g.input(1, 3, 4, 4), g.weight(3, 1, 3, 3), g.weight(3), group=3),
    "transposed": lambda g: g.ConvTranspose(
        g.input(1, 4, 3, 4), g.weight(4, 3, 2, 3), g.weight(6), group=2, strides=(2, 1), output_padding=(1, 0)
    ),
    "computed weights": lambda g: g.Conv(g.input(1, 4, 5), g.input(4, 2, 3), g.input(4), group=2),
    "transposed, computed weights": lambda g: g.ConvTranspose(g.input(1, 4, 5), g.input(4, 2, 3), g.input(4), group=2),
}


@pytest.mark.parametrize("opset", [9, 13, 20])
@pytest.mark.parametrize("build", GROUPED.values(), ids=GROUPED)
def test_split_and_fused_again_is_the_node_one_started_from(build: Build, opset: int) -> None:
    before, model = model_of(build, opset), model_of(build, opset)
    split = Pipeline("split-grouped-conv")(model)
    assert split.record.fired == {"split-grouped-conv": 1}
    assert all(node.attributes["group"].value == 1 for node in model.graph if "Conv" in node.op_type)
    fused = Pipeline("fuse-split-convs")(model)
    assert fused.record.fired == {"fuse-split-convs": 1}
    (node,), (original,) = model.graph, before.graph
    assert_same_node(original, node)
    assert set(model.graph.initializers) == {value.name for value in node.inputs if value and value.is_initializer()}


def test_a_split_network_is_fused_again() -> None:
    """ShuffleNet's pointwise groups, over sizes that are only known at run time."""
    before = telling_model(expanded("shufflenet_v1@g2"))
    model = before.clone()
    count = Pipeline("split-grouped-conv")(model).record.fired["split-grouped-conv"]
    assert count > 20
    assert Pipeline("fuse-split-convs")(model).record.fired["fuse-split-convs"] == count
    convs = [[node for node in each.graph if node.op_type == "Conv"] for each in (before, model)]
    for a, b in zip(*convs, strict=True):
        assert_same_node(a, b)


ROUTE = (
    "inference,replace-channel-shuffle-with-gather,fold-channel-gather-into-conv,"
    "move-channel-gather-below-pointwise,fold-channel-gather-into-conv"
)
SHUFFLES = {"g1": 0, "g3": 15}  # ShuffleNet v1: the first unit's is no permutation, grouped ones stay


@pytest.mark.parametrize("variant", SHUFFLES)
def test_the_shuffles_of_shufflenet_v1(variant: str) -> None:
    """A grouped convolution cannot take up what crosses its groups; with one group nothing is shuffled."""
    before = telling_model(expanded(f"shufflenet_v1@{variant}"))
    result = Pipeline(ROUTE)(before.clone())
    kinds = [node.op_type for node in result.model.graph]
    assert result.record.fired["replace-channel-shuffle-with-gather"] == 16
    assert kinds.count("Gather") == SHUFFLES[variant]
    assert not {"Transpose", "Shape"} & set(kinds)
    assert kinds.count("Conv") == [node.op_type for node in before.graph].count("Conv")
    assert graphc.check(before, result.model).passed


def test_the_shuffles_of_shufflenet_v2() -> None:
    """The last one of each stage is taken up by dense convolutions, through a depthwise one; 13 meet a Split."""
    before = telling_model(expanded("shufflenet_v2@x0.5"))
    result = Pipeline(ROUTE)(before.clone())
    kinds = [node.op_type for node in result.model.graph]
    assert result.record.fired["fold-channel-gather-into-conv"] == 5
    assert (kinds.count("Gather"), kinds.count("Split")) == (2 * 13, 0)
    assert graphc.check(before, result.model).passed


def test_a_shuffle_between_dense_convolutions_is_gone() -> None:
    def build(g: CaseBuilder) -> ir.Value:
        x = g.Conv(g.input("N", 3, "H", "W"), g.weight(6, 3, 3, 3), pads=(1, 1, 1, 1))
        active = g.Relu(x)
        split = g.Reshape(active, g.constant([0, 2, 3, -1]))
        shuffled = g.Reshape(g.Transpose(split, perm=(0, 2, 1, 3)), g.Shape(active))
        return g.Conv(g.Conv(shuffled, g.weight(6, 1, 3, 3), group=6), g.weight(4, 6, 1, 1))

    before = model_of(build)
    result = Pipeline(ROUTE)(before.clone())
    assert [node.op_type for node in result.model.graph] == ["Conv", "Relu", "Conv", "Conv"]
    assert graphc.check(before, result.model).passed
