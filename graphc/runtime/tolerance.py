"""How far two models that compute the same real function may differ: derived, never picked.

A sum of K products takes K roundings, each uniform in ±eps/2 of a partial sum that grows like √k. Summed in
another order it takes K others. The difference of the two is a random walk of root mean square

    0.3·eps·√K        relative to that of the result   (√2 · 1/√12 · eps/2 · √(K/2), rounded up)

Its largest value over all elements compares to the largest result much as the root mean squares do, but for
results of flat distribution: EXTREME doubles the bound for those. A later layer adds its own rounding,
independent of the one it is handed, so squares add along a path of the graph: √(K₁ + K₂ + …) over the
heaviest path, on which every operator that is no reduction is one rounding (K = 1).

What a layer is handed it may also amplify: a normalisation by a small deviation, a saturated gate, a deep
residual stack. No formula knows by how much, but the model does: its condition κ is how much larger a small
relative change of the inputs arrives at the output, measured while it runs (`equivalence.check`). Together

    max|a − b|  ≤  2 · 0.3 · eps · √(Σ K) · max(1, κ) · max|a|

Everything is relative to max|a| of that output: cancellation makes the relative error of a single element
meaningless. eps is that of the coarsest floating type of any value that the graph computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import onnx_ir as ir

from graphc import walk

RANDOM_WALK = 0.3
EXTREME = 2.0


@dataclass(frozen=True)
class Tolerance:
    """Two outputs agree when max|a − b| ≤ absolute + (relative + rounding · max(1, κ)) · max|a|.

    `rounding` is what the model's condition κ amplifies; all zero means bit-equal.
    """

    relative: float = 0.0
    absolute: float = 0.0
    rounding: float = 0.0

    def allowed(self, scale: float, condition: float = 1.0) -> float:
        """The largest permitted max|a − b| for an output whose largest magnitude is `scale`."""
        if scale == 0:  # nothing to be relative to, and κ may be infinite there
            return self.absolute
        return self.absolute + (self.relative + self.rounding * max(1.0, condition)) * scale

    def __str__(self) -> str:
        terms = ((self.absolute, ""), (self.relative, "·max|a|"), (self.rounding, "·κ·max|a|"))
        return " + ".join(f"{value:.1e}{unit}" for value, unit in terms if value) or "bit-equal"


EXACT = Tolerance()


class Declared(Protocol):
    """What is asked of a rewrite: "exact", "reassociates" or "approximates" with a relative `bound`."""

    @property
    def numerics(self) -> str: ...
    @property
    def bound(self) -> float: ...


def derive(model: ir.Model, fired: Iterable[Declared]) -> Tolerance:
    """The tolerance between `model` and what the rewrites that fired made of it, one item per time one fired.

    Only "exact" ones (or none): bit-equal. Any other: the rounding of the whole graph, see the module's
    docstring, plus the bounds of the approximations, which add in the worst case.
    """
    applied = list(fired)
    if all(rewrite.numerics == "exact" for rewrite in applied):
        return EXACT
    return replace(rounding(model), relative=sum(rewrite.bound for rewrite in applied))


def rounding(model: ir.Model) -> Tolerance:
    """The tolerance for any other order of summation in `model`; bit-equal if it computes no floats."""
    computed = [value for node in walk.nodes(model) for value in node.outputs]
    eps = max((_eps(value.dtype) for value in [*model.graph.inputs, *computed]), default=0.0)
    return Tolerance(rounding=RANDOM_WALK * EXTREME * eps * math.sqrt(heaviest_path(model)))


def heaviest_path(model: ir.Model) -> int:
    """The number of roundings on the heaviest path of the main graph: Σ K over its nodes.

    A node of K unknown (a reduction over an axis of unknown size) counts as the longest reduction that is
    known. The body of an If, Loop, Scan or function counts once, whatever its trip count.
    """
    lengths = {node: reduction_length(node) for node in walk.nodes(model)}
    longest = max((k for k in lengths.values() if k is not None), default=1)
    known = {node: longest if k is None else k for node, k in lengths.items()}
    bodies = {identifier: function.graph for identifier, function in model.functions.items()}
    return max(_path(model.graph, known, bodies, {}, 0), 1)


def _path(
    graph: ir.Graph,
    lengths: Mapping[ir.Node, int],
    bodies: Mapping[ir.OperatorIdentifier, ir.Graph],
    reached: dict[ir.Value, int],
    start: int,
) -> int:
    """The heaviest path to any value of `graph`, whose own inputs begin at `start`; fills `reached`."""
    heaviest = start
    for node in graph:
        weight = max((reached.get(x, start) for x in node.inputs if x is not None), default=start)
        inner = [bodies[node.op_identifier()]] if node.op_identifier() in bodies else []
        inner += [g for attribute in node.attributes.values() for g in _graphs(attribute)]
        weight = max((_path(g, lengths, bodies, reached, weight) for g in inner), default=weight)
        weight += lengths[node]
        reached.update(dict.fromkeys(node.outputs, weight))
        heaviest = max(heaviest, weight)
    return heaviest


def _graphs(attribute: ir.Attr) -> list[ir.Graph]:
    if attribute.is_ref():
        return []
    if attribute.type == ir.AttributeType.GRAPH:
        return [attribute.as_graph()]
    return list(attribute.as_graphs()) if attribute.type == ir.AttributeType.GRAPHS else []


# ---------------------------------------------------------------- how many terms one operator sums


def reduction_length(node: ir.Node) -> int | None:
    """The number of terms K that one output element sums: 1 for elementwise, None if not known."""
    if node.op_type.startswith("Reduce") or node.op_type.startswith("Global"):
        return _shrinkage(node)
    rule = _TERMS.get(node.op_type)
    return rule(node) if rule else 1


def _sizes(node: ir.Node, index: int) -> tuple[int, ...] | None:
    """The static shape of an input, or None."""
    value = node.inputs[index] if index < len(node.inputs) else None
    if value is None:
        return None
    if value.const_value is not None:
        return tuple(int(d) for d in value.const_value.shape.numpy())
    shape = value.shape
    return tuple(int(d) for d in shape.numpy()) if shape is not None and shape.is_static() else None


def _attribute(node: ir.Node, name: str, default: int) -> int:
    attribute = node.attributes.get(name)
    return default if attribute is None or attribute.is_ref() else attribute.as_int()


def _conv(node: ir.Node) -> int | None:
    weight = _sizes(node, 1)
    return math.prod(weight[1:]) if weight else None


def _conv_transpose(node: ir.Node) -> int | None:
    """At most Cin/g · ∏k: a stride shares the taps out over its phases."""
    weight = _sizes(node, 1)
    return weight[0] // max(_attribute(node, "group", 1), 1) * math.prod(weight[2:]) if weight else None


def _matmul(node: ir.Node) -> int | None:
    left, right = _sizes(node, 0), _sizes(node, 1)
    if right:
        return right[-2] if len(right) > 1 else right[0]
    return left[-1] if left else None


def _gemm(node: ir.Node) -> int | None:
    right = _sizes(node, 1)
    return right[1 if _attribute(node, "transB", 0) else 0] if right else None


def _einsum(node: ir.Node) -> int | None:
    """√(|A|·|B| / |out|) is K for a matrix product, and too large by √batch for a batched one."""
    out = node.outputs[0].shape
    sizes = [_sizes(node, index) for index in range(len(node.inputs))]
    if out is None or not out.is_static() or any(s is None for s in sizes):
        return None
    product = math.prod(math.prod(s) for s in sizes if s is not None)
    return max(math.isqrt(product // max(math.prod(int(d) for d in out.numpy()), 1)), 1)


def _shrinkage(node: ir.Node) -> int | None:
    """Elements of the input per element of the output: a reduction over whole axes."""
    data, out = _sizes(node, 0), node.outputs[0].shape
    if data is None or out is None or not out.is_static():
        return None
    return max(math.prod(data) // max(math.prod(int(d) for d in out.numpy()), 1), 1)


def _window(node: ir.Node) -> int | None:
    kernel = node.attributes.get("kernel_shape")
    return math.prod(kernel.as_ints()) if kernel is not None and not kernel.is_ref() else None


def _per_channel(node: ir.Node) -> int | None:
    """InstanceNormalization: the spatial size."""
    data = _sizes(node, 0)
    return math.prod(data[2:]) if data else None


def _per_group(node: ir.Node) -> int | None:
    data = _sizes(node, 0)
    return math.prod(data[1:]) // max(_attribute(node, "num_groups", 1), 1) if data else None


def _from_axis(node: ir.Node) -> int | None:
    """LayerNormalization: all axes from `axis` on."""
    data = _sizes(node, 0)
    return math.prod(data[_attribute(node, "axis", -1) :]) if data else None


def _one_axis(node: ir.Node) -> int | None:
    data = _sizes(node, 0)
    axis = _attribute(node, "axis", -1)
    return data[axis] if data and -len(data) <= axis < len(data) else None


def _recurrent(node: ir.Node) -> int | None:
    """Each step sums its input and its state, and hands the result to the next."""
    data, weight, state = _sizes(node, 0), _sizes(node, 1), _sizes(node, 2)
    if data is None or weight is None or state is None:
        return None
    return data[0 if _attribute(node, "layout", 0) == 0 else 1] * (weight[-1] + state[-1])


_TERMS: dict[str, Callable[[ir.Node], int | None]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DeformConv": _conv,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Einsum": _einsum,
    "AveragePool": _window,
    "LpPool": _window,
    "InstanceNormalization": _per_channel,
    "GroupNormalization": _per_group,
    "LayerNormalization": _from_axis,
    "RMSNormalization": _from_axis,
    "Softmax": _one_axis,
    "LogSoftmax": _one_axis,
    "LpNormalization": _one_axis,
    "MeanVarianceNormalization": _per_channel,
    "RNN": _recurrent,
    "GRU": _recurrent,
    "LSTM": _recurrent,
    "SoftmaxCrossEntropyLoss": _shrinkage,
    "NegativeLogLikelihoodLoss": _shrinkage,
}


def _eps(dtype: ir.DataType | None) -> float:
    """The distance from 1 to the next number of a floating type; 0 for a type that is none or is unknown."""
    return 2.0**-dtype.mantissa_bitwidth if dtype is not None and dtype.is_floating_point() else 0.0
