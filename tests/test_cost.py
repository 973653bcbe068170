"""What operators cost: held against algorithms that run on numbers which count what is done to them.

Each such algorithm is first held against ONNX Runtime: it is the operator, not a formula typed again.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort  # noqa: TID251 - the oracle of these tests
import pytest
from counting import (
    TALLY,
    Number,
    add_up,
    affine,
    below_zero,
    clip,
    counted,
    exp,
    function,
    inner,
    larger,
    largest,
    log_softmax,
    numbers,
    sigmoid,
    softmax,
    softplus,
    squares,
    standardise,
    tanh,
)
from light import light_models, load_light
from one_node import FLOAT, moved, node_of, value, work

from graphc.analysis.binding import bind
from graphc.costs import ZERO, Cost, Total
from graphc.errors import GraphcError
from graphc.ops import UNCOSTED, cost_of, known, total

# ---------------------------------------------------------------- values


def test_costs_add_up():
    one = Cost(mac=1, add=2, mul=3, cmp=4, div=5, transcendental=6, bytes_read=7, bytes_written=8)
    assert one + ZERO == one
    assert one + one == 2 * one == one * 2
    assert sum([one, one, one], ZERO) == 3 * one
    assert one.flops == 2 * 1 + 2 + 3 + 4 + 5 + 6
    assert one.bytes == 15
    assert (10**18 * one).mac == 10**18


def test_what_is_uncosted_stays_visible():
    known_part, unknown_part = Total(Cost(mac=5)), Total(uncosted=("Mystery 'm'",))
    both = known_part + unknown_part
    assert both == Total(Cost(mac=5), ("Mystery 'm'",))
    assert known_part.complete
    assert not both.complete


# ---------------------------------------------------------------- algorithms that count


def by_runtime(node, arrays, output=0):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    model = ir.to_proto(ir.Model(node.graph, ir_version=9)).SerializeToString()
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feeds = {i.name: a.astype(np.float32) for i, a in zip(node.inputs, arrays, strict=True)}
    return session.run(None, feeds)[output]


def check(counted_algorithm, op_type, *arrays, output=0, **attributes):
    """The algorithm gives what ONNX Runtime gives, and does what the operator's cost says.

    ONNX Runtime rounds each counted operation to float32, relative to the largest number.
    """
    shapes = [a.shape for a in arrays]
    expected = by_runtime(node_of(op_type, *shapes, **attributes), arrays, output)
    TALLY.clear()
    found = np.vectorize(float)(counted_algorithm(*map(numbers, arrays)))
    allowed = np.finfo(np.float32).eps * TALLY.total() * np.abs(expected).max()
    assert np.abs(found - expected).max() <= allowed
    assert work(op_type, *shapes, **attributes) == Cost(**TALLY)


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape)


def rows(treat):
    return lambda x: np.array([treat(list(row)) for row in x])


def affine_rows(x, scale, shift):
    return np.array(
        [[affine(b, v, s) for v, s, b in zip(standardise(list(row)), scale, shift, strict=True)] for row in x]
    )


def test_softmax():
    check(rows(softmax), "Softmax", draw(3, 5))
    check(rows(log_softmax), "LogSoftmax", draw(3, 5))
    check(lambda x: rows(softmax)(x.T).T, "Softmax", draw(3, 5), axis=0)
    check(lambda x: rows(softmax)(x.reshape(2, 12)).reshape(x.shape), "Softmax", draw(2, 3, 4), opset=11)


def test_layer_normalization():
    check(affine_rows, "LayerNormalization", draw(3, 6), draw(6), draw(6))
    check(
        lambda x, s: np.array([[v * g for v, g in zip(standardise(list(r)), s, strict=True)] for r in x]),
        "LayerNormalization",
        draw(3, 6),
        draw(6),
    )


def test_instance_and_group_normalization():
    def per_channel(x, scale, shift):
        maps = x.reshape(-1, x.shape[2])
        out = [
            [affine(shift[index % x.shape[1]], v, scale[index % x.shape[1]]) for v in standardise(list(row))]
            for index, row in enumerate(maps)
        ]
        return np.array(out).reshape(x.shape)

    check(per_channel, "InstanceNormalization", draw(2, 3, 7), draw(3), draw(3))
    groups = work("GroupNormalization", (2, 6, 5, 5), (6,), (6,), opset=21, num_groups=3)
    same = work("InstanceNormalization", (2, 3, 50), (3,), (3,))
    assert groups == same


def test_batch_normalization():
    statistics = [(3,)] * 4
    assert work("BatchNormalization", (2, 3, 5, 5), *statistics) == Cost(mul=2 * 3 * 25, add=2 * 3 * 25)
    training = work("BatchNormalization", (2, 3, 5, 5), *statistics, outputs=3, training_mode=1)
    running = Cost(mul=4 * 3, add=2 * 3)
    assert training == work("InstanceNormalization", (1, 3, 50), (3,), (3,)) + running


def test_lrn():
    def lrn(x):
        out = np.empty_like(x)
        for n, c, i, j in np.ndindex(x.shape):
            total = Number(0)
            for k in range(c - 1, c + 2):
                near = x[n, k, i, j] if 0 <= k < x.shape[1] else Number(0)
                total = affine(total, near, near)
            out[n, c, i, j] = x[n, c, i, j] / function(pow, affine(1.0, total, 1e-4 / 3), 0.75)
        return out

    check(lrn, "LRN", draw(1, 4, 2, 2), size=3, alpha=1e-4, beta=0.75, bias=1.0)


BELOW_ZERO = -np.abs(draw(6)) - 0.1
ACTIVATIONS = {
    "Relu": lambda x: larger(x, 0),
    "LeakyRelu": lambda x: below_zero(x, lambda x: x * 0.01),
    "Sigmoid": sigmoid,
    "Tanh": tanh,
    "Softplus": softplus,
    "Softsign": lambda x: x / (counted("cmp", abs(float(x))) + 1),
    "Elu": lambda x: below_zero(x, lambda x: (exp(x) - 1) * 1.0),
    "Celu": lambda x: below_zero(x, lambda x: (exp(x / 1.0) - 1) * 1.0),
    "HardSigmoid": lambda x: clip(affine(0.5, x, 0.2), 0, 1),
    "HardSwish": lambda x: x * clip(affine(0.5, x, 1 / 6), 0, 1),
    "Mish": lambda x: x * tanh(softplus(x)),
    "Gelu": lambda x: x * 0.5 * (function(math.erf, x * math.sqrt(0.5)) + 1),
    "Neg": lambda x: x * -1,
    "Reciprocal": lambda x: Number(1) / x,
    "Abs": lambda x: larger(x, -float(x)),
    "Erf": lambda x: function(math.erf, x),
}


@pytest.mark.parametrize("op_type", ACTIVATIONS)
def test_activations(op_type):
    treat = np.vectorize(ACTIVATIONS[op_type], otypes=[object])
    check(treat, op_type, BELOW_ZERO)


def test_gelu_by_tanh():
    def gelu(x):
        cubed = x * x * x
        return x * 0.5 * (tanh(affine(x, cubed, 0.044715) * math.sqrt(2 / math.pi)) + 1)

    check(np.vectorize(gelu, otypes=[object]), "Gelu", draw(6), approximate="tanh")


def test_binary_and_variadic():
    check(lambda a, b: a + b, "Add", draw(2, 3), draw(3))
    check(lambda a, b: a / b, "Div", draw(2, 1), draw(1, 3))
    check(lambda a, b, c: a + b + c, "Sum", draw(4), draw(4), draw(4))
    check(np.vectorize(larger, otypes=[object]), "Max", draw(4), draw(4))
    check(lambda a, b, c: (a + b + c) / 3, "Mean", draw(4), draw(4), draw(4))


REDUCED = {
    "ReduceSum": add_up,
    "ReduceMax": largest,
    "ReduceMean": lambda x: add_up(x) / len(x),
    "ReduceSumSquare": lambda x: squares(x),
    "ReduceL2": lambda x: function(math.sqrt, squares(x)),
    "ReduceL1": lambda x: add_up([larger(v, -float(v)) for v in x]),
}


@pytest.mark.parametrize("op_type", REDUCED)
def test_reductions(op_type):
    check(
        lambda x: np.array([REDUCED[op_type](list(row)) for row in x]),
        op_type,
        draw(3, 5),
        **reduced_axes(op_type),
    )


def reduced_axes(op_type):
    """Over the last axis by attribute: opset 11 has it for every reduction."""
    return {"axes": [1], "keepdims": 0, "opset": 11}


def test_pools():
    def windows(treat, size, stride):
        def pool(x):
            length = (x.shape[2] - size) // stride + 1
            out = np.empty((*x.shape[:2], length), dtype=object)
            for n, c, o in np.ndindex(out.shape):
                out[n, c, o] = treat(list(x[n, c, o * stride : o * stride + size]))
            return out

        return pool

    mean = REDUCED["ReduceMean"]
    check(windows(largest, 3, 2), "MaxPool", draw(2, 3, 9), kernel_shape=[3], strides=[2])
    check(windows(mean, 2, 2), "AveragePool", draw(2, 3, 9), kernel_shape=[2], strides=[2])
    flat = lambda treat: lambda x: treat(x.reshape(2, 3, 6)).reshape(2, 3, 1, 1)  # noqa: E731
    check(flat(windows(largest, 6, 1)), "GlobalMaxPool", draw(2, 3, 2, 3))
    check(flat(windows(mean, 6, 1)), "GlobalAveragePool", draw(2, 3, 2, 3))
    # ceil_mode: one more window; pads: dense
    ceil = work("MaxPool", (1, 1, 8, 8), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    assert ceil == Cost(cmp=4 * 4 * 8)
    padded = work("AveragePool", (1, 1, 4, 4), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    assert padded == Cost(add=16 * 8, div=16)


# ---------------------------------------------------------------- products


def counted_matmul(a, b):
    """numpy's own broadcasting decides which sums there are."""
    shared = a.shape[-1]
    products = np.matmul(np.ones(a.shape, int), np.ones(b.shape, int))
    assert (products == shared).all()
    return products.sum()


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3, 4), (4, 5)),
        ((4,), (4,)),
        ((4,), (4, 5)),
        ((3, 4), (4,)),
        ((2, 1, 3, 4), (5, 4, 6)),
        ((7, 2, 3, 4), (4,)),
        ((4,), (2, 5, 4, 6)),
        ((3, 0), (0, 5)),
    ],
)
def test_matmul(left, right):
    expected = counted_matmul(np.empty(left), np.empty(right))
    assert work("MatMul", left, right) == Cost(mac=int(expected))


