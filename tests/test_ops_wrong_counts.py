"""Counts that other tools get wrong, a test for each, by the number of its row in the list they were collected in.

Each test says who answers what, and why that is not it. The right numbers come from products written out here, from
loops that try everything, or from identities.
"""

from __future__ import annotations

from itertools import permutations, product
from math import prod

import numpy as np
import onnx_ir as ir
import pytest
from one_node import FLOAT, node_of, toward, value, work

from graphc.costs import Cost
from graphc.ops import cost_of, op_of
from graphc.view import View

DATA, FILTER = range(2)


def directions(op_type, *shapes, **attributes):
    """(forward, input_grad, filter_grad) as whole costs."""
    node = node_of(op_type, *shapes, **attributes)
    view, op = View(node), op_of(node)
    return op.forward(view), op.toward(view, DATA), op.toward(view, FILTER)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("groups", "multiplier"), [(4, 1), (4, 2), (2, 3)])
def test_w01_filter_gradient_of_grouped_convolutions(rank, groups, multiplier):
    """PyTorch's FlopCounterMode multiplies it by the groups."""
    data, filter = (2, 4, *[6] * rank), (groups * multiplier, 4 // groups, *[3] * rank)
    forward, input_grad, filter_grad = directions("Conv", data, filter, group=groups)
    right = 2 * groups * multiplier * (4 // groups) * 4**rank * 3**rank
    assert forward.mac == input_grad.mac == filter_grad.mac == right != right * groups


def test_w02_filter_gradient_of_grouped_transposed_convolutions():
    """PyTorch's FlopCounterMode multiplies it by the groups here too."""
    costs = directions("ConvTranspose", (2, 6, 5, 5), (6, 2, 3, 3), group=3, strides=[2, 2])
    right = 2 * 6 * 2 * 25 * 9
    assert {cost.mac for cost in costs} == {right}
    assert costs[2].mac != 3 * right


def test_w03_transposed_convolutions_count_on_the_input_grid():
    """thop, torchinfo and onnx-tool count every output as if it had every tap: FSRCNN's last layer at stride 3."""
    cost = directions("ConvTranspose", (1, 56, 32, 32), (56, 1, 9, 9), strides=[3, 3], pads=[3] * 4)[0]
    right, on_the_output_grid = 56 * 32**2 * 81, 56 * 96**2 * 81
    assert cost.mac == right
    assert cost.zero_insertion_mac == on_the_output_grid == 9 * right


def test_w04_the_weight_axes_of_a_transposed_convolution():
    """[in, out/groups, *kernel]: onnx-tool takes the first for the output, a factor of out/in."""
    cost = work("ConvTranspose", (1, 8, 4, 4), (8, 2, 3, 3))
    right = 8 * 2 * 16 * 9
    assert cost.mac == right != right * 2 // 8


def test_w05_groups_divide_once():
    """calflops, and DeepSpeed for long, divide a grouped transposed convolution by its groups twice."""
    right = 8 * 4 // 4 * 16 * 9
    assert work("ConvTranspose", (1, 8, 4, 4), (8, 1, 3, 3), group=4).mac == right != right // 4


def test_w06_input_gradient_follows_the_output():
    """TensorFlow's statistics take input/stride for the output: 7·7 of a 7×7 map at stride 2, which has 3×3 outputs."""
    _, input_grad, _ = directions("Conv", (1, 2, 7, 7), (3, 2, 3, 3), strides=[2, 2])
    right = 3 * 2 * 3 * 3 * 9
    assert input_grad.mac == right != 3 * 2 * (7 // 2 + 1) ** 2 * 9


def test_w07_zeros_that_an_algorithm_inserts_are_not_the_cost():
    """Lowering the input gradient to a stride-1 convolution over a stretched gradient does stride² times the work."""
    forward, input_grad, filter_grad = directions("Conv", (1, 3, 32, 32), (8, 3, 3, 3), strides=[2, 2], pads=[1] * 4)
    right = 8 * 3 * 16**2 * 9
    assert forward.mac == input_grad.mac == filter_grad.mac == right
    assert input_grad.zero_insertion_mac == 4 * right
    assert filter_grad.zero_insertion_mac == 8 * 3 * 9 * 31**2
    assert forward.zero_insertion_mac == right


def test_w09_taps_on_padding_are_labelled():
    """Everyone counts them and nobody says so: at 4×4 with 3×3 taps a third of the work."""
    cost = directions("Conv", (1, 1, 4, 4), (1, 1, 3, 3), pads=[1] * 4)[0]
    assert (cost.mac, cost.effective_mac) == (16 * 9, (4 * 3 - 2) ** 2)
    unpadded = directions("Conv", (1, 1, 4, 4), (1, 1, 3, 3))[0]
    assert unpadded.mac == unpadded.effective_mac


def test_w10_automatic_pads():
    """fvcore answers 0 for `same`, calflops is wrong for even kernels, onnx-tool with a dilation."""
    even = work("Conv", (1, 1, 8), (1, 1, 4), auto_pad="SAME_UPPER")
    dilated = work("Conv", (1, 1, 8), (1, 1, 3), auto_pad="SAME_LOWER", dilations=[2], strides=[2])
    valid = work("Conv", (1, 1, 8, 8, 8), (1, 1, 3, 3, 3), auto_pad="VALID")
    transposed = work("ConvTranspose", (1, 1, 5), (1, 1, 4), output_shape=[11], strides=[2])
    asymmetric = work("Conv", (1, 1, 8), (1, 1, 3), pads=[0, 3])
    assert [c.mac for c in (even, dilated, valid, transposed, asymmetric)] == [8 * 4, 4 * 3, 216 * 27, 5 * 4, 9 * 3]


def test_w11_one_and_three_dimensions_count():
    """torch.profiler answers 0 for both."""
    assert work("Conv", (1, 4, 20), (8, 4, 5)).mac == 8 * 4 * 16 * 5
    assert work("Conv", (1, 4, 6, 6, 6), (8, 4, 3, 3, 3)).mac == 8 * 4 * 64 * 27


def test_w12_every_image_of_a_batch_counts():
    """ptflops averages the batch away, torchinfo leaves it out of a linear layer."""
    assert work("Conv", (32, 3, 8, 8), (4, 3, 3, 3)).mac == 32 * work("Conv", (1, 3, 8, 8), (4, 3, 3, 3)).mac
    assert work("Gemm", (32, 10), (10, 7)).mac == 32 * 70


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ((2, 3, 4, 5), (5, 6), 2 * 3 * 4 * 5 * 6),  # torchinfo: 4·5·6
        ((7, 4, 5), (1, 5, 6), 7 * 4 * 5 * 6),
        ((7, 1, 4, 5), (3, 5, 6), 21 * 4 * 5 * 6),
        ((5,), (5,), 5),  # onnx-tool: fails
        ((5,), (3, 5, 6), 3 * 5 * 6),
        ((3, 4, 5), (5,), 3 * 4 * 5),
    ],
)
def test_w13_products_of_any_rank(left, right, expected):
    """Rank 3 and more, broadcast batches, vectors; each gradient is a product of the same size."""
    assert work("MatMul", left, right).mac == expected
    assert toward(DATA, "MatMul", left, right).mac == toward(FILTER, "MatMul", left, right).mac == expected


def test_w14_attention():
    """Tools with hooks answer 0 for the fused operator, onnx-tool fails; heads of keys may be shared, pairs masked."""
    q, kv = (2, 8, 10, 16), (2, 2, 10, 16)
    cost = op_of(node := node_of("Attention", q, kv, kv, opset=23, is_causal=1)).forward(View(node))
    pairs = 2 * 8 * 10 * 10
    visible = 2 * 8 * sum(j <= i for i in range(10) for j in range(10))
    assert (cost.mac, cost.effective_mac) == (pairs * 32, visible * 32)
    packed = work("Attention", (2, 10, 128), (2, 10, 32), (2, 10, 32), opset=23, q_num_heads=8, kv_num_heads=2)
    assert packed.mac == pairs * 32
    again = [toward(index, "Attention", q, kv, kv, opset=23).mac for index in range(3)]
    assert again == [pairs * 16] * 3


@pytest.mark.parametrize("queries", [1, 4, 9])
@pytest.mark.parametrize("past", [0, 3])
@pytest.mark.parametrize(("left", "right"), [(-1, -1), (2, 0), (1, 2), (0, 0), (-1, 1), (3, -1)])
@pytest.mark.parametrize("causal", [0, 1])
def test_w14_masked_pairs_one_by_one(queries, past, left, right, causal):
    """By the words of the operator: p − left ≤ j ≤ p + right for p = past + i, and j ≤ p when causal."""
    keys = 6
    operands = [(1, 2, queries, 4), (1, 2, keys, 4), (1, 2, keys, 4)]
    operands += [None, (1, 2, past, 4), (1, 2, past, 4)] if past else []
    windows = {"left_window_size": left, "right_window_size": right, "is_causal": causal}
    node = node_of("Attention", *operands, opset=28, outputs=3 if past else 1, **windows)
    visible = sum(
        (left < 0 or j >= past + i - left) and (right < 0 or j <= past + i + right) and (not causal or j <= past + i)
        for i in range(queries)
        for j in range(past + keys)
    )
    cost = op_of(node).forward(View(node))
    assert (cost.mac, cost.effective_mac) == (2 * queries * (past + keys) * 8, 2 * visible * 8)


def test_w15_recurrent_networks():
    """FlopCounterMode answers 0 for an LSTM; onnx-tool forgets the length, the second direction or the bias."""
    length, batch, inputs, hidden = 7, 2, 5, 3
    for op_type, gates in (("RNN", 1), ("GRU", 3), ("LSTM", 4)):
        for direction, count in (("forward", 1), ("reverse", 1), ("bidirectional", 2)):
            weights = (count, gates * hidden, inputs), (count, gates * hidden, hidden)
            settings = {"hidden_size": hidden, "direction": direction, "outputs": 2}
            bare = work(op_type, (length, batch, inputs), *weights, **settings)
            steps = length * batch * count * hidden
            assert bare.mac == steps * gates * (inputs + hidden)
            biased = work(op_type, (length, batch, inputs), *weights, (count, 2 * gates * hidden), **settings)
            assert biased == bare + Cost(add=steps * gates)
    apart = {"hidden_size": 3, "linear_before_reset": 1, "outputs": 2}
    whole = [(7, 2, 5), (1, 9, 5), (1, 9, 3), (1, 18)]
    assert work("GRU", *whole, **apart).add == work("GRU", *whole, hidden_size=3, outputs=2).add + 7 * 2 * 3
    missing = [(7, 2, 5), (1, 12, 5), (1, 12, 3), None, None, None, None, (1, 9)]
    peepholes = work("LSTM", *missing, hidden_size=3, outputs=2)
    assert peepholes == work("LSTM", *missing[:3], hidden_size=3, outputs=2) + Cost(mul=3, add=3) * (7 * 2 * 3)


def einsum_by_orders(terms, wanted, sizes):
    """The least flops of all orders of pairs, by trying all of them."""
    if len(terms) == 1:
        (only,) = terms
        return prod(sizes[i] for i in only) - prod(sizes[i] for i in only & wanted)
    least = None
    for a, b, *rest in permutations(terms):
        still = wanted.union(*rest)
        flops = 0
        sides = []
        for own, other in ((a, b), (b, a)):
            kept = own & (other | still)
            flops += prod(sizes[i] for i in own) - prod(sizes[i] for i in kept)
            sides.append(kept)
        both = sides[0] | sides[1]
        points = prod(sizes[i] for i in both)
        flops += 2 * points if (sides[0] & sides[1]) - still else points
        made = both & still
        if rest:
            flops += einsum_by_orders([made, *rest], wanted, sizes)
        least = flops if least is None else min(least, flops)
    return least


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(3, 4), (4, 5)]),
        ("ij,jk,kl->il", [(2, 30), (30, 3), (3, 40)]),
        ("ij,jk,kl,lm->im", [(9, 2), (2, 8), (8, 3), (3, 7)]),
        ("bi,bj,bk->b", [(4, 2), (4, 3), (4, 5)]),
        ("i,j,k->ijk", [(2,), (3,), (4,)]),
        ("ij->i", [(3, 4)]),
        ("ij->", [(3, 4)]),
        ("ii->i", [(4, 4)]),
        ("ij,ij->ij", [(3, 4), (3, 4)]),
        ("ijk,il->jl", [(2, 3, 4), (2, 5)]),
    ],
)
def test_w16_einsum_with_any_number_of_operands(equation, shapes):
    """onnx-tool knows two operands; with three the order decides: here 2·30·3 + 2·3·40 and not 30·3·40 + 2·30·40."""
    left, _, right = equation.partition("->")
    terms = [frozenset(term) for term in left.split(",")]
    sizes = {
        i: n for term, shape in zip(left.split(","), shapes, strict=True) for i, n in zip(term, shape, strict=True)
    }
    assert work("Einsum", *shapes, equation=equation).flops == einsum_by_orders(terms, frozenset(right), sizes)
    for index, term in enumerate(terms):
        rest = [frozenset(right), *terms[:index], *terms[index + 1 :]]
        found = toward(index, "Einsum", *shapes, equation=equation)
        assert found.flops == einsum_by_orders(rest, term & frozenset().union(*rest), sizes)


