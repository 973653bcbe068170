"""Operators that treat every element alone, or every channel alone: wherever an element is moved, they do the same."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from graphc import Refusal, Tape, View
from graphc_passes.nodes.broadcasting import is_per_channel
from graphc_passes.nodes.stated import attributes_of

UNARY = (
    *("Abs", "Clip", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Mish", "Neg"),
    *("Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Tanh", "ThresholdedRelu"),
)
PER_CHANNEL = ("Add", "Sub", "Mul", "Div", "PRelu")
ELEMENTWISE = UNARY + PER_CHANNEL


@dataclass(frozen=True)
class Elementwise:
    """One such operator over [N, C, ...] `data`; its other operands are one number, or one for each channel."""

    view: View
    data: ir.Value

    @classmethod
    def read(cls, view: View, rank: int) -> Elementwise:
        """Read all of an operator over data of that rank. Raises Refusal when it combines more than one such value."""
        if view.opset < 7 and view.op_type in PER_CHANNEL:
            raise Refusal("before opset 7 the operands are not broadcast as now")
        given = [value for value in view.inputs() if value is not None]
        varied = [value for value in given if not is_per_channel(value, rank)]
        if len(varied) != 1 or (view.op_type == "PRelu" and varied[0] is not given[0]):
            raise Refusal(f"{view.op_type} is not of one value and constants per channel")
        return cls(view, varied[0])

    def remade(self, op: Tape, data: ir.Value) -> ir.Value:
        """The same operator over other data."""
        operands = [data if value is self.data else value for value in self.view.inputs()]
        return op.record(self.view.op_type, *operands, **attributes_of(self.view))