def test_gemm():
    assert work("Gemm", (3, 4), (4, 5)) == Cost(mac=60)
    assert work("Gemm", (4, 3), (4, 5), transA=1) == Cost(mac=60)
    assert work("Gemm", (4, 3), (5, 4), (5,), transA=1, transB=1) == Cost(mac=60, add=15)
    assert work("Gemm", (3, 4), (4, 5), (5,), alpha=0.5, beta=2.0) == Cost(mac=60, add=15, mul=15 + 5)


def test_convolutions():
    """Groups divide, dilation and stride act through the output size, a bias is an add per output."""
    conv = work("Conv", (2, 6, 9, 9), (12, 3, 3, 3), (12,), group=2, strides=[2, 2], pads=[1, 1, 1, 1])
    assert conv == Cost(mac=2 * 12 * 25 * 3 * 9, add=2 * 12 * 25)
    transposed = work("ConvTranspose", (2, 6, 5, 5), (6, 4, 3, 3), group=2, strides=[2, 2])
    assert transposed == Cost(mac=2 * 6 * 4 * 25 * 9)
    assert work("Conv", (1, 4, 50), (4, 1, 5), group=4, dilations=[2]) == Cost(mac=4 * 42 * 5)
    assert work("Conv", (1, 2, 5, 5, 5), (3, 2, 3, 3, 3)) == Cost(mac=3 * 27 * 2 * 27)
    with pytest.raises(GraphcError):
        cost_of(ir.node("Conv", [value("x", (1, 3, 9)), value("w", (4, 2, 3))]))