def test_w16_einsum_with_an_ellipsis():
    """Batches hidden in dots broadcast as in a product of matrices."""
    shapes = (2, 1, 3, 4), (2, 5, 4, 6)
    assert work("Einsum", *shapes, equation="...ij,...jk->...ik") == work("MatMul", *shapes)
    assert work("Einsum", (3, 4), (4, 5), equation="ij,jk") == work("MatMul", (3, 4), (4, 5))


@pytest.mark.parametrize(("mode", "per_axis"), [("nearest", 0), ("linear", 2), ("cubic", 4)])
@pytest.mark.parametrize("scales", [(1, 1, 2, 2), (1, 1, 1, 3), (1, 1, 2, 0.5)])
def test_w17_taps_of_a_resize(mode, per_axis, scales):
    """2^r or 4^r for r resized axes, none for a copy; onnx-tool takes the same number whatever the axes."""
    out = [int(n * s) for n, s in zip((1, 2, 4, 6), scales, strict=True)]
    resized = sum(s != 1 for s in scales)
    cost = work("Resize", (1, 2, 4, 6), None, np.array(scales, np.float32), mode=mode)
    assert cost == Cost(mac=prod(out) * per_axis**resized if per_axis else 0)


@pytest.mark.parametrize("ceil_mode", [0, 1])
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 0, 2, 1]])
@pytest.mark.parametrize("include", [0, 1])
def test_w18_pooling(ceil_mode, pads, include):
    """onnx-tool takes one dimension of the kernel; pads differ per side and windows may run over the end."""
    attributes = {"kernel_shape": [3, 2], "strides": [2, 2], "pads": pads, "ceil_mode": ceil_mode}
    node = node_of("AveragePool", (2, 3, 8, 7), **attributes, count_include_pad=include)
    _, _, *outputs = node.outputs[0].shape.numpy()
    windows, taps = 6 * prod(outputs), 6 * prod(outputs) * 6
    real = 6 * sum(
        0 <= oh * 2 + kh - pads[0] < 8 and 0 <= ow * 2 + kw - pads[1] < 7
        for oh, ow, kh, kw in product(range(outputs[0]), range(outputs[1]), range(3), range(2))
    )
    cost = op_of(node).forward(View(node))
    assert (cost.add, cost.div) == (taps - windows, windows)
    assert cost.effective_flops == real - windows + windows
    largest = node_of("MaxPool", (2, 3, 8, 7), **attributes)
    cost = op_of(largest).forward(View(largest))
    assert (cost.cmp, cost.effective_flops) == (taps - windows, real - windows)


