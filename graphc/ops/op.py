"""An operator and what graphc knows of it: so far, what running it forward costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import onnx_ir as ir

from graphc.convolution import static_shape
from graphc.costs import Cost
from graphc.view import Refusal, View

Forward: TypeAlias = Callable[[View], Cost]


@dataclass(frozen=True)
class Op:
    """`forward` counts one run of a node. It raises Refusal when what the count depends on is not known."""

    op_type: str
    forward: Forward


OPS: dict[str, Op] = {}


def op(*op_types: str) -> Callable[[Forward], Forward]:
    """Enter a count for these operators of the standard domain."""

    def enter(forward: Forward) -> Forward:
        for op_type in op_types:
            if op_type in OPS:
                raise ValueError(f"{op_type} has two entries")
            OPS[op_type] = Op(op_type, forward)
        return forward

    return enter


def elements(value: ir.Value) -> int:
    """How many elements a value has. Raises Refusal when its shape is not static."""
    return prod(static_shape(value))


def size_in_bytes(values: Iterable[ir.Value | None]) -> int:
    """The bytes of these values, each counted once; elements below a byte are packed. Raises Refusal."""
    total = 0
    for value in dict.fromkeys(values):
        if value is None or value.name == "":
            continue
        if value.dtype in (None, ir.DataType.STRING, ir.DataType.UNDEFINED):
            raise Refusal(f"the elements of '{value.name}' have no fixed size")
        total += -(-elements(value) * value.dtype.bitwidth // 8)
    return total


def read(view: View) -> Cost:
    """Every input, read once."""
    return Cost(bytes_read=size_in_bytes(view.inputs()))


def written(view: View) -> Cost:
    """Every output that the node gives, written once."""
    return Cost(bytes_written=size_in_bytes(view.node.outputs))


def traffic(view: View) -> Cost:
    """Every input read once and every output written once: what an operator that keeps nothing must move."""
    return read(view) + written(view)