def test_conv_and_its_transpose_back_cost_the_same():
    there = work("Conv", (1, 3, 12, 12), (8, 3, 4, 4), strides=[2, 2], pads=[1, 1, 1, 1])
    back = work("ConvTranspose", (1, 8, 6, 6), (8, 3, 4, 4), strides=[2, 2], pads=[1, 1, 1, 1])
    assert there == back


# ---------------------------------------------------------------- recurrent


def steps(x, hidden, step):
    state = [Number(0)] * hidden
    for vector in x[:, 0]:
        state = step(list(vector), state)
    return state


def gate(index, vector, state, w, r, b):
    """One pre-activation; the two biases of ONNX are one constant."""
    return inner(inner(Number(0), w[index], vector), r[index], state) + b[index]


def split(w, r, b):
    hidden = r.shape[2]
    both = np.vectorize(float)(b[0]).reshape(2, -1).sum(axis=0)
    return list(w[0]), list(r[0]), numbers(both), hidden


def lstm(x, w, r, b):
    w, r, b, size = split(w, r, b)
    cell = [Number(0)] * size

    def step(vector, state):
        nonlocal cell
        made = [gate(index, vector, state, w, r, b) for index in range(4 * size)]
        i, o, f = ([sigmoid(v) for v in made[k * size : (k + 1) * size]] for k in range(3))
        c = [tanh(v) for v in made[3 * size :]]
        cell = [fv * old + iv * new for fv, old, iv, new in zip(f, cell, i, c, strict=True)]
        return [ov * tanh(v) for ov, v in zip(o, cell, strict=True)]

    return np.array(steps(x, size, step)).reshape(1, 1, size)