def test_w19_batch_normalisation_in_inference_is_one_affine_map():
    """onnx-tool takes a square root and a division per element: 31 operations where there are two."""
    size = 4 * 8 * 5 * 5
    cost = work("BatchNormalization", (4, 8, 5, 5), *[(8,)] * 4)
    assert cost == Cost(mul=size, add=size)
    assert cost.flops == 2 * size != 31 * size
    assert cost.transcendental == cost.div == 0


def test_w21_a_bias_is_no_multiply_add():
    """Papers, PyTorch and fvcore leave it out of the MACs, ptflops and torchinfo put it in: here it is an add."""
    bare, biased = work("Conv", (1, 3, 8), (4, 3, 3)), work("Conv", (1, 3, 8), (4, 3, 3), (4,))
    assert biased == bare + Cost(add=4 * 6)
    assert biased.mac == bare.mac


def loop_of(body_nodes, trips, state, body_inputs, body_outputs):
    body = ir.Graph(body_inputs, body_outputs, nodes=body_nodes, opset_imports={"": 20}, name="body")
    count = value("count", (), ir.DataType.INT64)
    count.const_value = ir.tensor(np.array(trips, np.int64))
    node = ir.node("Loop", [count, None, state], {"body": body}, outputs=[value("out", state.shape)])
    ir.Graph([state], node.outputs, nodes=[node], initializers=[count], opset_imports={"": 20}, name="loop")
    return node


