"""The backward pass: which gradients exist, and what each costs, against algorithms that count what they do.

Each algorithm is first held against central differences of the forward function, so it is the gradient, not a formula
typed again.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from backprop import dot, gradients, one_minus, plus, scaled, times
from backprop import sigmoid as sigmoid_of
from backprop import softmax as softmax_of
from backprop import tanh as tanh_of
from counting import (
    TALLY,
    Number,
    add_up,
    counted,
    exp,
    function,
    larger,
    numbers,
    sigmoid,
    softmax,
    standardise,
    tanh,
)
from one_node import node_of, shared, toward, work

from graphc.costs import ZERO, Cost
from graphc.ops import known, op_of
from graphc.view import View

H = np.finfo(float).eps ** (1 / 3)  # the step of a central difference: h² of truncation against eps/h of rounding


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def derivative(f, x):
    return (f(x + H) - f(x - H)) / (2 * H)


# ---------------------------------------------------------------- element by element


def compare(value):
    return counted("cmp", float(value))


def normal_cdf(x):
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


def softplus(x):
    return math.log1p(math.exp(x))


def logistic(x):
    return 1 / (1 + math.exp(-x))


def gelu_back(g, x, y):
    cdf = (function(math.erf, x * math.sqrt(0.5)) + 1) * 0.5
    density = exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))
    return g * (cdf + x * density)


def gelu_tanh_back(g, x, y):
    squared = x * x
    t = tanh((x + squared * x * 0.044715) * math.sqrt(2 / math.pi))
    left = (t + 1) * 0.5
    slope = (squared * (3 * 0.044715) + 1) * math.sqrt(2 / math.pi)
    return g * (left + x * 0.5 * (Number(1) - t * t) * slope)


def mish_back(g, x, y):
    t = tanh(function(math.log, exp(x) + 1))
    return g * (t + x * sigmoid(x) * (Number(1) - t * t))


def swish_back(g, x, y):
    steep = x * 1.0
    s = sigmoid(steep)
    return g * s * (steep * (Number(1) - s) + 1)


def squared_below(g, x):
    below = larger(x, -float(x)) + 1
    return g / (below * below)


# forward, and the gradient from g, x and y; x is 0.37 throughout, or below zero
BACKWARD = {
    "Neg": (lambda x: -x, lambda g, x, y: g * -1),
    "Reciprocal": (lambda x: 1 / x, lambda g, x, y: g * y * -float(y), -1),
    "Exp": (math.exp, lambda g, x, y: g * y),
    "Log": (math.log, lambda g, x, y: g / x),
    "Sqrt": (math.sqrt, lambda g, x, y: g / (y * 2)),
    "Erf": (math.erf, lambda g, x, y: g * (exp(-float(x * x)) * (2 / math.sqrt(math.pi)))),
    "Tanh": (math.tanh, lambda g, x, y: g * (Number(1) - y * y)),
    "Tan": (math.tan, lambda g, x, y: g * (y * y + 1)),
    "Sin": (math.sin, lambda g, x, y: g * function(math.cos, x)),
    "Sinh": (math.sinh, lambda g, x, y: g * function(math.cosh, x)),
    "Cosh": (math.cosh, lambda g, x, y: g * function(math.sinh, x)),
    "Asin": (math.asin, lambda g, x, y: g / function(math.sqrt, Number(1) - x * x)),
    "Asinh": (math.asinh, lambda g, x, y: g / function(math.sqrt, x * x + 1)),
    "Atan": (math.atan, lambda g, x, y: g / (x * x + 1)),
    "Atanh": (math.atanh, lambda g, x, y: g / (Number(1) - x * x)),
    "Sigmoid": (logistic, lambda g, x, y: g * y * (Number(1) - y)),
    "Softplus": (softplus, lambda g, x, y: g / (exp(-float(x)) + 1)),
    "Gelu": (lambda x: x * normal_cdf(x), gelu_back),
    "Mish": (lambda x: x * math.tanh(softplus(x)), mish_back),
    "Swish": (lambda x: x * logistic(x), swish_back),
    "HardSwish": (lambda x: x * (x / 6 + 0.5), lambda g, x, y: compare(1) and g * (x * (1 / 3) + 0.5)),
    "Relu": (lambda x: max(x, 0), lambda g, x, y: larger(g, 0)),
    "LeakyRelu": (lambda x: 0.01 * x, lambda g, x, y: compare(1) and g * 0.01, -1),
    "Elu": (lambda x: math.exp(x) - 1, lambda g, x, y: compare(1) and g * (exp(x) * 1), -1),
    "Abs": (abs, lambda g, x, y: compare(1) and g * -1, -1),
    "Softsign": (lambda x: x / (1 + abs(x)), lambda g, x, y: squared_below(g, x), -1),
    "HardSigmoid": (lambda x: 0.2 * x + 0.5, lambda g, x, y: compare(1) and g * 0.2),
}


@pytest.mark.parametrize("op_type", BACKWARD)
def test_elementwise(op_type):
    forward, backward, *sign = BACKWARD[op_type]
    x = 0.37 * (sign[0] if sign and sign[0] else 1)
    TALLY.clear()
    found = float(backward(Number(1), Number(x), Number(forward(x))))
    size = 100 * H**2 * max(1.0, abs(forward(x)), abs(found))  # of third derivatives up to 600
    assert abs(found - derivative(forward, x)) <= size
    opset = 24 if op_type == "Swish" else 20
    assert toward(0, op_type, (1,), opset=opset) == Cost(**TALLY)


def test_gelu_by_tanh():
    def forward(x):
        return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    TALLY.clear()
    found = float(gelu_tanh_back(Number(1), Number(0.37), None))
    assert abs(found - derivative(forward, 0.37)) <= 100 * H**2
    assert toward(0, "Gelu", (1,), approximate="tanh") == Cost(**TALLY)


def test_products_and_quotients():
    assert toward(0, "Mul", (2, 3), (2, 3)) == Cost(mul=6)
    assert toward(1, "Mul", (2, 3), (3,)) == Cost(mul=6, add=3)  # summed over the two copies
    assert toward(0, "Div", (2, 3), (3,)) == Cost(div=6)
    assert toward(1, "Div", (2, 3), (3,)) == Cost(mul=6, div=6, add=3)
    assert toward(0, "Add", (2, 3), (2, 3)) == ZERO
    assert toward(1, "Add", (2, 3), (3,)) == Cost(add=3)
    assert toward(1, "Sub", (2, 3), (2, 3)) == Cost(mul=6)
    assert toward(1, "PRelu", (2, 3), (3,)) == Cost(cmp=6, mul=6, add=3)
    assert toward(2, "Where", np.ones((2, 3), bool), (2, 3), (1, 3)) == Cost(cmp=6, add=3)
    assert toward(0, "Max", (2, 3), (2, 3)) == Cost(cmp=6)
    assert toward(0, "Mean", (2, 3), (2, 3)) == Cost(div=6)


def test_a_gradient_that_is_the_outputs_own_moves_nothing():
    for op_type, given in (("Add", [(2, 3), (2, 3)]), ("Sum", [(2, 3), (2, 3)]), ("Identity", [(2, 3)])):
        node = node_of(op_type, *given)
        assert op_of(node).toward(View(node), 0) == ZERO


# ---------------------------------------------------------------- rows


def check_rows(forward, backward, cost, *arrays):
    """`backward` maps (g, rows) of Numbers to the gradient of the first array, counted."""
    x, *rest = arrays
    g = draw(*x.shape, seed=9)

    def loss(array):
        return float((np.array(forward(array, *rest), float) * g).sum())

    TALLY.clear()
    found = np.vectorize(float)(backward(numbers(g), numbers(x), *map(numbers, rest)))
    counted_work = Cost(**TALLY)
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = H
        slope = (loss(x + step) - loss(x - step)) / (2 * H)
        assert abs(slope - found[place]) <= 1000 * H**2 * max(1.0, abs(loss(x)))
    assert cost == counted_work


def test_softmax():
    def forward(x):
        return np.array([[float(v) for v in softmax(list(row))] for row in numbers(x)])

    x = draw(3, 5)
    ready = forward(x)

    def from_output(g, _):
        made = []
        for row, over in zip(numbers(ready), g, strict=True):
            mean = add_up([a * b for a, b in zip(over, row, strict=True)])
            made.append([b * (a - mean) for a, b in zip(over, row, strict=True)])
        return np.array(made)

    check_rows(forward, from_output, toward(0, "Softmax", x.shape), x)


def test_log_softmax():
    x = draw(3, 5)

    def forward(x):
        return x - np.log(np.exp(x).sum(axis=1, keepdims=True))

    ready = forward(x)

    def backward(g, _):
        made = []
        for row, over in zip(numbers(ready), g, strict=True):
            total = add_up(list(over))
            made.append([a - exp(b) * total for a, b in zip(over, row, strict=True)])
        return np.array(made)

    check_rows(forward, backward, toward(0, "LogSoftmax", x.shape), x)


def normal(x, axis):
    mean, variance = x.mean(axis=axis, keepdims=True), x.var(axis=axis, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5)


def standardised_back(g, x, scale):
    """Towards the data, of rows with γ along them: x̂ again, two sums, and what they leave."""
    made = []
    for over, row in zip(g, np.vectorize(float)(x), strict=True):
        mean, rate = row.mean(), 1 / math.sqrt(row.var() + 1e-5)
        hat = [(Number(v) - mean) * rate for v in row]  # shared
        weighed = [a * s for a, s in zip(over, scale, strict=True)]
        first, second = Number(0), Number(0)
        for a, h in zip(weighed, hat, strict=True):
            first, second = first + a, second + a * h
        first, second = first / len(row), second / len(row)
        made.append([(a - first - h * second) * rate for a, h in zip(weighed, hat, strict=True)])
    return np.array(made)


def test_layer_normalization():
    x, scale = draw(3, 6), draw(6, seed=1)
    shapes = x.shape, scale.shape, scale.shape
    cost = toward(0, "LayerNormalization", *shapes) + shared("LayerNormalization", *shapes)
    check_rows(lambda x, s: normal(x, 1) * s, standardised_back, cost, x, scale)
    assert toward(1, "LayerNormalization", *shapes) == Cost(mul=18, add=18)
    assert toward(2, "LayerNormalization", *shapes) == Cost(add=18)


def test_batch_normalization():
    """In training γ is one number in a group, so that it multiplies once; in inference there is one multiplication."""
    shapes = (4, 3, 5), (3,), (3,), (3,), (3,)
    size = 4 * 3 * 5
    layer = toward(0, "LayerNormalization", (3, 20), (20,))
    training = toward(0, "BatchNormalization", *shapes, training_mode=1, outputs=3)
    assert training + Cost(mul=size) == layer + Cost(mul=3)
    assert toward(0, "BatchNormalization", *shapes) == Cost(mul=size)
    assert shared("BatchNormalization", *shapes) == ZERO
    for mode in (0, 1):
        outputs = 3 if mode else 1
        assert toward(1, "BatchNormalization", *shapes, training_mode=mode, outputs=outputs) == Cost(mul=size, add=size)
        assert toward(2, "BatchNormalization", *shapes, training_mode=mode, outputs=outputs) == Cost(add=size)


def test_rms_normalization():
    x, scale = draw(3, 6), draw(6, seed=1)

    def forward(x, s):
        return x / np.sqrt((x * x).mean(axis=1, keepdims=True) + 1e-5) * s

    def backward(g, x, scale):
        made = []
        for over, row in zip(g, np.vectorize(float)(x), strict=True):
            rate = 1 / math.sqrt((row * row).mean() + 1e-5)
            hat = [Number(v) * rate for v in row]
            weighed = [a * s for a, s in zip(over, scale, strict=True)]
            total = Number(0)
            for a, h in zip(weighed, hat, strict=True):
                total = total + a * h
            total = total / len(row)
            made.append([(a - h * total) * rate for a, h in zip(weighed, hat, strict=True)])
        return np.array(made)

    given = (x.shape, scale.shape)
    cost = toward(0, "RMSNormalization", *given, opset=23) + shared("RMSNormalization", *given, opset=23)
    check_rows(forward, backward, cost, x, scale)


def test_groups_of_a_normalisation():
    """Group normalisation is a layer normalisation of rows, whose statistics are as many."""
    rows = work("LayerNormalization", (2 * 3, 50), (50,), (50,))
    per_channel = work("GroupNormalization", (2, 6, 5, 5), (6,), (6,), num_groups=3, opset=21)
    assert per_channel == rows
    assert toward(0, "GroupNormalization", (2, 6, 5, 5), (6,), (6,), num_groups=3, opset=21) == toward(
        0, "LayerNormalization", (2 * 3, 50), (50,), (50,)
    )


# ---------------------------------------------------------------- products


def matmul(a, b):
    rows = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = np.broadcast_to(a, (*rows, *a.shape[-2:])), np.broadcast_to(b, (*rows, *b.shape[-2:]))
    return [dot(a[place][i], b[place][:, j]) for place in np.ndindex(rows) for i in range(a.shape[-2])
            for j in range(b.shape[-1])]  # fmt: skip


@pytest.mark.parametrize(
    ("left", "right"), [((3, 4), (4, 2)), ((2, 3, 4), (2, 4, 2)), ((2, 1, 3, 4), (3, 4, 2)), ((5, 3, 4), (4, 2))]
)
def test_products_of_matrices(left, right):
    """The sum over the copies of a broadcast operand: by multiply-adds here, by adds of whole products there."""
    found = gradients(matmul, draw(*left), draw(*right, seed=1), names=["A", "B"])
    for index, name in enumerate(("A", "B")):
        cost = toward(index, "MatMul", left, right)
        assert cost.mac == found[name]["mac"]
        own, every = (left, right)[index], np.broadcast_shapes(left[:-2], right[:-2])
        copies = math.prod(every) // math.prod(own[:-2])
        assert cost.add == (copies - 1) * math.prod(own)


def test_gemm():
    shapes = (3, 4), (5, 4), (5,)
    assert toward(0, "Gemm", *shapes, transB=1) == toward(1, "Gemm", *shapes, transB=1) == Cost(mac=60)
    assert toward(2, "Gemm", *shapes, transB=1) == Cost(add=15)
    assert toward(2, "Gemm", (3, 4), (4, 5), (3, 5)) == ZERO
    assert toward(0, "Gemm", *shapes, transB=1, alpha=0.5) == Cost(mac=60, mul=12)


# ---------------------------------------------------------------- attention and recurrence


def attention(q, k, v):
    made = []
    for batch, head, query in np.ndindex(q.shape[:3]):
        group = head // (q.shape[1] // k.shape[1])
        row = [scaled(x, q.shape[3] ** -0.5) for x in q[batch, head, query]]
        weights = softmax_of([dot(row, key) for key in k[batch, group]])
        made += [dot(weights, v[batch, group, :, j]) for j in range(v.shape[3])]
    return made


@pytest.mark.parametrize("kv_heads", [2, 1])
def test_attention(kv_heads):
    shapes = (1, 2, 3, 4), (1, kv_heads, 5, 4), (1, kv_heads, 5, 2)
    found = gradients(attention, *(draw(*s, seed=i) for i, s in enumerate(shapes)), names=["Q", "K", "V"])
    own = [toward(index, "Attention", *shapes, opset=23) for index in range(3)]
    once = shared("Attention", *shapes, opset=23)
    macs = {name: counts.get("mac", 0) for name, counts in found.items()}
    pairs = 2 * 3 * 5
    # a scaled query is an intermediate result, so its gradient's products are not on the query's own account
    assert macs == {"shared": pairs * (2 + 4), "Q": 0, "K": pairs * 4, "V": pairs * 2}
    assert once.mac == pairs * 2
    assert [cost.mac for cost in own] == [pairs * 4, pairs * 4, pairs * 2]
    assert once.mac + sum(cost.mac for cost in own) == 2 * work("Attention", *shapes, opset=23).mac
    assert (once.mul, once.add) == (found["shared"]["mul"], found["shared"]["add"])
    assert own[0].mul == found["Q"]["mul"]


def gates_of(x, state, w, r, b, count, hidden):
    return [dot([*x, *state], [*w[i], *r[i]], [b[i]]) for i in range(count * hidden)]


def lstm(x, w, r, b, h, c):
    hidden = r.shape[2]
    state, cell, made = list(h[0, 0]), list(c[0, 0]), []
    for step in x[:, 0]:
        raw = gates_of(step, state, w[0], r[0], b[0], 4, hidden)
        i, o, f = ([sigmoid_of(v) for v in raw[k * hidden : (k + 1) * hidden]] for k in range(3))
        g = [tanh_of(v) for v in raw[3 * hidden :]]
        cell = [plus(times(a, old), times(p, q)) for a, old, p, q in zip(f, cell, i, g, strict=True)]
        state = [times(a, tanh_of(v)) for a, v in zip(o, cell, strict=True)]
        made += state
    return [*made, *cell]


def gru(x, w, r, b, h):
    hidden = r.shape[2]
    state, made = list(h[0, 0]), []
    for step in x[:, 0]:
        raw = gates_of(step, state, w[0], r[0], b[0], 2, hidden)
        z, reset = ([sigmoid_of(v) for v in raw[k * hidden : (k + 1) * hidden]] for k in range(2))
        kept = [times(a, v) for a, v in zip(reset, state, strict=True)]
        third = slice(2 * hidden, 3 * hidden)
        new = [tanh_of(v) for v in gates_of(step, kept, w[0][third], r[0][third], b[0][third], 1, hidden)]
        state = [plus(times(one_minus(a), n), times(a, v)) for a, n, v in zip(z, new, state, strict=True)]
        made += state
    return made


def rnn(x, w, r, b, h):
    state, made = list(h[0, 0]), []
    for step in x[:, 0]:
        state = [tanh_of(v) for v in gates_of(step, state, w[0], r[0], b[0], 1, r.shape[2])]
        made += state
    return made


@pytest.mark.parametrize(("op_type", "gates", "algorithm"), [("RNN", 1, rnn), ("GRU", 3, gru), ("LSTM", 4, lstm)])
def test_through_time(op_type, gates, algorithm):
    length, inputs, hidden = 3, 4, 2
    states = [(1, 1, hidden)] * (2 if op_type == "LSTM" else 1)
    names = ["X", "W", "R", "B", "h", "c"][: 4 + len(states)]
    shapes = [(length, 1, inputs), (1, gates * hidden, inputs), (1, gates * hidden, hidden), (1, gates * hidden)]
    arrays = [draw(*shape, seed=index) for index, shape in enumerate([*shapes, *states])]
    found = gradients(algorithm, *arrays, names=names)
    given = [*shapes[:3], (1, 2 * gates * hidden), None, *states]
    settings = {"hidden_size": hidden, "outputs": 3 if op_type == "LSTM" else 2}
    for index, name in ((0, "X"), (1, "W"), (2, "R")):
        assert toward(index, op_type, *given, **settings) == Cost(mac=found[name]["mac"])
    once = shared(op_type, *given, **settings)
    # the initial hidden state receives what in later steps is the shared part's
    through = sum((Cost(**found.get(name, {})) for name in ("shared", "h", "c")), ZERO)
    assert (once.mac, once.mul) == (through.mac, through.mul)
    assert work(op_type, *given, **settings).mac * 2 == once.mac + sum(
        toward(index, op_type, *given, **settings).mac for index in range(3)
    )


# ---------------------------------------------------------------- windows, reductions, movement


def test_pools():
    assert toward(0, "MaxPool", (2, 3, 8), kernel_shape=[3], strides=[2]) == Cost(add=2 * 3 * 3)
    assert toward(0, "AveragePool", (2, 3, 8), kernel_shape=[3], strides=[2]) == Cost(add=18 * 3, div=18)
    assert toward(0, "GlobalAveragePool", (2, 3, 8)) == Cost(div=6)


def test_reductions():
    attributes = {"axes": [1], "keepdims": 0, "opset": 11}
    assert toward(0, "ReduceSum", (3, 5), **attributes) == ZERO
    assert toward(0, "ReduceMean", (3, 5), **attributes) == Cost(div=3)
    assert toward(0, "ReduceMax", (3, 5), **attributes) == Cost(cmp=15)
    assert toward(0, "ReduceL2", (3, 5), **attributes) == Cost(mul=15, div=3)
    assert toward(0, "ReduceLogSumExp", (3, 5), **attributes) == Cost(add=15, transcendental=15, mul=15)


def test_picks_are_scattered_and_copies_summed():
    indices = np.array([0, 2, 2], np.int64)
    assert toward(0, "Gather", (10, 4), indices) == Cost(add=12)
    assert toward(0, "Expand", (1, 4), np.array([3, 4])) == Cost(add=8)
    assert toward(0, "Tile", (2, 4), np.array([3, 1])) == Cost(add=16)
    assert toward(0, "Transpose", (2, 4)) == ZERO
    assert toward(1, "Concat", (2, 4), (2, 3), axis=1) == ZERO
    assert toward(2, "ScatterElements", (5, 4), np.zeros((2, 4), np.int64), (2, 4)) == ZERO
    scales = np.array([1, 1, 2, 2], np.float32)
    assert toward(0, "Resize", (1, 1, 4, 4), None, scales, mode="nearest") == Cost(add=64)
    assert toward(0, "Resize", (1, 1, 4, 4), None, scales, mode="linear") == Cost(mac=64 * 4)


def test_losses():
    targets = np.zeros(4, np.int64)
    assert toward(0, "SoftmaxCrossEntropyLoss", (4, 6), targets) == Cost(transcendental=24, mul=24, add=4, div=1)
    assert toward(0, "NegativeLogLikelihoodLoss", (4, 6), targets) == Cost(div=1)
    assert work("NegativeLogLikelihoodLoss", (4, 6), targets) == Cost(add=3, div=1)
    whole = work("SoftmaxCrossEntropyLoss", (4, 6), targets)
    assert whole == work("LogSoftmax", (4, 6)) + work("NegativeLogLikelihoodLoss", (4, 6), targets)


# ---------------------------------------------------------------- which gradients exist

# where ONNX's own word on an input is not followed, and why
DEVIATIONS = {
    ("AffineGrid", 0): "a plain product with a matrix of coordinates",
    ("BatchNormalization", 3): "running statistics are tracked, not trained",
    ("BatchNormalization", 4): "running statistics are tracked, not trained",
    ("DFT", 0): "a linear map",
    ("GridSample", 1): "the interpolation is piecewise smooth in the grid",
    ("GRU", 5): "an initial state can be computed",
    ("Hardmax", 0): "a step",
    ("LSTM", 5): "an initial state can be computed",
    ("LSTM", 6): "an initial state can be computed",
    ("LinearAttention", 3): "an initial state can be computed",
    ("RNN", 5): "an initial state can be computed",
    ("STFT", 0): "a linear map",
}


def test_gradients_exist_where_onnx_says_so():
    """By the schemas' differentiation categories, as far as they say anything."""
    category = onnx.defs.OpSchema.DifferentiationCategory
    wrong = {}
    for op_type, entry in known().items():
        schema = onnx.defs.get_schema(op_type)
        if schema.deprecated:
            continue
        for index, formal in enumerate(schema.inputs):
            if formal.differentiation_category == category.Unknown:
                continue
            node = node_of_floats(op_type, schema)
            says = formal.differentiation_category == category.Differentiable
            if says != entry.differentiable(View(node, onnx.defs.onnx_opset_version()), index):
                wrong[op_type, index] = says
    assert wrong.keys() == DEVIATIONS.keys()


