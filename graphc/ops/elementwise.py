"""Operators that treat each element alone: one table of what an element costs, forward and backward.

A clip to an interval counts as one comparison, as a ReLU does; a sign inside an expression is free. Backward counts
what follows the gradient g of the output, by the formula beside each row.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from graphc.convolution import static_shape
from graphc.costs import ZERO, Cost
from graphc.ops.op import (
    Op,
    Saved,
    broadcast_adds,
    buffer,
    elements,
    gradient_traffic,
    keep,
    op,
    operand,
    size_in_bytes,
    traffic,
)
from graphc.view import View

_ADD, _MUL, _CMP, _DIV = Cost(add=1), Cost(mul=1), Cost(cmp=1), Cost(div=1)
_FUNCTION = Cost(transcendental=1)
_SIGMOID = _FUNCTION + _ADD + _DIV  # 1 / (1 + exp(−x))

_SWISH = _SIGMOID + 2 * _MUL  # x·s, s = sigmoid(α·x)
_SWISH_BACK = _SIGMOID + 2 * _ADD + 4 * _MUL  # g·s·(1 + α·x·(1 − s))


@dataclass(frozen=True)
class Toward:
    """The gradient towards one operand: work per element and what it reads, `a` and `b` inputs, `y` the output.

    `buffers` counts intermediate results that PyTorch keeps too, each as large as the output.
    """

    each: Cost
    reads: str = ""
    buffers: int = 0


@dataclass(frozen=True)
class Law:
    """Work per output element, and the gradient towards each operand; None where there is none."""

    each: Cost
    toward: tuple[Toward | None, ...] = ()


def _unary(each: Cost, backward: Cost, reads: str = "a") -> Law:
    return Law(each, (Toward(backward, reads),))


_SELECTED = _CMP  # g or 0, by a comparison

LAWS = {
    # no gradient: steps, integers, booleans
    **dict.fromkeys(("Ceil", "Floor", "Round", "Sign", "IsInf", "IsNaN"), Law(_CMP)),
    **dict.fromkeys(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"), Law(_CMP)),
    **dict.fromkeys(("And", "Not", "Or", "Xor"), Law(_CMP)),
    **dict.fromkeys(("BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor"), Law(_CMP)),
    "BitShift": Law(_MUL),
    # arithmetic
    "Add": Law(_ADD, (Toward(ZERO), Toward(ZERO))),
    "Sub": Law(_ADD, (Toward(ZERO), Toward(_MUL))),
    "Mul": Law(_MUL, (Toward(_MUL, "b"), Toward(_MUL, "a"))),
    "Div": Law(_DIV, (Toward(_DIV, "b"), Toward(_MUL + _DIV, "ab"))),  # g / b;  g·y / b, PyTorch makes y from a again
    "Mod": Law(_DIV, (Toward(ZERO), None)),
    "Pow": Law(_FUNCTION, (Toward(_FUNCTION + _ADD + 2 * _MUL, "ab"), Toward(_FUNCTION + 2 * _MUL, "aby"))),
    "Neg": _unary(_MUL, _MUL, ""),
    "Reciprocal": _unary(_DIV, 2 * _MUL, "y"),  # g·y·y
    "Abs": _unary(_CMP, _CMP + _MUL),  # g·sign(x)
    # functions
    "Exp": _unary(_FUNCTION, _MUL, "y"),  # g·y
    "Log": _unary(_FUNCTION, _DIV),  # g / x
    "Sqrt": _unary(_FUNCTION, _MUL + _DIV, "y"),  # g / 2y
    "Erf": _unary(_FUNCTION, 3 * _MUL + _FUNCTION),  # g·2/√π·exp(−x·x)
    "Tanh": _unary(_FUNCTION, 2 * _MUL + _ADD, "y"),  # g·(1 − y·y)
    "Tan": _unary(_FUNCTION, 2 * _MUL + _ADD, "y"),  # g·(1 + y·y)
    **dict.fromkeys(("Sin", "Cos", "Sinh", "Cosh"), _unary(_FUNCTION, _FUNCTION + _MUL)),  # g·cos(x), ...
    **dict.fromkeys(("Asin", "Acos", "Asinh", "Acosh"), _unary(_FUNCTION, _FUNCTION + _MUL + _ADD + _DIV)),
    **dict.fromkeys(("Atan", "Atanh"), _unary(_FUNCTION, _MUL + _ADD + _DIV)),  # g / (1 ± x·x)
    # activations
    "Relu": _unary(_CMP, _SELECTED, "y"),
    "Clip": _unary(_CMP, _SELECTED),
    "ThresholdedRelu": _unary(_CMP, _SELECTED),
    "Shrink": _unary(_CMP + _ADD, _SELECTED),
    "LeakyRelu": _unary(_CMP + _MUL, _CMP + _MUL),
    "PRelu": Law(_CMP + _MUL, (Toward(_CMP + _MUL, "ab"), Toward(_CMP + _MUL, "ab"))),
    "Sigmoid": _unary(_SIGMOID, 2 * _MUL + _ADD, "y"),  # g·y·(1 − y)
    "Softplus": _unary(2 * _FUNCTION + _ADD, _SIGMOID),  # log(1 + exp(x));  g / (1 + exp(−x))
    "Softsign": Law(_CMP + _ADD + _DIV, (Toward(_CMP + _ADD + _MUL + _DIV, "a", 1),)),  # x/(1 + |x|);  g / (1 + |x|)²
    "Elu": _unary(_CMP + _FUNCTION + _ADD + _MUL, _CMP + _FUNCTION + 2 * _MUL),  # α·(exp(x) − 1) below 0;  g·α·exp(x)
    "Selu": _unary(_CMP + _FUNCTION + _ADD + 2 * _MUL, _CMP + _FUNCTION + 2 * _MUL),
    "Celu": _unary(_CMP + _FUNCTION + _ADD + _MUL + _DIV, _CMP + _FUNCTION + _MUL + _DIV),  # α·(exp(x/α) − 1) below 0
    "HardSigmoid": _unary(_MUL + _ADD + _CMP, _CMP + _MUL),  # α·x + β, clipped to [0, 1]
    "HardSwish": _unary(2 * _MUL + _ADD + _CMP, _CMP + 2 * _MUL + _ADD),  # x·hardsigmoid(x);  g·(x/3 + 1/2)
    # x·t, t = tanh(softplus(x));  g·(t + x·sigmoid(x)·(1 − t·t))
    "Mish": _unary(3 * _FUNCTION + _ADD + _MUL, 3 * _FUNCTION + _SIGMOID + 3 * _ADD + 4 * _MUL),
    "Swish": _unary(_SWISH, _SWISH_BACK),
    "SwiGLU": Law(_SWISH + _MUL, (Toward(_SWISH_BACK + _MUL, "ab"), Toward(_SWISH + _MUL, "a"))),  # swish(a)·b
}

GELU = {
    # x/2·(1 + erf(x/√2));  g·(1/2·(1 + erf(x/√2)) + x·exp(−x·x/2)/√2π)
    "none": _unary(3 * _MUL + _FUNCTION + _ADD, 7 * _MUL + 2 * _FUNCTION + 2 * _ADD),
    # x/2·(1 + t), t = tanh(√(2/π)·(x + 0.044715·x³));  g·((1 + t)/2 + x/2·(1 − t·t)·√(2/π)·(1 + 3·0.044715·x²))
    "tanh": _unary(6 * _MUL + _FUNCTION + 2 * _ADD, 12 * _MUL + _FUNCTION + 5 * _ADD),
}


class _Tabled(Op):
    """A row of a table. A broadcast operand's gradient is summed over the copies."""

    def law(self, view: View) -> Law:
        return LAWS[view.op_type]

    def forward(self, view: View) -> Cost:
        return self.law(view).each * elements(view.node.outputs[0]) + traffic(view)

    def differentiable(self, view: View, index: int) -> bool:
        return self._toward(view, index) is not None and super().differentiable(view, index)

    def toward(self, view: View, index: int) -> Cost:
        law = self._toward(view, index)
        if law is None:
            return super().toward(view, index)
        out = view.node.outputs[0]
        if law.each == ZERO and static_shape(out) == static_shape(operand(view, index)):
            return ZERO  # the output's gradient itself
        work = law.each * elements(out) + broadcast_adds(view, index)
        return work + gradient_traffic(view, index, *self._read(view, law))

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        laws = [law for law in (self._toward(view, index) for index in sorted(wanted)) if law is not None]
        values = dict.fromkeys(value for law in laws for value in self._read(view, law))
        kept = tuple(saved for value in values for saved in keep(value, "operand"))
        buffers = sum(law.buffers for law in laws) * size_in_bytes(view.node.outputs[:1])
        return kept + buffer(buffers, "intermediate") if buffers else kept

    def _toward(self, view: View, index: int) -> Toward | None:
        toward = self.law(view).toward
        return toward[index] if index < len(toward) else None

    def _read(self, view: View, law: Toward) -> list[ir.Value]:
        where = {"y": view.node.outputs[0], **dict(zip("ab", view.node.inputs, strict=False))}
        found = (where[letter] for letter in law.reads)
        return [value for value in found if value is not None]


@op(*LAWS)
class Elementwise(_Tabled):
    """One row of the table."""


@op("Gelu")
class Gelu(_Tabled):
    """In the form that `approximate` says."""

    def law(self, view: View) -> Law:
        return GELU[view.attr("approximate")]