def test_w22_bodies_count_as_often_as_they_run():
    """XLA's analysis counts a loop's body once; of the branches of an If one runs, FlopCounterMode takes the larger."""
    state, weight = value("x", (2, 3)), value("w", (3, 3))
    i, c, x = value("i", (), ir.DataType.INT64), value("c", (), ir.DataType.BOOL), value("s", (2, 3))
    on = ir.node("Identity", [c], outputs=[value("on", (), ir.DataType.BOOL)])
    product_node = ir.node("MatMul", [x, weight], outputs=[value("y", (2, 3))])
    node = loop_of([on, product_node], 5, state, [i, c, x], [on.outputs[0], product_node.outputs[0]])
    assert cost_of(node).mac == 5 * 2 * 3 * 3

    def branch(*nodes):
        return ir.Graph([], [nodes[-1].outputs[0]], nodes=nodes, opset_imports={"": 20}, name="branch")

    then = branch(ir.node("MatMul", [state, weight], outputs=[value("a", (2, 3))]))
    otherwise = branch(ir.node("Relu", [state], outputs=[value("b", (2, 3))]))
    choice = ir.node("If", [value("c", (), ir.DataType.BOOL)], {"then_branch": then, "else_branch": otherwise})
    assert cost_of(choice, 20).mac == 2 * 3 * 3
    decided = value("c", (), ir.DataType.BOOL)
    decided.const_value = ir.tensor(np.array(False))
    choice = ir.node("If", [decided], {"then_branch": then.clone(allow_outer_scope_values=True),
                                       "else_branch": otherwise.clone(allow_outer_scope_values=True)})  # fmt: skip
    assert cost_of(choice, 20).mac == 0
    assert cost_of(choice, 20).cmp == 6


