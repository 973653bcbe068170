"""How far two models that compute the same real function may differ: derived, never picked.

A sum of K products takes K roundings, each uniform in ±eps/2 of a partial sum that grows like √k. Summed in
another order it takes K others. The difference of the two is a random walk of root mean square

    0.3·eps·√K        relative to that of the result   (√2 · eps/√12 · √(K/2), rounded up)

Its largest value over all elements compares to the largest result much as the root mean squares do, but for
results of flat distribution and of few elements: EXTREME doubles the bound, and the largest result counts as at least
three root mean squares. A step that is no sum (a product, a root) rounds relative to its own result, the largest one
too: there SIGMAS = 6 deviations are allowed for (one rounding in 10⁹ is further off), so it weighs (6/2)² = 9 terms. A
later layer adds its own rounding, independent of the one it is handed, so squares add along a path of the graph:
√(K₁ + K₂ + …) over the heaviest path, on which an elementwise operator is one step, and a normalisation a sum and
several steps.

That is the whole error where nothing amplifies it. A cancellation does, a normalisation by a small deviation, a
saturated gate, a deep residual stack. To first order the error of an output is

    Σ J(v)·r(v)       over all values v: inputs, constants, results

where J(v) is how the output changes with v, and r(v) the rounding that v carries, independent of all others and of
deviation 0.3·eps·√w(v) relative to v, with w(v) the terms as counted above (`carried`). No formula knows J, but the
model does: change every v by ±h·√(w(v) / ΣK) of itself, of random signs, h far above eps, and the output changes by a
sum of the same form, each term of it h / (0.3·eps·√ΣK) times as large (`condition.py`; running error analysis by
stochastic arithmetic, CESTAC). So the largest change over max|a|·h is κ, the model's condition: 1 where nothing
is amplified, 100 where all but a hundredth cancels, whether inputs cancel, constants, or results. Together

    max|a − b|  ≤  2 · 0.3 · eps · √(Σ K) · max(1, κ) · max(max|a|, 3·rms(a))

κ hides no fault: whatever amplifies the rounding of a value amplifies a fault in it as much. And it is that of the
first model alone: a form that cancels where the first does not is worse, and fails.

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
SIGMAS = 6.0
FLAT = SIGMAS / EXTREME  # root mean squares that the largest result counts as at least
STEP = round(FLAT**2)  # terms that a step which is no sum weighs
GATE_STEPS = 6  # of a recurrent cell: bias, gate, product, sum, hyperbolic tangent, product


@dataclass(frozen=True)
class Tolerance:
    """Two outputs agree when max|a − b| ≤ absolute + relative · max|a| + rounding · max(1, κ) · max(max|a|, 3·rms(a)).

    `rounding` is what the model's condition κ amplifies; all zero means bit-equal.
    """

    relative: float = 0.0
    absolute: float = 0.0
    rounding: float = 0.0

    def allowed(self, scale: float, condition: float = 1.0, rms: float = 0.0) -> float:
        """The largest permitted max|a − b| for an output of that largest magnitude and that root mean square."""
        if scale == 0:  # nothing to be relative to, and κ may be infinite there
            return self.absolute
        rounding = self.rounding * max(1.0, condition) * max(scale, FLAT * rms)
        return self.absolute + self.relative * scale + rounding

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


def derive(model: ir.Model, fired: Iterable[Declared], made: ir.Model | None = None) -> Tolerance:
    """The tolerance between `model` and what the rewrites that fired `made` of it, one item per time one fired.

    Only "exact" ones (or none): bit-equal. Any other: the rounding of the whole graph, see the module's
    docstring, plus the bounds of the approximations, which add in the worst case.
    """
    applied = list(fired)
    if all(rewrite.numerics == "exact" for rewrite in applied):
        return EXACT
    return replace(rounding(model, made), relative=sum(rewrite.bound for rewrite in applied))


def rounding(model: ir.Model, other: ir.Model | None = None) -> Tolerance:
    """The tolerance between `model` and `other`, or any other order of summation; bit-equal if it computes no floats.

    Two forms whose sums are of different lengths (a filter of two merged ones) err as the mean of both lengths does.
    """
    terms = sum(map(heaviest_path, (model, other or model))) / 2
    return Tolerance(rounding=RANDOM_WALK * EXTREME * coarsest(model) * math.sqrt(terms))


def coarsest(model: ir.Model) -> float:
    """The eps of the coarsest floating type of what the model is given and computes; 0.0 if nothing is floating."""
    computed = [value for node in walk.nodes(model) for value in node.outputs]
    return max((_eps(value.dtype) for value in [*model.graph.inputs, *computed]), default=0.0)


def heaviest_path(model: ir.Model) -> int:
    """The number of roundings on the heaviest path of the main graph: Σ K over its nodes.

    A reduction over an axis of unknown size counts as the longest one that is known. The body of an If, Loop, Scan or
    function counts once, whatever its trip count.
    """
    return max(_path(model.graph, _weights(model), _functions(model), {}, 0), 1)


def carried(model: ir.Model) -> dict[ir.Value, float]:
    """The terms w(v) of each value of the main graph, of which `heaviest_path` counts those along one path.

    A result carries its last rounding. What an operator rounds before, its partial sums and what else it computes
    within, is as large as its terms where they cancel and as its result where they add up: half is carried by the
    operand that it is made of (the first that is no constant), half by the result. Where several read one value it is
    the most. An input and a constant are exact, but the other form may round them (folded into another constant, added
    in another order): half a step, in one of two forms.
    """
    weights, functions = _weights(model), _functions(model)
    own = dict.fromkeys([*model.graph.inputs, *model.graph.initializers.values()], STEP / 2)
    read: dict[ir.Value, float] = {}
    for node in model.graph:
        inner = max((_path(g, weights, functions, {}, 0) for g in _inner(node, functions)), default=0)
        within = (weights[node] - STEP + inner) / 2
        own.update(dict.fromkeys(node.outputs, STEP + within))
        floats = [x for x in node.inputs if x is not None and _eps(x.dtype)]
        for x in sorted(floats, key=lambda x: x.const_value is not None)[:1]:
            read[x] = max(read.get(x, 0.0), within)
    return {value: terms + read.get(value, 0.0) for value, terms in own.items()}


Functions = Mapping[ir.OperatorIdentifier, ir.Graph]


def _functions(model: ir.Model) -> Functions:
    return {identifier: function.graph for identifier, function in model.functions.items()}


def _weights(model: ir.Model) -> dict[ir.Node, int]:
    """The roundings of each node alone, in terms of a sum."""
    lengths = {node: reduction_length(node) for node in walk.nodes(model)}
    longest = max((k for k in lengths.values() if k is not None), default=1)
    return {node: (longest if k is None else k) + STEP * step_count(node) for node, k in lengths.items()}


def _inner(node: ir.Node, functions: Functions) -> list[ir.Graph]:
    """The bodies that a node runs."""
    called = [functions[node.op_identifier()]] if node.op_identifier() in functions else []
    return called + walk.bodies(node)


def _path(
    graph: ir.Graph,
    weights: Mapping[ir.Node, int],
    functions: Functions,
    reached: dict[ir.Value, int],
    start: int,
) -> int:
    """The heaviest path to any value of `graph`, whose own inputs begin at `start`; fills `reached`."""
    heaviest = start
    for node in graph:
        weight = max((reached.get(x, start) for x in node.inputs if x is not None), default=start)
        inner = [_path(g, weights, functions, reached, weight) for g in _inner(node, functions)]
        weight = max(inner, default=weight) + weights[node]
        reached.update(dict.fromkeys(node.outputs, weight))
        heaviest = max(heaviest, weight)
    return heaviest


# ---------------------------------------------------------------- how many terms one operator sums


def reduction_length(node: ir.Node) -> int | None:
    """The number of terms that one output element sums: 0 where it is no sum, None if not known."""
    if _is_reduction(node):
        return _shrinkage(node)
    rule = _TERMS.get(node.op_type)
    return rule(node) if rule else 0


def step_count(node: ir.Node) -> int:
    """The number of roundings of one output element that are of no sum; of a sum, that of its result."""
    return _STEPS.get(node.op_type, 1)


def _is_reduction(node: ir.Node) -> bool:
    return node.op_type.startswith(("Reduce", "Global"))


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
    return math.prod(weight[1:]) + _bias(node) if weight else None


def _conv_transpose(node: ir.Node) -> int | None:
    """At most Cin/g · ∏k: a stride shares the taps out over its phases."""
    weight = _sizes(node, 1)
    if weight is None:
        return None
    return weight[0] // max(_attribute(node, "group", 1), 1) * math.prod(weight[2:]) + _bias(node)


def _bias(node: ir.Node) -> int:
    """The bias of a convolution, and the C of a Gemm, is a term of its sum."""
    return int(len(node.inputs) > 2 and node.inputs[2] is not None)


def _matmul(node: ir.Node) -> int | None:
    left, right = _sizes(node, 0), _sizes(node, 1)
    if right:
        return right[-2] if len(right) > 1 else right[0]
    return left[-1] if left else None


def _gemm(node: ir.Node) -> int | None:
    right = _sizes(node, 1)
    return right[1 if _attribute(node, "transB", 0) else 0] + _bias(node) if right else None


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


def _across_channels(node: ir.Node) -> int | None:
    """LRN: that many neighbouring channels."""
    return _attribute(node, "size", 1)


def _resize(node: ir.Node) -> int | None:
    """A place is rounded at its own size, up to the length of the axis, and shifts the weights by as much.

    A linear weight takes up to 4 roundings of its own; a cubic one is a polynomial whose terms, up to 16·|a|, cancel.
    """
    attributes, data, out = node.attributes, node.inputs[0], node.outputs[0].shape
    mode = attributes["mode"].as_string() if "mode" in attributes else "nearest"
    if mode == "nearest":
        return 0
    if data is None or data.shape is None or out is None:
        return None
    a = abs(attributes["cubic_coeff_a"].as_float()) if "cubic_coeff_a" in attributes else 0.75
    cancelled = math.ceil(16 * a) if mode == "cubic" else 4
    cut = attributes.get("coordinate_transformation_mode")
    moved = cut is not None and cut.as_string() == "tf_crop_and_resize"
    changed = [before for before, after in zip(data.shape, out, strict=True) if before != after or moved]
    return sum(((length if isinstance(length, int) else 0) + cancelled) ** 2 for length in changed)


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
    """Each step sums its input and its state, takes it through the gates, and hands the result to the next."""
    weight, state = _sizes(node, 1), _sizes(node, 2)
    data = node.inputs[0].shape if node.inputs and node.inputs[0] is not None else None
    steps = data[0 if _attribute(node, "layout", 0) == 0 else 1] if data is not None else None
    if not isinstance(steps, int) or weight is None or state is None:
        return None
    return steps * (weight[-1] + state[-1] + STEP * GATE_STEPS)


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
    "LRN": _across_channels,
    "Resize": _resize,
    "MeanVarianceNormalization": _per_channel,
    "RNN": _recurrent,
    "GRU": _recurrent,
    "LSTM": _recurrent,
    "SoftmaxCrossEntropyLoss": _shrinkage,
    "NegativeLogLikelihoodLoss": _shrinkage,
}


# Roundings beside the sum: subtract, square, divide by n, add ε, root, divide, scale, shift. DeformConv and RoiAlign
# find a place, how far it lies from its neighbours, both sides of each axis, their product, the sample, its mask.
_STEPS = {
    "DeformConv": 8,
    "RoiAlign": 8,
    "BatchNormalization": 6,
    "InstanceNormalization": 8,
    "GroupNormalization": 8,
    "LayerNormalization": 8,
    "RMSNormalization": 7,
    "LRN": 6,
    "MeanVarianceNormalization": 6,
    "Softmax": 3,
    "LogSoftmax": 4,
}


def _eps(dtype: ir.DataType | None) -> float:
    """The distance from 1 to the next number of a floating type; 0 for a type that is none or is unknown."""
    return 2.0**-dtype.mantissa_bitwidth if dtype is not None and dtype.is_floating_point() else 0.0
