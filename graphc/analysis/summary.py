"""A model in four numbers, for the line before and the line after a pass."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from graphc import walk
from graphc.analysis.binding import bind
from graphc.costs import Total
from graphc.metadata import CONSTANT
from graphc.ops import total

FIRST_STATISTIC = 3  # inputs of BatchNormalization: X, scale, B, mean, variance


@dataclass(frozen=True)
class Summary:
    """`nodes` counts all graphs; `parameters` the elements of floating initializers, without running statistics
    and a spec's constants; `weight_bytes` the bytes of all initializers; `forward` is the cost of one run at the dims'
    `opt` sizes, with what could not be costed."""

    nodes: int
    parameters: int
    weight_bytes: int
    forward: Total

    def measure(self, claim: str) -> int | None:
        """What a rewrite may claim to lower, "macs", "bytes" or "nodes"; None where it is not known."""
        if claim == "nodes":
            return self.nodes
        if not self.forward.complete:
            return None
        return {"macs": self.forward.cost.mac, "bytes": self.forward.cost.bytes}[claim]


def summarise(model: ir.Model) -> Summary:
    """Count a model. Weights are not read."""
    stored = [(value, value.const_value) for value in walk.initializers(model) if value.const_value is not None]
    bound = bind(model)
    return Summary(
        nodes=sum(1 for _ in walk.nodes(model)),
        parameters=sum(tensor.size for value, tensor in stored if is_parameter(value)),
        weight_bytes=sum(tensor.nbytes for _, tensor in stored),
        forward=total(list(bound.graph), bound.opset_imports.get("", 1)),
    )


def is_parameter(value: ir.Value) -> bool:
    """Whether an initializer is a parameter: floating, no running statistic and no constant of a spec."""
    floating = value.dtype is not None and value.dtype.is_floating_point()
    return floating and CONSTANT not in value.metadata_props and not any(map(_is_statistic, value.uses()))


def _is_statistic(use: tuple[ir.Node, int]) -> bool:
    """Mean and variance of a batch norm, which training tracks but does not train."""
    node, index = use
    return node.op_type == "BatchNormalization" and index >= FIRST_STATISTIC
