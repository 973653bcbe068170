"""What backward keeps of forward, to the byte: against what PyTorch's saved-tensor hooks saw, operator by operator.

tests/fixtures/cost/README.md says how the fixtures were made. Parameters, running statistics and constants take no room
of their own, so what is compared is operands, the output and all that is made inside.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from one_node import FLOAT, node_of, value

from graphc.ops import op_of
from graphc.ops.layout import contiguous, reshaped, strides_of, viewed
from graphc.view import View

FIXTURES = Path(__file__).parent / "fixtures/cost"
FOUND = {entry["operator"]: entry for entry in json.loads((FIXTURES / "saved.json").read_text())["operators"]}
STATISTICS = [(4,)] * 4
ON = np.array(True)
SCALES = np.array([1, 1, 2, 2], np.float32)
NUMBER = np.array(0.1, np.float32)

# PyTorch's name -> (ONNX operator, what follows the operands, attributes)
RULES = {
    "conv2d": ("Conv", [(6, 4, 3, 3), (6,)], {}),
    "conv_transpose2d": ("ConvTranspose", [(4, 6, 3, 3), (6,)], {}),
    "linear on rank 2": ("Gemm", [(5, 6), (5,)], {"transB": 1}),
    "linear on rank 3": ("MatMul", [(8, 5)], {}),
    "batch_norm": ("BatchNormalization", STATISTICS, {"training_mode": 1, "outputs": 3}),
    "batch_norm in evaluation": ("BatchNormalization", STATISTICS, {}),
    "instance_norm, affine": ("InstanceNormalization", [(4,), (4,)], {}),
    "group_norm": ("GroupNormalization", [(4,), (4,)], {"num_groups": 2, "opset": 21}),
    "layer_norm": ("LayerNormalization", [(8,), (8,)], {}),
    "rms_norm": ("RMSNormalization", [(8,)], {"opset": 23}),
    **{
        name.lower(): (name, [], {})
        for name in ("Relu", "Elu", "Selu", "Celu", "HardSwish", "HardSigmoid", "Mish", "Gelu", "Softplus", "Softsign")
    },
    **{name.lower(): (name, [], {}) for name in ("Sigmoid", "Tanh", "Exp", "Log", "Sqrt", "Erf", "Sin", "Abs", "Neg")},
    **{name.lower(): (name, [], {}) for name in ("Reciprocal", "Add", "Sub", "Mul", "Div", "Pow", "MatMul")},
    "silu": ("Swish", [], {"opset": 24}),
    "relu6": ("Clip", [], {}),
    "clamp": ("Clip", [], {}),
    "leaky_relu": ("LeakyRelu", [], {}),
    "prelu": ("PRelu", [(4, 1, 1)], {}),
    "power of 2": ("Pow", [np.array(2, np.float32)], {}),
    "softmax": ("Softmax", [], {"axis": 1}),
    "log_softmax": ("LogSoftmax", [], {"axis": 1}),
    "dropout": ("Dropout", [np.array(0.5, np.float32), ON], {}),
    "maximum": ("Max", [], {}),
    "add of a number": ("Add", [NUMBER], {}),
    "mul by a number": ("Mul", [NUMBER], {}),
    "div by a number": ("Div", [NUMBER], {}),
    "mul broadcast": ("Mul", [], {}),
    "mul, operand 1 needs no gradient": ("Mul", [], {}),
    "div, operand 0 needs no gradient": ("Div", [], {}),
    "div, operand 1 needs no gradient": ("Div", [], {}),
    "matmul, operand 1 needs no gradient": ("MatMul", [], {}),
    "attention": ("Attention", [], {"opset": 23}),
    "sum": ("ReduceSum", [np.array([1])], {"keepdims": 0}),
    "mean": ("ReduceMean", [np.array([1])], {"keepdims": 0}),
    "amax": ("ReduceMax", [np.array([1])], {"keepdims": 0}),
    "prod": ("ReduceProd", [np.array([1])], {"keepdims": 0}),
    "logsumexp": ("ReduceLogSumExp", [np.array([1])], {"keepdims": 0}),
    "norm": ("ReduceL2", [np.array([1])], {"keepdims": 0}),
    "cumsum": ("CumSum", [np.array(1)], {}),
    **{f"max_pool{n}d": ("MaxPool", [], {"kernel_shape": [2] * n, "strides": [2] * n}) for n in (1, 2, 3)},
    **{f"avg_pool{n}d": ("AveragePool", [], {"kernel_shape": [2] * n, "strides": [2] * n}) for n in (1, 2, 3)},
    "adaptive_avg_pool2d to 1": ("GlobalAveragePool", [], {}),
    "adaptive_max_pool2d to 1": ("GlobalMaxPool", [], {}),
    "cat": ("Concat", [], {"axis": 1}),
    "reshape": ("Reshape", [np.array([2, -1])], {}),
    "transpose": ("Transpose", [], {"perm": [0, 2, 1, 3]}),
    "slice": ("Slice", [np.array([1]), np.array([3]), np.array([1])], {}),
    "pad": ("Pad", [np.array([0, 0, 1, 1, 0, 0, 1, 1])], {}),
    "pad, reflect": ("Pad", [np.array([0, 0, 1, 1, 0, 0, 1, 1])], {"mode": "reflect"}),
    "pixel_shuffle": ("DepthToSpace", [], {"blocksize": 2}),
    "interpolate, nearest": ("Resize", [None, SCALES], {}),
    "interpolate, bilinear": ("Resize", [None, SCALES], {"mode": "linear"}),
    "interpolate, bicubic": ("Resize", [None, SCALES], {"mode": "cubic"}),
}
LAYERS = (
    "conv2d",
    "conv_transpose2d",
    "linear on rank 2",
    "linear on rank 3",
    "batch_norm",
    "batch_norm in evaluation",
)
LAYERS += ("instance_norm, affine", "group_norm", "layer_norm", "rms_norm")
for layer in LAYERS:
    for suffix in ("frozen", "operand 0 needs no gradient"):
        RULES[f"{layer}, {suffix}"] = RULES[layer]

# of torch alone, or made of several operators of ONNX
NOT_ONE_OPERATOR = {
    *("hardtanh", "square", "rsqrt", "instance_norm", "mse_loss", "l1_loss", "where", "cross_entropy"),
    *(f"conv2d, {act} in place" for act in ("ReLU", "ReLU6", "LeakyReLU", "SiLU")),
    "adaptive_avg_pool2d to 2 by 1",
}


def test_every_rule_of_the_fixtures_has_a_case_here():
    assert RULES.keys() | NOT_ONE_OPERATOR == FOUND.keys()


@pytest.mark.parametrize("name", RULES)
def test_saved_as_pytorch_does(name):
    op_type, rest, attributes = RULES[name]
    expected = FOUND[name]
    operands = [tuple(shape) for shape in expected["operands"]]
    node = node_of(op_type, *operands, *rest, **attributes)
    view, op = View(node), op_of(node)
    given = range(len(operands))
    data = {index for index in given if f"operand {index} needs no gradient" not in name}
    parameters = {i for i, r in enumerate(rest, start=len(operands)) if isinstance(r, tuple)}
    trained = set() if "frozen" in name else parameters
    wanted = frozenset(i for i in data | trained if op.differentiable(view, i))
    found = {"activation": 0}
    for saved in op.saved(view, wanted):
        if saved.value is None:
            found["activation"] += saved.bytes
        elif saved.value in node.outputs:
            found["output"] = saved.bytes
        elif (index := node.inputs.index(saved.value)) in given:
            found[f"operand {index}"] = saved.bytes
    seen = {"activation": 0}
    for tensor in expected["saved"]:
        if tensor["kind"] not in ("parameter", "buffer"):
            seen[tensor["kind"]] = seen.get(tensor["kind"], 0) + tensor["bytes"]
    assert found == seen


def test_where_saves_its_condition():
    node = node_of("Where", np.ones((2, 4, 6, 5), bool), (2, 4, 6, 5), (2, 4, 6, 5))
    (condition,) = op_of(node).saved(View(node), frozenset({1, 2}))
    (seen,) = FOUND["where"]["saved"]
    assert (condition.bytes, condition.value) == (seen["bytes"], node.inputs[0])


def test_cross_entropy_saves_probabilities_targets_and_a_weight():
    node = node_of("SoftmaxCrossEntropyLoss", (4, 6), np.zeros(4, np.int64))
    found = sorted(saved.bytes for saved in op_of(node).saved(View(node), frozenset({0})))
    assert found == sorted(tensor["bytes"] for tensor in FOUND["cross_entropy"]["saved"])


# ---------------------------------------------------------------- views


def chain(shape, *steps):
    """The value at the end of a chain of views: Reshape or Expand to a shape, Transpose by a permutation."""
    last = value("x", shape)
    for index, (op_type, argument) in enumerate(steps):
        if op_type == "Transpose":
            made = np.empty(last.shape.numpy()).transpose(argument).shape
            node = ir.node(op_type, [last], {"perm": argument}, outputs=[value(f"v{index}", made)])
        else:
            target = value(f"t{index}", (len(argument),), ir.DataType.INT64)
            node = ir.node(op_type, [last, target], outputs=[value(f"v{index}", argument)])
        (last,) = node.outputs
    return last


@pytest.mark.parametrize(
    ("shape", "steps", "new"),
    [
        ((2, 3, 4), [], (6, 4)),
        ((2, 3, 4), [("Transpose", [0, 2, 1])], (8, 3)),
        ((2, 3, 4), [("Transpose", [0, 2, 1])], (2, 12)),
        ((2, 3, 4), [("Transpose", [1, 0, 2])], (3, 8)),
        ((2, 3, 4), [("Transpose", [2, 0, 1])], (4, 6)),
        ((2, 12), [("Reshape", [2, 3, 4]), ("Transpose", [0, 2, 1])], (2, 12)),
        ((2, 12), [("Reshape", [2, 3, 4]), ("Transpose", [0, 2, 1])], (2, 2, 2, 3)),
        ((2, 1, 4), [("Expand", [2, 5, 4])], (10, 4)),
        ((1, 4), [("Expand", [5, 4])], (20,)),
        ((1, 1, 4), [("Expand", [3, 5, 4])], (15, 4)),
        ((2, 1, 4), [("Transpose", [1, 0, 2])], (8,)),
        ((0, 4), [], (2, 0)),
    ],
)
def test_a_reshape_is_a_view_where_numpy_needs_no_copy(shape, steps, new):
    array = np.zeros(shape)
    for op_type, argument in steps:
        if op_type == "Transpose":
            array = array.transpose(argument)
        elif op_type == "Expand":
            array = np.broadcast_to(array, argument)
        else:
            array = array.reshape(argument)
    last = chain(shape, *steps)
    if array.size:
        assert [s * 8 for s, n in zip(strides_of(last), array.shape, strict=True) if n > 1] == [
            s for s, n in zip(array.strides, array.shape, strict=True) if n > 1
        ]
    again = array.reshape(new)
    assert reshaped(last, new) == (np.shares_memory(array, again) or not array.size)


def test_strides_of_random_views():
    """Permuted and cut shapes against numpy, which copies exactly when strides cannot say the new shape."""
    random = np.random.default_rng(0)
    seen = set()
    for _ in range(2000):
        shape = tuple(int(n) for n in random.integers(1, 5, random.integers(1, 5)))
        array = np.zeros(shape).transpose(random.permutation(len(shape)))
        divisors = [n for n in range(1, array.size + 1) if array.size % n == 0]
        first = int(random.choice(divisors))
        second = int(random.choice([n for n in range(1, first + 1) if first % n == 0]))
        new = (second, first // second, array.size // first)
        strides = tuple(s // 8 for s in array.strides)
        copied = not np.shares_memory(array, array.reshape(new))
        assert (viewed(array.shape, strides, new) is None) == copied, (array.shape, array.strides, new)
        seen.add(copied)
    assert seen == {True, False}


def test_contiguous_strides_are_numpys():
    for shape in ((), (3,), (2, 3, 4)):
        assert tuple(s * 8 for s in contiguous(shape)) == np.zeros(shape).strides


def test_what_a_product_of_matrices_copies():
    """Heads are a transposed view, which cannot be folded into one batch: PyTorch keeps a copy."""
    heads = chain((2, 15, 16), ("Reshape", [2, 15, 4, 4]), ("Transpose", [0, 2, 1, 3]))
    keys = value("k", (2, 4, 4, 15))
    node = ir.node("MatMul", [heads, keys], outputs=[value("s", (2, 4, 15, 15))])
    kept = op_of(node).saved(View(node, 20), frozenset({0, 1}))
    assert [(saved.value, saved.bytes) for saved in kept] == [(keys, 4 * 480), (None, 4 * 480)]
    rows = chain((2, 16, 15), ("Transpose", [0, 2, 1]))
    weight = value("w", (16, 8))
    node = ir.node("MatMul", [rows, weight], outputs=[value("y", (2, 15, 8))])
    (kept,) = op_of(node).saved(View(node, 20), frozenset({1}))
    assert (kept.value, kept.bytes) == (None, 4 * 480)


def test_types_of_what_is_kept():
    assert FLOAT.itemsize == 4
    node = node_of("MaxPool", (1, 1, 8), kernel_shape=[2], strides=[2], dtype=ir.DataType.FLOAT16)
    assert [saved.bytes for saved in op_of(node).saved(View(node), frozenset({0}))] == [16, 32]
