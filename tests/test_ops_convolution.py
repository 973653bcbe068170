"""Convolutions of every kind, in all three directions, against the executed nest and against loops over taps.

The nest's triples are found by trying every (input, output, tap) of an axis; ONNX's own shape inference says how many
outputs there are. Neither shares code with the closed forms that count.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from one_node import node_of, shared, toward, work

from graphc.convolution import read_convolution
from graphc.costs import Cost
from graphc.ops import op_of
from graphc.view import View

DATA, FILTER, BIAS = range(3)
DIRECTIONS = {"forward": None, "input_grad": DATA, "filter_grad": FILTER}


@st.composite
def configurations(draw):
    """(op_type, data, filter, attributes): 1–3 axes, groups with multipliers, everything asymmetric."""
    rank = draw(st.integers(1, 3))
    few = st.lists(st.integers(1, 3), min_size=rank, max_size=rank)
    groups, inner, outer, batch = (draw(st.integers(1, most)) for most in (3, 2, 3, 2))
    kernel, strides, dilations = draw(few), draw(few), draw(few)
    transposed = draw(st.booleans())
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    # so large that something is left of a transposed output when the pads below are taken off, four at most
    sizes = [max(r, 6 - r) + extra - 1 for r, extra in zip(reach, draw(few), strict=True)]
    attributes = {"group": groups, "strides": strides, "dilations": dilations}
    mode = draw(st.sampled_from(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if mode == "NOTSET":
        attributes["pads"] = draw(st.lists(st.integers(0, 2), min_size=2 * rank, max_size=2 * rank))
    else:
        attributes["auto_pad"] = mode
    if transposed:
        if mode == "NOTSET":  # ONNX does not say what SAME makes of output padding: its own tools disagree
            attributes["output_padding"] = [draw(st.integers(0, s - 1)) for s in strides]
        filter = (groups * inner, outer, *kernel)
    else:
        filter = (groups * outer, inner, *kernel)
    data = (batch, groups * inner, *sizes)
    return "ConvTranspose" if transposed else "Conv", data, filter, attributes


@settings(max_examples=10_000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(configurations())
def test_every_direction_costs_what_the_executed_nest_does(configuration):
    op_type, data, filter, attributes = configuration
    node = node_of(op_type, data, filter, **attributes)
    view, op = View(node), op_of(node)
    batch, out_channels, *outputs = node.outputs[0].shape.numpy()
    transposed, groups = op_type == "ConvTranspose", attributes["group"]
    met = data[2:] if transposed else outputs  # what every tap meets, padding or not
    pairs = batch * out_channels * data[1] // groups
    dense = pairs * prod(met) * prod(filter[2:])
    nest = read_convolution(view)
    assert nest.out_shape == (batch, out_channels, *outputs)
    for direction, index in DIRECTIONS.items():
        cost = op.forward(view) if index is None else op.toward(view, index)
        turned = [axis.toward(direction) for axis in nest.axes]
        real = pairs * prod(len(axis.triples()) for axis in turned)
        assert (cost.mac, cost.effective_mac) == (dense, real), (direction, configuration)
        assert cost.flops == 2 * dense
        assert cost.zero_insertion_mac == stretched(direction, transposed, pairs, nest, turned)


def stretched(direction, transposed, pairs, nest, turned):
    """What a convolution does that slides with stride 1 over an operand with zeros put in (COST.md §3)."""
    if direction == "filter_grad":
        sides = [(axis.input, axis.up) if transposed else (axis.output, axis.down) for axis in nest.axes]
        return pairs * prod(a.taps * ((n - 1) * s + 1) for a, (n, s) in zip(nest.axes, sides, strict=True))
    return pairs * prod(axis.output * axis.taps for axis in turned)


def by_loops(data, filter, strides, pads):
    """(dense, effective) multiply-adds of a plain Conv, one by one."""
    dense = effective = 0
    rank = len(data) - 2
    sizes = zip(data[2:], filter[2:], strides, pads[:rank], pads[rank:], strict=True)
    outputs = [(i + before + after - k) // s + 1 for i, k, s, before, after in sizes]
    for _ in product(range(data[0]), range(filter[0]), range(filter[1])):
        for place in product(*map(range, outputs), *map(range, filter[2:])):
            at = [o * s + t - p for o, t, s, p in zip(place, place[rank:], strides, pads, strict=False)]
            dense += 1
            effective += all(0 <= i < size for i, size in zip(at, data[2:], strict=True))
    return dense, effective


@pytest.mark.parametrize(
    ("data", "filter", "strides", "pads"),
    [
        ((2, 3, 7), (4, 3, 3), [2], [1, 2]),
        ((1, 2, 5, 6), (3, 2, 3, 2), [1, 2], [1, 0, 2, 1]),
        ((1, 4, 4, 3), (4, 1, 3, 3), [1, 1], [1, 1, 1, 1]),
        ((1, 1, 3, 4, 3), (2, 1, 2, 3, 1), [1, 2, 1], [1, 1, 0, 0, 1, 0]),
    ],
)
def test_one_by_one(data, filter, strides, pads):
    group = data[1] // filter[1]
    node = node_of("Conv", data, filter, strides=strides, pads=pads, group=group)
    view, op = View(node), op_of(node)
    for cost in (op.forward(view), op.toward(view, DATA), op.toward(view, FILTER)):
        assert (cost.mac, cost.effective_mac) == by_loops(data, filter, strides, pads)


# ---------------------------------------------------------------- identities


def macs(*args, **attributes):
    return work("Conv", *args, **attributes).mac


def test_a_grouped_convolution_costs_one_gth():
    whole = macs((1, 12, 9, 9), (24, 12, 3, 3))
    for groups in (2, 3, 4, 6, 12):
        assert macs((1, 12, 9, 9), (24, 12 // groups, 3, 3), group=groups) * groups == whole


def test_a_depthwise_convolution_is_its_channels_one_by_one():
    one = macs((2, 1, 9, 8), (1, 1, 3, 3), pads=[1, 1, 1, 1])
    assert macs((2, 5, 9, 8), (5, 1, 3, 3), pads=[1, 1, 1, 1], group=5) == 5 * one


def test_a_multiplier_leaves_the_work_per_output_alone_and_multiplies_what_is_moved():
    plain, tripled = (node_of("Conv", (1, 4, 8, 8), (4 * m, 1, 3, 3), group=4) for m in (1, 3))
    before, after = (op_of(node).forward(View(node)) for node in (plain, tripled))
    outputs = [prod(node.outputs[0].shape.numpy()) for node in (plain, tripled)]
    assert before.mac // outputs[0] == after.mac // outputs[1] == 9
    assert after.bytes_written == 3 * before.bytes_written
    assert after.bytes_read - before.bytes_read == 2 * 4 * 9 * 4  # two filters more per channel


def test_channels_for_resolution():
    """9·C²·H·W stays as it is when channels are multiplied and both sides divided by the same number."""
    costs = {macs((1, 8 * d, 48 // d, 48 // d), (8 * d, 8 * d, 3, 3), pads=[1] * 4) for d in (1, 2, 3, 4, 6)}
    assert costs == {9 * 8**2 * 48**2}


def test_a_layer_is_a_convolution_on_one_pixel():
    layer = work("Gemm", (3, 10), (10, 7), (7,))
    assert layer == work("Conv", (3, 10, 1, 1), (7, 10, 1, 1), (7,))
    for index, other in ((0, DATA), (2, BIAS)):
        assert toward(index, "Gemm", (3, 10), (10, 7), (7,)) == toward(
            other, "Conv", (3, 10, 1, 1), (7, 10, 1, 1), (7,)
        )


def test_cost_is_linear_in_the_batch():
    one = work("Conv", (1, 3, 9, 9), (4, 3, 3, 3), (4,), strides=[2, 2])
    assert work("Conv", (10**7, 3, 9, 9), (4, 3, 3, 3), (4,), strides=[2, 2]) == one * 10**7


def test_a_bias_is_an_add_per_output_both_ways():
    shapes = (2, 3, 9), (4, 3, 3), (4,)
    assert work("Conv", *shapes).add == toward(BIAS, "Conv", *shapes).add == 2 * 4 * 7


def test_bytes_of_each_direction():
    node = node_of("Conv", (2, 3, 9), (4, 3, 3), (4,))
    view, op = View(node), op_of(node)
    data, filter, bias, out = (4 * n for n in (54, 36, 4, 56))
    moved = {i: (op.toward(view, i).bytes_read, op.toward(view, i).bytes_written) for i in range(3)}
    assert moved == {0: (out + filter, data), 1: (out + data, filter), 2: (out, bias)}


# ---------------------------------------------------------------- the other kinds


def test_integer_convolutions_cost_the_same_and_have_no_gradient():
    byte = np.zeros((), np.uint8)
    x, w = np.zeros((1, 4, 6, 6), np.uint8), np.zeros((8, 2, 3, 3), np.uint8)
    plain = work("Conv", x.shape, w.shape, group=2, pads=[1] * 4)
    integer = work("ConvInteger", x, w, byte, byte, group=2, pads=[1] * 4)
    assert integer == plain + Cost(add=x.size + w.size)  # the zero points
    scale, bias = np.ones((), np.float32), np.zeros(8, np.int32)
    operands = x, scale, byte, w, scale, byte, scale, byte, bias
    outputs = 8 * 36
    requantised = Cost(mul=outputs, add=2 * outputs, cmp=2 * outputs)  # to the new scale and zero point; the bias
    assert work("QLinearConv", *operands, group=2, pads=[1] * 4) == integer + requantised
    for op_type, shapes in (("ConvInteger", (x, w)), ("QLinearConv", operands)):
        node = node_of(op_type, *shapes, group=2)
        assert not any(op_of(node).differentiable(View(node), index) for index in range(len(shapes)))


def test_deformable_convolution():
    """The convolution itself, and a sample of four neighbours for every channel, tap and output."""
    shapes = (1, 4, 6, 6), (8, 4, 3, 3), (1, 18, 4, 4)
    plain = work("Conv", *shapes[:2]).mac
    samples = 4 * 9 * 16
    assert work("DeformConv", *shapes, opset=22) == Cost(mac=plain + 4 * samples, add=18 * 16)
    masked = work("DeformConv", *shapes, (8,), (1, 9, 4, 4), opset=22)
    assert masked == Cost(mac=plain + 4 * samples, add=18 * 16 + 8 * 16, mul=samples)
    assert toward(1, "DeformConv", *shapes, opset=22).mac == plain + 4 * samples
    assert toward(2, "DeformConv", *shapes, opset=22).mac == 2 * 4 * samples
    volume = work("DeformConv", (1, 2, 4, 4, 4), (3, 2, 2, 2, 2), (1, 3 * 8, 3, 3, 3), opset=22)
    assert volume.mac == work("Conv", (1, 2, 4, 4, 4), (3, 2, 2, 2, 2)).mac + 8 * (2 * 8 * 27)


def test_causal_convolution_is_a_depthwise_one_padded_in_front():
    data, filter = (2, 5, 7), (5, 1, 4)
    node = node_of("CausalConvWithState", data, filter, outputs=2, opset=27)
    node.outputs[0].shape, node.outputs[1].shape = node.inputs[0].shape, None
    found, plain = op_of(node).toward(View(node), DATA), node_of("Conv", data, filter, group=5, pads=[3, 0])
    expected = op_of(plain).toward(View(plain), DATA)
    assert (found.mac, found.effective_mac) == (expected.mac, expected.effective_mac)
    assert replace(expected, bytes_read=0, bytes_written=0).mac == 2 * 5 * 7 * 4


def test_nothing_is_shared_between_the_gradients():
    assert shared("Conv", (1, 3, 9), (4, 3, 3)) == Cost()