def gru(x, w, r, b):
    w, r, b, size = split(w, r, b)

    def step(vector, state):
        z, reset = ([sigmoid(gate(k * size + h, vector, state, w, r, b)) for h in range(size)] for k in range(2))
        kept = [rv * v for rv, v in zip(reset, state, strict=True)]
        new = [tanh(gate(2 * size + h, vector, kept, w, r, b)) for h in range(size)]
        return [(Number(1) - zv) * n + zv * v for zv, n, v in zip(z, new, state, strict=True)]

    return np.array(steps(x, size, step)).reshape(1, 1, size)


def rnn(x, w, r, b):
    w, r, b, size = split(w, r, b)
    step = lambda vector, state: [tanh(gate(h, vector, state, w, r, b)) for h in range(size)]  # noqa: E731
    return np.array(steps(x, size, step)).reshape(1, 1, size)


@pytest.mark.parametrize(("op_type", "gates", "algorithm"), [("LSTM", 4, lstm), ("GRU", 3, gru), ("RNN", 1, rnn)])
def test_recurrent(op_type, gates, algorithm):
    length, inputs, hidden = 3, 4, 2
    shapes = (length, 1, inputs), (1, gates * hidden, inputs), (1, gates * hidden, hidden)
    arrays = [draw(*shape) for shape in (*shapes, (1, 2 * gates * hidden))]
    settings = {"outputs": 2, "hidden_size": hidden}
    check(algorithm, op_type, *arrays, output=1, **settings)
    one = work(op_type, *(a.shape for a in arrays), **settings)
    x, *weights = (a.shape for a in arrays)
    both = [(2, *shape[1:]) for shape in weights]
    assert work(op_type, x, *both, direction="bidirectional", **settings) == 2 * one


def test_recurrent_with_an_unknown_activation_is_uncosted():
    node = node_of("RNN", (3, 1, 4), (1, 2, 4), (1, 2, 2), hidden_size=2, activations=["Affine"])
    assert cost_of(node) is None


# ---------------------------------------------------------------- resampling


@pytest.mark.parametrize(("mode", "neighbours"), [("nearest", 0), ("linear", 4), ("cubic", 16)])
def test_resize(mode, neighbours):
    """Batch and channels are not resized; a nearest neighbour is a copy."""
    scales = np.array([1, 1, 2, 3], np.float32)
    assert work("Resize", (2, 3, 4, 5), None, scales, mode=mode) == Cost(mac=2 * 3 * 8 * 15 * neighbours)


def test_resize_forms():
    scales = np.array([1, 1, 0.5, 0.5], np.float32)
    halved = work("Resize", (1, 1, 4, 4), None, scales, mode="linear", antialias=1)
    assert halved == Cost(mac=4 * 4 * 4)  # each of the 2×2 outputs sees 4 elements per axis
    assert work("Upsample", (1, 1, 4, 4), np.array([1, 1, 2, 2], np.float32), opset=9, mode="linear") == Cost(
        mac=64 * 4
    )


# ---------------------------------------------------------------- bytes


