"""A model at one size: every symbolic dimension bound to a number, every shape inferred from there.

Counts need static shapes. Weights are shared with the original, never copied or read.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from graphc.inference import InferenceError, Operand, infer, operand_of
from graphc.metadata import preferred_dims, sized


def bind(model: ir.Model, dims: Mapping[str, int] | None = None) -> ir.Model:
    """A copy of `model` with its symbolic input dims at `dims`, or else at their declared `opt`, or else as they are.

    Shapes that depend on a dim without a value, or on data, stay unknown. Subgraphs are left as they are. A model
    whose shapes are all static is returned as it is.
    """
    if all(_is_static(value) for node in model.graph for value in node.outputs):
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
        operands = [None if v is None else known.get(v) or operand_of(v) for v in node.inputs]
        for value, operand in zip(node.outputs, _outputs(node, operands, opset), strict=True):
            if operand.type is not None:
                value.type, value.shape = operand.type, operand.shape
            known[value] = operand
    return bound


def _is_static(value: ir.Value) -> bool:
    return value.type is not None and value.shape is not None and value.shape.is_static()


def _outputs(node: ir.Node, operands: list[Operand | None], opset: int) -> list[Operand]:
    try:
        return infer(
            node.op_type,
            operands,
            node.attributes,
            outputs=len(node.outputs),
            opset=opset,
            domain=node.domain,
        )
    except InferenceError:
        return [Operand(value.type, value.shape) for value in node.outputs]
