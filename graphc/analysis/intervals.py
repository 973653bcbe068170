"""Between which bounds each value of a model lies, whatever its inputs: interval arithmetic, forward through the graph.

An interval holds all elements of a value, in exact arithmetic; unbounded inputs make most of them unbounded, but what
follows a Relu, a Sigmoid, a Clip or a square is bounded again. What graphc cannot follow is unbounded: a bound is a
fact, its absence none. Constants of more than 1024 elements are weights and not read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from graphc.convolution import static_shape
from graphc.view import Refusal, View, constant_tensor

INFINITY = math.inf
MAX_READ = 1024  # elements
TINY = math.ulp(0.0)  # what an exponential is above


@dataclass(frozen=True)
class Interval:
    """All of low <= x <= high; (-inf, inf) where nothing is known."""

    low: float = -INFINITY
    high: float = INFINITY

    @property
    def is_bounded_below(self) -> bool:
        """Whether there is a least value."""
        return self.low > -INFINITY

    def __contains__(self, x: float) -> bool:
        return self.low <= x <= self.high


ANY = Interval()
Rule = Callable[[View, Sequence[Interval]], Interval]


def intervals(graph: ir.Graph | ir.Function, opset: int) -> Mapping[ir.Value, Interval]:
    """The interval of every value that the nodes of a graph make, and of the small constants that they read.

    What comes from outside, be it from the caller or from an outer graph, is unbounded, and so is every output of an
    operator with several.
    """
    found: dict[ir.Value, Interval] = {}
    for node in graph:
        operands = [_operand(value, found) for value in node.inputs]
        if node.op_type == "Constant" and not node.domain:
            continue  # read where it is used
        rule = RULES.get(node.op_type) if not node.domain and len(node.outputs) == 1 else None
        for value in node.outputs:
            found[value] = ANY if rule is None else _applied(rule, View(node, opset), operands)
    return found


def _operand(value: ir.Value | None, found: dict[ir.Value, Interval]) -> Interval:
    if value is None:
        return ANY
    if value not in found:
        found[value] = _constant(value)
    return found[value]


def _constant(value: ir.Value) -> Interval:
    tensor = constant_tensor(value)
    if tensor is None or not 0 < tensor.size <= MAX_READ or tensor.dtype == ir.DataType.STRING:
        return ANY
    content = np.asarray(tensor.numpy()).astype(np.float64) if tensor.dtype.bitwidth >= 8 else None
    if content is None or np.isnan(content).any():
        return ANY
    return Interval(float(content.min()), float(content.max()))


def _applied(rule: Rule, view: View, operands: Sequence[Interval]) -> Interval:
    try:
        found = rule(view, operands)
    except (Refusal, ValueError, LookupError, TypeError, ArithmeticError):  # a broken node says nothing
        return ANY
    return found if found.low <= found.high else ANY  # of no elements, or of what is no number


# ---------------------------------------------------------------- rules


def _same(view: View, x: Sequence[Interval]) -> Interval:
    return x[0]


def _union(view: View, x: Sequence[Interval]) -> Interval:
    return Interval(min(each.low for each in x), max(each.high for each in x))


def _with_zero(view: View, x: Sequence[Interval]) -> Interval:
    return Interval(min(x[0].low, 0.0), max(x[0].high, 0.0))


def _add(view: View, x: Sequence[Interval]) -> Interval:
    return Interval(sum(each.low for each in x), sum(each.high for each in x))


def _subtract(view: View, x: Sequence[Interval]) -> Interval:
    a, b = view.node.inputs
    plain = Interval(x[0].low - x[1].high, x[0].high - x[1].low)
    return Interval(plain.low, min(plain.high, 0.0)) if _is_maximum_of(b, a) else plain


def _is_maximum_of(value: ir.Value | None, of: ir.Value | None) -> bool:
    node = value.producer() if value is not None else None
    if node is None or node.op_type != "ReduceMax" or node.domain or node.inputs[0] is not of:
        return False
    return View(node).attr("keepdims") != 0


def _multiply(view: View, x: Sequence[Interval]) -> Interval:
    a, b = view.node.inputs
    ends = [_product(p, q) for p in (x[0].low, x[0].high) for q in (x[1].low, x[1].high)]
    return _square(x[0]) if a is b else Interval(min(ends), max(ends))


def _product(p: float, q: float) -> float:
    return 0.0 if 0.0 in (p, q) else p * q  # 0 times an end that is not reached


def _square(x: Interval) -> Interval:
    least = 0.0 if 0.0 in x else min(x.low**2, x.high**2)
    return Interval(least, max(x.low**2, x.high**2))


def _cast(view: View, x: Sequence[Interval]) -> Interval:
    made, read = view.node.outputs[0].dtype, view.node.inputs[0]
    floats = made is not None and made.is_floating_point() and read is not None and read.dtype is not None
    return x[0] if floats else ANY


def _divide(view: View, x: Sequence[Interval]) -> Interval:
    made = view.node.outputs[0].dtype
    if 0.0 in x[1] or made is None or not made.is_floating_point():
        return ANY
    ends = [p / q for p in (x[0].low, x[0].high) for q in (x[1].low, x[1].high)]
    return Interval(min(ends), max(ends))


def _reciprocal(view: View, x: Sequence[Interval]) -> Interval:
    return _divide(view, (Interval(1.0, 1.0), x[0]))


def _power(view: View, x: Sequence[Interval]) -> Interval:
    exponent = view.constant("Y")
    if exponent.size and np.all(exponent == 2):
        return _square(x[0])
    if exponent.size and np.all(exponent % 2 == 0):
        return Interval(0.0)
    return Interval(0.0) if x[0].low >= 0 else ANY


def _negate(view: View, x: Sequence[Interval]) -> Interval:
    return Interval(-x[0].high, -x[0].low)


def _absolute(view: View, x: Sequence[Interval]) -> Interval:
    least = 0.0 if 0.0 in x[0] else min(abs(x[0].low), abs(x[0].high))
    return Interval(least, max(abs(x[0].low), abs(x[0].high)))


def _clip(view: View, x: Sequence[Interval]) -> Interval:
    if len(x) > 1 or view.opset >= 11:
        low = x[1].low if len(x) > 1 and view.input("min") is not None else -INFINITY
        bound = x[2] if len(x) > 2 and view.input("max") is not None else Interval(INFINITY, INFINITY)
    else:
        low, bound = view.attr("min"), Interval(view.attr("max"), view.attr("max"))
    least = x[1].high if len(x) > 1 and view.opset >= 11 and view.input("min") is not None else low
    return Interval(min(max(x[0].low, low), bound.low), min(max(x[0].high, least), bound.high))


def _exponential(view: View, x: Sequence[Interval]) -> Interval:
    return Interval(max(_exp(x[0].low), TINY), _exp(x[0].high))


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return INFINITY


def _root(view: View, x: Sequence[Interval]) -> Interval:
    return Interval(math.sqrt(max(x[0].low, 0.0)), math.sqrt(max(x[0].high, 0.0)))


def _logarithm(view: View, x: Sequence[Interval]) -> Interval:
    ends = [math.log(end) if end > 0 else -INFINITY for end in (x[0].low, x[0].high)]
    return Interval(*ends)


def _rectify(view: View, x: Sequence[Interval]) -> Interval:
    return Interval(max(x[0].low, 0.0), max(x[0].high, 0.0))


def _minimum(view: View, x: Sequence[Interval]) -> Interval:
    return Interval(min(each.low for each in x), min(each.high for each in x))


def _maximum(view: View, x: Sequence[Interval]) -> Interval:
    return Interval(max(each.low for each in x), max(each.high for each in x))


def _where(view: View, x: Sequence[Interval]) -> Interval:
    return _union(view, x[1:])


def _sum_over(view: View, x: Sequence[Interval]) -> Interval:
    """A sum of as many terms as its input has elements for each of its output; of a softmax's shifted exponentials at
    least the one that is exp(0)."""
    low = 1.0 if _is_shifted(view.node.inputs[0], view.node) else x[0].low
    terms = _terms(view.node)
    if terms == INFINITY and low != 1.0:
        low = min(low, 0.0)  # a sum of nothing is 0
    return Interval(_product(low, terms) if low < 0 else low, _product(max(x[0].high, 0.0), terms))


def _terms(node: ir.Node) -> float:
    """How many elements become one; infinity where that is not known."""
    read, made = node.inputs[0], node.outputs[0]
    if read is None or any(value.shape is None or not value.shape.is_static() for value in (read, made)):
        return INFINITY
    return math.prod(static_shape(read)) / max(math.prod(static_shape(made)), 1)


def _is_shifted(value: ir.Value | None, sum_: ir.Node) -> bool:
    """Whether it is exp(x − max x), over the axes of the sum."""
    exp = value.producer() if value is not None else None
    shift = exp.inputs[0].producer() if exp is not None and exp.op_type == "Exp" and exp.inputs[0] else None
    if shift is None or shift.op_type != "Sub" or not _is_maximum_of(shift.inputs[1], shift.inputs[0]):
        return False
    maximum = shift.inputs[1].producer() if shift.inputs[1] is not None else None
    return maximum is not None and _axes(maximum) == _axes(sum_)


def _axes(node: ir.Node) -> object:
    """The axes that a reduction is over, as far as they are written: two that are equal are the same."""
    attribute = node.attributes.get("axes")
    if attribute is not None:
        return None if attribute.is_ref() else tuple(attribute.value)
    axes = node.inputs[1] if len(node.inputs) > 1 else None
    tensor = constant_tensor(axes) if axes is not None else None
    return axes if tensor is None else tuple(tensor.numpy().reshape(-1).tolist())


def _squares_over(view: View, x: Sequence[Interval]) -> Interval:
    return _sum_over(view, [_square(x[0])])


def _length_over(view: View, x: Sequence[Interval]) -> Interval:
    return _root(view, [_squares_over(view, x)])


def _within(low: float, high: float) -> Rule:
    return lambda view, x: Interval(low, high)


MOVES = (
    "Identity Reshape Transpose Squeeze Unsqueeze Flatten Expand Tile Slice Gather GatherElements GatherND "
    "DepthToSpace SpaceToDepth MaxPool GlobalMaxPool GlobalAveragePool ReduceMean ReduceMax ReduceMin"
)
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(MOVES.split(), _same),
    "AveragePool": _with_zero,
    **dict.fromkeys(("Sum", "Add"), _add),
    "Sub": _subtract,
    "Mul": _multiply,
    "Div": _divide,
    "Cast": _cast,
    "Reciprocal": _reciprocal,
    "Pow": _power,
    "Neg": _negate,
    "Abs": _absolute,
    "Clip": _clip,
    "Exp": _exponential,
    "Sqrt": _root,
    "Log": _logarithm,
    "Relu": _rectify,
    "Softplus": _within(0.0, INFINITY),
    **dict.fromkeys(("Sigmoid", "HardSigmoid", "Softmax"), _within(0.0, 1.0)),
    **dict.fromkeys(("Tanh", "Erf", "Sin", "Cos", "Softsign"), _within(-1.0, 1.0)),
    "LogSoftmax": _within(-INFINITY, 0.0),
    "Concat": _union,
    "Where": _where,
    "Min": _minimum,
    "Max": _maximum,
    "ReduceSum": _sum_over,
    "ReduceSumSquare": _squares_over,
    "ReduceL1": lambda view, x: _sum_over(view, [_absolute(view, x)]),
    "ReduceL2": _length_over,
}
