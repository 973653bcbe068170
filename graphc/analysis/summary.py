"""A model in four numbers, for the line before and the line after a pass."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from graphc.analysis.binding import bind
from graphc.cost import Total
from graphc.ops import total


@dataclass(frozen=True)
class Summary:
    """`nodes` counts all graphs; `parameters` are elements and `weight_bytes` bytes of the initializers;
    `forward` is the cost of one run at the dims' `opt` sizes, with what could not be costed."""

    nodes: int
    parameters: int
    weight_bytes: int
    forward: Total


def summarise(model: ir.Model) -> Summary:
    """Count a model. Weights are not read."""
    tensors = [v.const_value for v in model.graph.initializers.values() if v.const_value is not None]
    bound = bind(model)
    return Summary(
        nodes=sum(1 for _ in model.graph.all_nodes()),
        parameters=sum(t.size for t in tensors if t.dtype.is_floating_point()),
        weight_bytes=sum(t.nbytes for t in tensors),
        forward=total(list(bound.graph), bound.opset_imports.get("", 1)),
    )
