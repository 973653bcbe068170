"""An operator and what graphc knows of it: what it costs forward and backward, and what backward keeps.

A family of operators is a subclass of `Op`, entered by `@op("Conv", ...)`. Its methods are the facets. Each reads one
node through a `View` with static shapes and raises Refusal when what it depends on is not known: the node is then
uncosted, which is not zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from typing import ClassVar, TypeVar

import onnx_ir as ir

from graphc.convolution import static_shape
from graphc.costs import ZERO, Cost
from graphc.ops.bodies import Scope
from graphc.view import Refusal, View


@dataclass(frozen=True)
class Saved:
    """Something that the forward pass keeps for the backward pass.

    An existing `value`, whose storage counts once however many nodes keep it, or (None) an extra buffer: a mask,
    indices, statistics.
    """

    value: ir.Value | None
    bytes: int
    what: str


class Op:
    """What graphc knows of some operators.

    `gradients` are the indices of the inputs towards which a gradient can exist; None: any. Integers, booleans and
    inputs that only say how (axes, indices, running statistics) have none, which is not the same as uncosted.
    """

    gradients: ClassVar[frozenset[int] | None] = None

    def within(self, scope: Scope) -> Op:
        """The same where these functions can be called; what runs no bodies does not care."""
        return self

    def forward(self, view: View) -> Cost:
        """One run of the node."""
        raise NotImplementedError

    def differentiable(self, view: View, index: int) -> bool:
        """Whether a gradient towards that input exists."""
        if self.gradients is not None and index not in self.gradients:
            return False
        return index < len(view.node.inputs) and floating(view.node.inputs[index])

    def toward(self, view: View, index: int) -> Cost:
        """The gradient towards that input, from the gradient of the outputs; an affine or filter input likewise."""
        raise Refusal(f"the backward pass of {view.op_type} is not counted")

    def shared(self, view: View) -> Cost:
        """What the backward pass needs once, whatever the gradients asked for."""
        return ZERO

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """What is kept of the forward pass when the gradients towards the inputs `wanted` are needed."""
        return ()

    def alias(self, view: View) -> ir.Value | None:
        """The input whose storage the output shares: the node moves nothing."""
        return None


OPS: dict[str, Op] = {}
Family = TypeVar("Family", bound=type[Op])


def op(*op_types: str) -> Callable[[Family], Family]:
    """Enter a family for these operators of the standard domain."""

    def enter(family: Family) -> Family:
        known = family()
        for op_type in op_types:
            if op_type in OPS:
                raise ValueError(f"{op_type} has two entries")
            OPS[op_type] = known
        return family

    return enter


# ---------------------------------------------------------------- sizes


def floating(value: ir.Value | None) -> bool:
    """Whether a gradient can flow through a value: real or complex numbers."""
    if value is None or value.dtype is None:
        return False
    return value.dtype.is_floating_point() or value.dtype in (ir.DataType.COMPLEX64, ir.DataType.COMPLEX128)


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


def gradient_traffic(view: View, index: int, *operands: ir.Value | None) -> Cost:
    """The gradient of the first output and the `operands` read, the gradient towards that input written."""
    read = size_in_bytes([view.node.outputs[0], *operands])
    return Cost(bytes_read=read, bytes_written=size_in_bytes([operand(view, index)]))


# ---------------------------------------------------------------- what backward keeps


def keep(value: ir.Value | None, what: str) -> tuple[Saved, ...]:
    """A value kept whole; nothing when it is absent."""
    return () if value is None else (Saved(value, size_in_bytes([value]), what),)


def buffer(bytes: int, what: str) -> tuple[Saved, ...]:
    """An extra buffer."""
    return (Saved(None, bytes, what),)


def optional(view: View, index: int) -> ir.Value | None:
    """The input at that index, None when it is absent."""
    return view.node.inputs[index] if index < len(view.node.inputs) else None


def operand(view: View, index: int) -> ir.Value:
    """The input at that index. Raises Refusal when it is absent."""
    value = optional(view, index)
    if value is None:
        raise Refusal(f"{view.op_type} has no input {index}")
    return value


def broadcast_adds(view: View, index: int) -> Cost:
    """The gradient of a broadcast operand is a sum over the copies: one add less than there are of each element."""
    return Cost(add=max(0, elements(view.node.outputs[0]) - elements(operand(view, index))))
