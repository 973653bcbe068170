"""There and back: dilated → space-to-batch → dilated, strided → space-to-depth → strided return where one started."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from graphc.cases import CaseBuilder
from graphc.pipeline import find_rewrite

Conv = dict[str, Any]  # data, filter, and the attributes


def conv(data: Sequence[int | str], filter: Sequence[int], **attributes: Any) -> Conv:
    return {"data": data, "filter": filter, "attributes": attributes}


DILATED = {
    "same size": conv((1, 2, 8, 6), (3, 2, 3, 3), dilations=(2, 2), pads=(2, 2, 2, 2)),
    "a size that is no multiple": conv((2, 2, 7, 9), (3, 2, 3, 2), dilations=(3, 2), pads=(3, 1, 3, 1)),
    "grouped, no pads": conv((1, 4, 5, 7), (4, 2, 2, 2), dilations=(2, 3), group=2),
    "causal": conv((1, 2, 9), (2, 2, 3), dilations=(4,), pads=(8, 0)),
    "one axis": conv((1, 1, 6, 5), (2, 1, 2, 3), dilations=(3, 1), pads=(2, 1, 1, 0)),
    "3-D": conv((1, 1, 4, 5, 3), (2, 1, 2, 2, 2), dilations=(2, 3, 1), pads=(1, 1, 0, 1, 2, 1)),
    "a batch known at run time only": conv(("N", 2, 6, 6), (3, 2, 3, 3), dilations=(2, 2), pads=(2, 2, 2, 2)),
}
# Of all end pads that give the same outputs the smallest, which is what ONNX needs, and kernels that begin and end with
# a tap that is not zero.
STRIDED = {
    "a stem": conv((1, 3, 9, 11), (4, 3, 7, 7), strides=(2, 2), pads=(3, 3, 3, 3)),
    "halved, even size": conv((1, 2, 8, 6), (3, 2, 3, 3), strides=(2, 2), pads=(1, 1, 0, 0)),
    "patches": conv((2, 3, 8, 8), (5, 3, 4, 4), strides=(4, 4)),
    "grouped, unequal strides": conv((1, 4, 6, 9), (6, 2, 3, 4), strides=(2, 3), pads=(1, 1, 0, 0), group=2),
    "a kernel smaller than the stride": conv((1, 2, 8), (3, 2, 2), strides=(3,)),
    "3-D, one axis dense": conv((1, 2, 5, 4, 3), (2, 2, 3, 2, 2), strides=(2, 2, 1), pads=(1, 0, 0, 1, 0, 1)),
    "a batch known at run time only": conv(("N", 2, 7, 7), (3, 2, 3, 3), strides=(2, 2), pads=(1, 1, 1, 1)),
}
THERE_AND_BACK = [
    pytest.param(
        "replace-dilated-conv-with-space-to-batch",
        "replace-space-to-batch-conv-with-dilated-conv",
        each,
        id=f"dilated, {name}",
    )
    for name, each in DILATED.items()
] + [
    pytest.param(
        "replace-strided-conv-with-space-to-depth",
        "replace-space-to-depth-conv-with-strided-conv",
        each,
        id=f"strided, {name}",
    )
    for name, each in STRIDED.items()
]


def node_of(model: ir.Model) -> dict[str, Any]:
    """The one node of a model, with its defaults written out."""
    (node,) = model.graph
    rank = len(node.inputs[1].const_value.shape) - 2
    defaults = {"strides": (1,) * rank, "dilations": (1,) * rank, "pads": (0,) * (2 * rank), "group": 1}
    given = {name: attribute.value for name, attribute in node.attributes.items()}
    attributes = {name: value if name == "group" else tuple(value) for name, value in (defaults | given).items()}
    return {"operator": node.op_type, "data": node.inputs[0].name, "output": node.outputs[0].name, **attributes}


def weights_of(model: ir.Model) -> list[np.ndarray]:
    (node,) = model.graph
    return [value.const_value.numpy() for value in node.inputs[1:]]


@pytest.mark.parametrize(("there", "back", "start"), THERE_AND_BACK)
def test_the_way_back_leads_home(there: str, back: str, start: Conv) -> None:
    builder = CaseBuilder(20, ir.DataType.FLOAT)
    weights = builder.weight(*start["filter"]), builder.weight(start["filter"][0])
    model = builder.model([builder.Conv(builder.input(*start["data"]), *weights, **start["attributes"])])
    before, weights_before = node_of(model), weights_of(model)

    run = find_rewrite(there)()
    assert run(model).modified, run.refused
    assert len(model.graph) > 1
    run = find_rewrite(back)(when="always")
    assert run(model).modified, run.refused

    assert node_of(model) == before
    for old, new in zip(weights_before, weights_of(model), strict=True):
        assert np.array_equal(old, new)


def test_a_chain_comes_back() -> None:
    builder = CaseBuilder(20, ir.DataType.FLOAT)
    data = builder.input(1, 2, 8, 6)
    for _ in range(3):
        data = builder.Relu(builder.Conv(data, builder.weight(2, 2, 3, 3), dilations=(2, 2), pads=(2, 2, 2, 2)))
    model = builder.model([data])
    attributes = partial(
        map, lambda node: {name: list(a.value) for name, a in node.attributes.items() if name in ("dilations", "pads")}
    )
    before = [node.op_type for node in model.graph], list(attributes(model.graph))

    assert find_rewrite("replace-dilated-chain-with-space-to-batch")()(model).modified
    assert sum(node.op_type == "Reshape" for node in model.graph) == 4
    assert find_rewrite("replace-space-to-batch-conv-with-dilated-conv")()(model).modified
    assert ([node.op_type for node in model.graph], list(attributes(model.graph))) == before
