"""A BatchNormalization or Dropout that runs as in training.

Why    exported without `model.eval()`: the norm takes its statistics from each batch and not from training, the dropout
       throws away what was learnt, and the same input gives other outputs in another batch.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from graphc import CaseBuilder, View, constant, lint

MODE_INPUT, MODE_ATTRIBUTE = 12, 14  # the opsets in which Dropout and BatchNormalization got a training_mode
SINCE_OUTPUTS = 7  # until then `is_test`; then a norm that gives its statistics was one in training


@lint(
    "BatchNormalization",
    "Dropout",
    category="graph",
    severity="warning",
    help="export the model in inference mode",
)
def training_node_in_inference(node: View) -> str | None:
    trains = _norm_trains(node) if node.op_type == "BatchNormalization" else _dropout_trains(node)
    what = "takes its statistics from each batch" if node.op_type == "BatchNormalization" else "drops at random"
    return f"it is in training mode: it {what}" if trains else None


def _norm_trains(norm: View) -> bool:
    if norm.opset >= MODE_ATTRIBUTE:
        return bool(norm.attr("training_mode"))
    if norm.opset < SINCE_OUTPUTS:
        return not norm.attr("is_test")
    return any(value.uses() or value.is_graph_output() for value in norm.outputs()[1:])


def _dropout_trains(dropout: View) -> bool:
    if dropout.opset < SINCE_OUTPUTS:
        return not dropout.attr("is_test")
    mode = dropout.input("training_mode") if dropout.opset >= MODE_INPUT else None
    content = None if mode is None else constant(mode)
    return content is not None and bool(content.any())


def _norm(g: CaseBuilder, training: int) -> ir.Value:
    x = g.Relu(g.input(8, 4, 8, 8))
    operands = (g.weight(4), g.weight(4), g.weight(4), g.weight(4, low=0.5))
    found = g.record("BatchNormalization", x, *operands, outputs=1 + 2 * training, training_mode=training)
    made: ir.Value = found[0] if training else found
    return made


def _dropout(g: CaseBuilder, training: bool) -> ir.Value:
    x, ratio, mode = g.input(8, 4), g.constant(np.float32(0.5)), g.constant(np.asarray(training))
    found: ir.Value = g.Dropout(x, ratio, mode)
    return found


@training_node_in_inference.bad
def a_norm(g: CaseBuilder) -> object:
    return _norm(g, training=1)


@training_node_in_inference.bad
def a_dropout(g: CaseBuilder) -> object:
    return _dropout(g, training=True)


@training_node_in_inference.good
def a_norm_by_its_own_statistics(g: CaseBuilder) -> object:
    return _norm(g, training=0)


@training_node_in_inference.good
def a_dropout_that_is_off(g: CaseBuilder) -> object:
    return _dropout(g, training=False)