def test_w23_functions_and_quantised_operators():
    """onnx-tool knows some of them: a call costs its body, an integer product what a real one does."""
    x, w = value("x", None), value("w", None)
    body = ir.node("MatMul", [x, w], outputs=[value("y", None)])
    again = ir.node("MatMul", [body.outputs[0], w], outputs=[value("z", None)])
    graph = ir.Graph([x, w], again.outputs, nodes=[body, again], opset_imports={"": 20}, name="body")
    function = ir.Function("local", "Twice", graph=graph, attributes=[])
    call = ir.node("Twice", [value("a", (2, 3)), value("b", (3, 3))], domain="local", outputs=[value("o", (2, 3))])
    found = cost_of(call, 20, {function.identifier(): function})
    assert found.mac == 2 * 2 * 3 * 3
    assert cost_of(call, 20) is None
    byte, real = np.zeros((), np.int8), np.ones((), np.float32)
    a, b = np.zeros((3, 4), np.int8), np.zeros((4, 5), np.int8)
    plain = work("MatMul", a.shape, b.shape)
    assert work("MatMulInteger", a, b, byte, byte) == plain + Cost(add=12 + 20)
    quantised = work("QLinearMatMul", a, real, byte, b, real, byte, real, byte)
    assert quantised == plain + Cost(add=12 + 20) + Cost(mul=15, add=15, cmp=30)
    assert work("QuantizeLinear", (3, 4), real, byte) == Cost(div=12, add=12, cmp=24)
    assert work("DequantizeLinear", a, real, byte) == Cost(mul=12, add=12)


