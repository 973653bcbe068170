"""A model at one size: every symbolic dimension bound to a number, every shape inferred from there.

Counts need static shapes. Weights are shared with the original, never copied or read.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from graphc.analysis.sizing import is_static, propagate
from graphc.metadata import preferred_dims, sized


def bind(model: ir.Model, dims: Mapping[str, int] | None = None) -> ir.Model:
    """A copy of `model` with its symbolic input dims at `dims`, or else at their declared `opt`, or else as they are.

    Shapes that depend on a dim without a value, or on data, stay unknown. Subgraphs are left as they are. A model
    whose shapes are all static is returned as it is.
    """
    if is_static(model.graph):
        return model
    return bind_only(model, preferred_dims(model) | dict(dims or {}))


def bind_only(model: ir.Model, sizes: Mapping[str, int]) -> ir.Model:
    """As `bind`, but only these dims: a copy in which the others are as symbolic as they were.

    An output whose shape ONNX cannot tell keeps the declared one, at these sizes.
    """
    bound = model.clone()
    given = {value: _at(value.shape, sizes) for value in bound.graph.inputs if value.shape is not None}
    declared = {value: _at(value.shape, sizes) for value in bound.graph.outputs if value.shape is not None}
    changed = {value: shape for value, shape in given.items() if shape != value.shape}
    propagate(bound.graph, bound.opset_imports.get("", 1), changed, ())
    for value, shape in declared.items():
        value.shape = value.shape if value.shape is not None else shape
    return bound


def _at(shape: ir.Shape, sizes: Mapping[str, int]) -> ir.Shape:
    return ir.Shape([sized(dim, sizes) for dim in shape])