def test_each_operand_moves_once():
    assert moved("Add", (2, 3), (3,)) == (4 * 9, 4 * 6)
    same = value("x", (2, 3))
    assert moved("Mul", same, same) == (4 * 6, 4 * 6)
    assert moved("Add", (5,), (5,), dtype=ir.DataType.FLOAT16) == (20, 10)
    assert moved("Conv", (1, 2, 8), (4, 2, 3), (4,)) == (4 * (16 + 24 + 4), 4 * 4 * 6)
    assert moved("MaxPool", (1, 1, 8), kernel_shape=[2], strides=[2], outputs=2) == (4 * 8, 4 * 4 + 8 * 4)


def test_elements_below_a_byte_are_packed():
    assert moved("Transpose", (3, 3), dtype=ir.DataType.INT4, opset=21) == (5, 5)
    assert moved("Cast", (9,), dtype=ir.DataType.BOOL, to=int(FLOAT)) == (9, 36)


def test_views_move_nothing_and_picks_move_what_they_take():
    shape = np.array([6], np.int64)
    assert moved("Reshape", (2, 3), shape) == (0, 0)
    assert moved("Identity", (2, 3)) == (0, 0)
    assert moved("Dropout", (2, 3)) == (0, 0)
    assert moved("Shape", (2, 3)) == (0, 16)
    assert moved("Transpose", (2, 3)) == (24, 24)
    assert moved("Gather", (1000, 8), np.array([1, 2], np.int64)) == (64 + 16, 64)
    assert moved("Slice", (1000,), np.array([0]), np.array([10])) == (40 + 16, 40)


def test_dropout_in_training():
    ratio, on = np.array(0.5, np.float32), np.array(True)
    assert work("Dropout", (2, 3), ratio, on) == Cost(cmp=6, mul=6)
    assert cost_of(node_of("Dropout", (2, 3), ratio, value("mode", (), ir.DataType.BOOL))) is None


# ---------------------------------------------------------------- unknown is not zero


def test_unknown_is_uncosted():
    assert cost_of(node_of("Relu", ("N", 3))) is None
    assert cost_of(node_of("Relu", (2, 3), domain="com.example")) is None
    assert cost_of(node_of("NonMaxSuppression", (1, 5, 4), (1, 1, 5))) is None
    strings = node_of("Identity", (2,), dtype=ir.DataType.STRING)
    assert cost_of(strings) == ZERO
    assert cost_of(node_of("Concat", (2,), (2,), axis=0, dtype=ir.DataType.STRING)) is None


def test_a_total_names_what_it_could_not_count():
    relu, odd = node_of("Relu", (2, 3)), node_of("Relu", ("N",))
    found = total([relu, odd])
    assert found == Total(Cost(cmp=6, bytes_read=24, bytes_written=24), ("Relu 'node'",))
    assert total([]) == Total()


def test_a_node_outside_a_graph_is_read_at_the_opset_given():
    x = value("x", (2, 3, 4))
    node = ir.node("Softmax", [x], outputs=[value("y", (2, 3, 4))])
    assert cost_of(node, 11).cmp == 24 - 2
    assert cost_of(node, 13).cmp == 24 - 6


def test_every_operator_of_onnx_is_costed_or_listed():
    every = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if not schema.domain}
    assert known().keys() | UNCOSTED.keys() == every
    assert not known().keys() & UNCOSTED.keys()
    assert all(UNCOSTED.values())


# ---------------------------------------------------------------- whole networks


def vgg19_macs():
    """Five stages of 3×3 convolutions at halved sides, then three dense layers (arXiv:1409.1556, E)."""
    side, channels, macs = 224, 3, 0
    for width, depth in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
        for _ in range(depth):
            macs += 9 * channels * width * side**2
            channels = width
        side //= 2
    return macs + 512 * 7 * 7 * 4096 + 4096 * 4096 + 4096 * 1000


@pytest.mark.parametrize("name", light_models())
def test_the_light_networks_are_costed_whole(name):
    found = total(bind(load_light(name, freeze_inputs=True)).graph)
    assert found.uncosted == ()
    if name == "vgg19":
        assert found.cost.mac == vgg19_macs()


def test_pairs_of_channels_and_positions():
    """A convolution's count is a plain product, whatever the sizes."""
    for channels, side, kernel in product((1, 3), (5, 8), (1, 3)):
        node = (1, channels, side, side), (2 * channels, channels, kernel, kernel)
        pad = kernel // 2
        assert work("Conv", *node, pads=[pad] * 4).mac == 2 * channels * channels * (side * kernel) ** 2