def test_w24_types_decide_the_bytes_and_not_the_counts():
    """FlopCounterMode counts a complex product by its three real ones; here the operator's own work is what counts."""
    for dtype, size in ((ir.DataType.FLOAT16, 2), (ir.DataType.BFLOAT16, 2), (ir.DataType.DOUBLE, 8), (FLOAT, 4)):
        node = node_of("MatMul", (3, 4), (4, 5), dtype=dtype)
        cost = cost_of(node)
        assert (cost.mac, cost.bytes_read, cost.bytes_written) == (60, 32 * size, 15 * size)
    mixed = node_of("Cast", (9,), to=int(ir.DataType.FLOAT16))
    assert (cost_of(mixed).bytes_read, cost_of(mixed).bytes_written, cost_of(mixed).flops) == (36, 18, 0)
    integers = node_of("Add", (9,), (9,), dtype=ir.DataType.INT64)
    assert (cost_of(integers).add, cost_of(integers).bytes) == (9, 3 * 72)


def test_w25_elements_below_a_byte_are_packed():
    """Two int4 to the byte, four int2; an odd number of them fills the last byte."""
    for dtype, opset, size in ((ir.DataType.INT4, 21, 5), (ir.DataType.FLOAT4E2M1, 23, 5), (ir.DataType.INT2, 25, 3)):
        cost = cost_of(node_of("Transpose", (3, 3), dtype=dtype, opset=opset))
        assert (cost.bytes_read, cost.bytes_written) == (size, size)


def test_w26_what_does_nothing_costs_nothing():
    """Tools that trace count a copy, or drop it by accident: an Identity and an idle Dropout are names."""
    for op_type, given in (("Identity", [(2, 3)]), ("Dropout", [(2, 3)]), ("Reshape", [(2, 3), np.array([6])])):
        node = node_of(op_type, *given)
        view, op = View(node), op_of(node)
        assert op.forward(view) == op.toward(view, DATA) == Cost()
        assert op.alias(view) is node.inputs[0]
        assert op.saved(view, frozenset({DATA})) == ()
    ratio, on = np.array(0.5, np.float32), np.array(True)
    assert work("Dropout", (2, 3), ratio, on) == Cost(cmp=6, mul=6)


def test_w28_huge_counts_are_exact():
    """Past 2⁵³ a float loses units, onnx-tool answers 0.0."""
    batch = 10**17 + 1
    cost = cost_of(node_of("Conv", (batch, 1, 5), (3, 1, 3), pads=[1, 1]))
    assert (cost.mac, cost.effective_mac) == (batch * 3 * 5 * 3, batch * 3 * 13)
    assert all(type(count) is int for count in (cost.mac, cost.effective_mac, cost.zero_insertion_mac, cost.flops))
    assert int(float(cost.mac)) != cost.mac
    whole = work("Conv", (10**12, 3, 224, 224), (64, 3, 7, 7), strides=[2, 2], pads=[3] * 4)
    assert whole.mac == 118013952 * 10**12 > 2**64
