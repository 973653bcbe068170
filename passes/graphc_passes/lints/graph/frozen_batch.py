"""A batch that the interface leaves open and a constant inside of the graph fixes.

Why    the model says that it takes any batch and takes one: the exporter saw a batch of 1 and wrote that into the
       target of a Reshape, or into the initial state of a recurrent layer. It fails in the first batch of another size.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
import onnx_ir as ir

from graphc import CaseBuilder, Problem, Subject, View, constant, lint
from graphc_passes.lints.graph._graphs import sizes

RECURRENT = ("LSTM", "GRU", "RNN")


@lint(category="graph", severity="warning", help="export with a dynamic batch, or state the batch at the input")
def frozen_batch(subject: Subject) -> Iterator[Problem]:
    inputs = [value.shape for value in subject.model.graph.inputs if value.shape and not value.is_initializer()]
    names = {size.value for shape in inputs for size in shape[:1] if not isinstance(size, int) and size.value}
    if not names:
        return
    for node, opset in subject.nodes("Reshape", *RECURRENT):
        view = View(node, opset)
        frozen = _of_reshape(view, names) if node.op_type == "Reshape" else _of_state(view, names)
        if frozen is not None:
            yield Problem(f"it only takes a batch of {frozen}, and the input's is any", at=node, measured=frozen)


def _of_reshape(reshape: View, names: set[str]) -> int | None:
    """The only batch that makes as many elements as a constant target has."""
    data = reshape.node.inputs[0] if reshape.node.inputs else None
    target = reshape.node.inputs[1] if len(reshape.node.inputs) > 1 else None
    found = sizes(data)
    if data is None or target is None or not found or data.shape is None or target.dtype != ir.DataType.INT64:
        return None
    first, rest = data.shape[0], [size for size in found[1:] if size]
    if isinstance(first, int) or first.value not in names or len(rest) < len(found) - 1:
        return None
    content = constant(target)
    if content is None or content.size == 0 or content.min() <= 0:
        return None
    return int(content.prod()) // prod(rest)


def _of_state(layer: View, names: set[str]) -> int | None:
    """The batch of a constant initial state."""
    data, state = layer.input("X"), layer.input("initial_h")
    if data is None or state is None or data.shape is None or len(data.shape) < 2 or not state.is_initializer():
        return None
    axis = 0 if layer.attr("layout") else 1
    batch, states = data.shape[axis], sizes(state)
    if isinstance(batch, int) or batch.value not in names or not states or len(states) <= axis:
        return None
    return states[axis]


def _classifier(g: CaseBuilder, batch: int) -> ir.Value:
    pooled = g.GlobalAveragePool(g.input("N", 16, 8, 8))
    found: ir.Value = g.MatMul(g.Reshape(pooled, g.constant([batch, 16])), g.weight(16, 10))
    return found


@frozen_batch.bad
def in_the_target_of_a_reshape(g: CaseBuilder) -> object:
    return _classifier(g, 1)


@frozen_batch.bad
def in_an_initial_state(g: CaseBuilder) -> object:
    x = g.input("N", 5, 8)
    state = g.constant(np.zeros((1, 1, 16), np.float32))
    weights = g.weight(1, 48, 8), g.weight(1, 48, 16)
    return g.GRU(g.Transpose(x, perm=[1, 0, 2]), *weights, None, None, state, hidden_size=16)


@frozen_batch.good
def any_batch(g: CaseBuilder) -> object:
    return _classifier(g, -1)


@frozen_batch.good
def the_batch_is_stated(g: CaseBuilder) -> object:
    pooled = g.GlobalAveragePool(g.input(1, 16, 8, 8))
    return g.MatMul(g.Reshape(pooled, g.constant([1, 16])), g.weight(16, 10))
