"""A model at one size: every symbolic dimension bound to a number, every shape inferred from there.

Counts need static shapes. Weights are shared with the original, never copied or read.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from graphc.inference import InferenceError, Operand, infer_node
from graphc.metadata import preferred_dims, sized
from graphc.view import is_static


def bind(model: ir.Model, dims: Mapping[str, int] | None = None) -> ir.Model:
    """A copy of `model` with its symbolic input dims at `dims`, or else at their declared `opt`, or else as they are.

    Shapes that depend on a dim without a value, or on data, stay unknown. Subgraphs are left as they are. A model
    whose shapes are all static is returned as it is.
    """
    if all(value.type is not None and is_static(value.shape) for node in model.graph for value in node.outputs):
        return model
    return bind_only(model, preferred_dims(model) | dict(dims or {}))


def bind_only(model: ir.Model, sizes: Mapping[str, int]) -> ir.Model:
    """As `bind`, but only these dims: a copy in which the others are as symbolic as they were."""
    bound = model.clone()
    known: dict[ir.Value, Operand] = {}
    for value in bound.graph.inputs:
        if value.shape is not None:
            value.shape = ir.Shape([sized(dim, sizes) for dim in value.shape])
    opset = bound.opset_imports.get("", 1)
    for node in bound.graph:
        try:
            found = infer_node(node, opset, known)
        except InferenceError:
            continue
        for value, operand in zip(node.outputs, found, strict=True):
            if operand.type is not None:
                value.type, value.shape = operand.type, operand.shape
            known[value] = operand
    return bound
