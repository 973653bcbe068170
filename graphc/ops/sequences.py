"""Sequences and optional values hold references: to put in and take out moves nothing, to join and cut copies."""

from __future__ import annotations

from graphc.costs import ZERO, Cost
from graphc.ops.op import Op, op, operand, size_in_bytes
from graphc.view import View


@op("SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength")
@op("Optional", "OptionalGetElement", "OptionalHasElement")
class Reference(Op):
    """No work, forward or backward."""

    def forward(self, view: View) -> Cost:
        return ZERO

    def differentiable(self, view: View, index: int) -> bool:
        known = view.op_type not in ("SequenceLength", "OptionalHasElement")
        return known and super().differentiable(view, index)

    def toward(self, view: View, index: int) -> Cost:
        return ZERO


@op("ConcatFromSequence", "SplitToSequence")
class Regrouped(Op):
    """One tensor and a sequence of its parts: the tensor's bytes, read and written."""

    gradients = frozenset({0})

    def forward(self, view: View) -> Cost:
        joins = view.op_type == "ConcatFromSequence"
        size = size_in_bytes([view.node.outputs[0] if joins else operand(view, 0)])
        return Cost(bytes_read=size, bytes_written=size)

    def toward(self, view: View, index: int) -> Cost:
        return self.forward(view)
