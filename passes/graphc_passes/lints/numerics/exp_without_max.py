"""A softmax written out whose exponentials are not shifted by their maximum.

Why    exp overflows float32 above 88.7 and float16 above 11.1; infinity divided by infinity is not a number. The same
       function with x − max x cannot overflow.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from graphc import CaseBuilder, Problem, Subject, lint

SUMS = ("ReduceSum", "ReduceL1")


@lint(category="numerics", severity="warning", help="use Softmax, or subtract the maximum first")
def exp_without_max(subject: Subject) -> Iterator[Problem]:
    for node, _ in subject.nodes("Exp"):
        if len(node.inputs) != 1 or node.inputs[0] is None or len(node.outputs) != 1:
            continue
        x, exp = node.inputs[0], node.outputs[0]
        found = subject.intervals.get(x)
        bound = _bound(exp.dtype)
        if _is_normalised(exp) and (found is None or found.high > bound):
            yield Problem(f"nothing keeps its input below {bound:.3g}, where it overflows", at=node, limit=bound)


def _bound(dtype: ir.DataType | None) -> float:
    """The largest number whose exponential a type holds."""
    known = dtype if dtype in (ir.DataType.FLOAT16, ir.DataType.DOUBLE) else ir.DataType.FLOAT
    return float(np.log(np.finfo(known.numpy()).max.astype(np.float64)))


def _is_normalised(exp: ir.Value) -> bool:
    """Whether it is divided by its own sum."""
    readers = list(exp.consumers())
    sums = [node.outputs[0] for node in readers if node.op_type in SUMS and node.outputs]
    quotients = (node for node in readers if node.op_type == "Div" and len(node.inputs) == 2)
    return any(node.inputs[0] is exp and node.inputs[1] in sums for node in quotients)


def _softmax(g: CaseBuilder, x: ir.Value) -> ir.Value:
    exp = g.Exp(x)
    return g.Div(exp, g.ReduceSum(exp, g.constant([-1], name="axes")))


@exp_without_max.bad
def a_softmax_of_anything(g: CaseBuilder) -> object:
    return _softmax(g, g.input(2, 10))


@exp_without_max.good
def a_shifted_softmax(g: CaseBuilder) -> object:
    x = g.input(2, 10)
    return _softmax(g, g.Sub(x, g.ReduceMax(x, g.constant([-1], name="axis"))))


@exp_without_max.good
def a_softmax_of_what_is_bounded(g: CaseBuilder) -> object:
    return _softmax(g, g.Tanh(g.input(2, 10)))
