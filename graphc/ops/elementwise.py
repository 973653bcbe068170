"""Operators that treat each element alone: one table of what an output element costs.

A clip to an interval counts as one comparison, as a ReLU does.
"""

from __future__ import annotations

from graphc.costs import Cost
from graphc.ops.op import elements, op, traffic
from graphc.view import View

_ADD, _MUL, _CMP, _DIV = Cost(add=1), Cost(mul=1), Cost(cmp=1), Cost(div=1)
_FUNCTION = Cost(transcendental=1)

PER_ELEMENT = {
    **dict.fromkeys(("Add", "Sub"), _ADD),
    **dict.fromkeys(("Mul", "Neg"), _MUL),
    **dict.fromkeys(("Div", "Mod", "Reciprocal"), _DIV),
    **dict.fromkeys(("Abs", "Ceil", "Floor", "Round", "Sign", "Relu", "Clip", "Where", "IsInf", "IsNaN"), _CMP),
    **dict.fromkeys(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"), _CMP),
    **dict.fromkeys(("And", "Not", "Or", "Xor"), _CMP),
    **dict.fromkeys(("Exp", "Log", "Sqrt", "Pow", "Erf", "Tanh", "Sinh", "Cosh"), _FUNCTION),
    **dict.fromkeys(("Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Asinh", "Acosh", "Atanh"), _FUNCTION),
    "Sigmoid": _FUNCTION + _ADD + _DIV,  # 1 / (1 + exp(−x))
    "Softplus": 2 * _FUNCTION + _ADD,  # log(1 + exp(x))
    "Softsign": _CMP + _ADD + _DIV,  # x / (1 + |x|)
    "LeakyRelu": _CMP + _MUL,
    "PRelu": _CMP + _MUL,
    "ThresholdedRelu": _CMP,
    "Elu": _CMP + _FUNCTION + _ADD + _MUL,  # α·(exp(x) − 1) below 0
    "Selu": _CMP + _FUNCTION + _ADD + 2 * _MUL,
    "Celu": _CMP + _FUNCTION + _ADD + _MUL + _DIV,  # α·(exp(x/α) − 1) below 0
    "HardSigmoid": Cost(mac=1) + _CMP,  # α·x + β, clipped to [0, 1]
    "HardSwish": Cost(mac=1) + _CMP + _MUL,
    "Mish": 3 * _FUNCTION + _ADD + _MUL,  # x·tanh(softplus(x))
    "Swish": _FUNCTION + _ADD + _DIV + 2 * _MUL,  # x·sigmoid(α·x)
}

GELU = {
    "none": 3 * _MUL + _FUNCTION + _ADD,  # x/2 · (1 + erf(x/√2))
    "tanh": 5 * _MUL + Cost(mac=1) + _FUNCTION + _ADD,  # x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))
}

_VARIADIC = {"Sum": _ADD, "Max": _CMP, "Min": _CMP, "Mean": _ADD}


@op(*PER_ELEMENT)
def elementwise(view: View) -> Cost:
    """The table's cost for each output element."""
    return PER_ELEMENT[view.op_type] * elements(view.node.outputs[0]) + traffic(view)


@op("Gelu")
def gelu(view: View) -> Cost:
    """In the form that `approximate` says."""
    return GELU[view.attr("approximate")] * elements(view.node.outputs[0]) + traffic(view)


@op(*_VARIADIC)
def variadic(view: View) -> Cost:
    """One step per further operand; a Mean divides at the end."""
    each = _VARIADIC[view.op_type] * (len(view.inputs()) - 1)
    if view.op_type == "Mean":
        each += _DIV
    return each * elements(view.node.outputs[0]) + traffic(view)