def node_of_floats(op_type, schema):
    """A node whose every input is a float, where that is a type it takes at all."""

    def made(formal, index):
        floats = "tensor(float)" in formal.types
        dtype = ir.DataType.FLOAT if floats else ir.DataType.INT64
        return ir.Value(name=f"i{index}", type=ir.TensorType(dtype), shape=ir.Shape([2, 2]))

    inputs = [made(formal, index) for index, formal in enumerate(schema.inputs)]
    outputs = [ir.Value(name="o", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([2, 2]))]
    return ir.node(op_type, inputs, outputs=outputs)


def test_integers_and_steps_have_no_gradient():
    cases = [
        ("Add", [np.zeros(3, np.int64), np.zeros(3, np.int64)]),
        ("Round", [(3,)]),
        ("Greater", [(3,), (3,)]),
        ("ArgMax", [(3,)]),
        ("Shape", [(3,)]),
        ("Gather", [np.zeros(3, np.int64), np.zeros(2, np.int64)]),
        ("Cast", [(3,)]),
    ]
    for op_type, given in cases:
        attributes = {"to": 7} if op_type == "Cast" else {}
        node = node_of(op_type, *given, **attributes)
        assert not any(op_of(node).differentiable(View(node), index) for index in range(len(given))), op_type
    real = node_of("Cast", (3,), to=10)
    assert op_of(real).differentiable(View(real), 0)


def test_standardising_counts_as_the_layer_does():
    """The forward algorithm of `counting` is what `LayerNormalization` without γ and β would cost."""
    TALLY.clear()
    standardise([Number(v) for v in draw(7)])
    assert Cost(**TALLY) + Cost(mul=7) == work("LayerNormalization", (1, 7), (7,))
