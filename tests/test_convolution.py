"""The one equation: its counts, its gradients, its phases, and how ONNX nodes state it.

Every operand is a small integer, so that float64 and float32 sums are exact and equality needs no tolerance.
The oracles are loops over the equation, `onnx.reference` (Conv; its ConvTranspose crashes with groups and
with `output_shape`) and ONNX Runtime with its optimiser off (its Conv refuses SAME with a dilation).
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir
import onnxruntime as ort  # noqa: TID251 - the oracle of these tests
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

from graphc.axis import Axis
from graphc.convolution import Convolution, pool_axes, read_convolution, static_shape, transpose_filter
from graphc.errors import GraphcError
from graphc.inference import infer_node
from graphc.view import Refusal, View

DIRECTIONS = ("forward", "filter_grad", "input_grad")
OPSET = 20
seeds = st.integers(0, 2**32 - 1)
cropping = st.integers(-2, 3)
few = st.integers(0, 2)


# ---------------------------------------------------------------- what is drawn


@st.composite
def conv_axes(draw, largest=7, pads=cropping):
    sizes = draw(st.integers(1, largest)), draw(st.integers(1, 4))
    return Axis.conv(*sizes, draw(st.integers(1, 4)), draw(st.integers(1, 3)), (draw(pads), draw(pads)))


@st.composite
def conv_transpose_axes(draw, largest=5, pads=cropping):
    sizes = draw(st.integers(1, largest)), draw(st.integers(1, 4))
    window = draw(st.integers(1, 4)), draw(st.integers(1, 3)), (draw(pads), draw(pads))
    return Axis.conv_transpose(*sizes, *window, draw(st.integers(0, 2)))


@st.composite
def rational_axes(draw):
    """Neither a Conv nor a ConvTranspose: up and down are both above 1, as in a resampling by a fraction."""
    lengths = [draw(st.integers(0, 6)) for _ in range(3)]
    up, down, step = (draw(st.integers(1, 4)) for _ in range(3))
    sign = draw(st.sampled_from((1, -1)))
    return Axis(*lengths, up, down, draw(st.integers(-5, 5)), sign * step)


onnx_axes = st.one_of(conv_axes(), conv_transpose_axes())
any_axis = st.one_of(onnx_axes, rational_axes())


@st.composite
def convolutions(draw, axes=onnx_axes, ranks=few):
    rank, groups = draw(ranks), draw(st.integers(1, 3))
    inner, outer = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    drawn = tuple(draw(axes) for _ in range(rank))
    return Convolution(drawn, groups, groups * inner, groups * outer, draw(st.integers(1, 2)))


def operands(seed, *shapes):
    random = np.random.default_rng(seed)
    return [random.integers(-9, 10, shape).astype(np.float64) for shape in shapes]


# ---------------------------------------------------------------- ONNX as the oracle


def node_of(op_type, *shapes, dtype=ir.DataType.FLOAT, **attributes):
    names = "XWB"
    inputs = [
        ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(dtype))
        for name, shape in zip(names, shapes, strict=False)
    ]
    node = ir.node(op_type, inputs, attributes, outputs=[ir.Value(name="Y", type=ir.TensorType(dtype))])
    ir.Graph(inputs, node.outputs, nodes=[node], opset_imports={"": OPSET}, name="one node")
    return node


def proto_of(node):
    return ir.to_proto(ir.Model(node.graph, ir_version=9))


def by_reference(op_type, *arrays, **attributes):
    node = node_of(op_type, *(a.shape for a in arrays), dtype=ir.DataType.DOUBLE, **attributes)
    feeds = {value.name: array for value, array in zip(node.inputs, arrays, strict=True)}
    return ReferenceEvaluator(proto_of(node)).run(None, feeds)[0]


def by_runtime(op_type, *arrays, **attributes):
    node = node_of(op_type, *(a.shape for a in arrays), **attributes)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(proto_of(node).SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = {value.name: a.astype(np.float32) for value, a in zip(node.inputs, arrays, strict=True)}
    return session.run(None, feeds)[0]


def attributes_of(convolution):
    """How a Conv node states these axes; only for axes made with pads that are not negative."""
    axes = convolution.axes
    return {
        "group": convolution.groups,
        "strides": [axis.down for axis in axes],
        "dilations": [axis.step for axis in axes],
        "pads": [pad for side in (0, 1) for pad in (axis.pads[side] for axis in axes)],
    }


def cropped(axis):
    """Conv axes with computed pads below zero have no ONNX node (the floor of a stride left inputs over)."""
    return min(axis.pads) < 0 or axis.output == 0


# ---------------------------------------------------------------- the equation and its counts


def triples_by_loops(axis):
    return [
        (i, o, t)
        for i in range(axis.input)
        for o in range(axis.output)
        for t in range(axis.taps)
        if axis.up * i == axis.down * o - axis.pad + axis.step * t
    ]


def dense_by_loops(axis):
    """Pairs of the two indices that are not the sum, whose sum is an integer anywhere."""
    up, down, step, pad = axis.up, axis.down, axis.step, axis.pad
    i, o, t = range(axis.input), range(axis.output), range(axis.taps)
    if down < 0:
        return sum((up * a - down * b + pad) % step == 0 for a in i for b in o)
    if step < 0:
        return sum((up * a + pad - step * c) % down == 0 for a in i for c in t)
    return sum((down * b - pad + step * c) % up == 0 for b in o for c in t)


@given(any_axis)
@settings(max_examples=300, deadline=None)
def test_triples_and_counts_are_those_of_loops(axis):
    assert [tuple(map(int, row)) for row in axis.triples()] == triples_by_loops(axis)
    assert axis.effective_macs == len(triples_by_loops(axis))
    assert axis.macs == dense_by_loops(axis)
    assert axis.effective_macs <= axis.macs


@given(any_axis)
@settings(max_examples=300, deadline=None)
def test_all_directions_hold_the_same_triples(axis):
    triples = set(triples_by_loops(axis))
    assert {(i, o, t) for o, i, t in triples_by_loops(axis.input_grad())} == triples
    assert {(i, o, t) for i, t, o in triples_by_loops(axis.filter_grad())} == triples
    for direction in DIRECTIONS:
        turned = axis.toward(direction)
        assert (turned.macs, turned.effective_macs) == (axis.macs, axis.effective_macs)
        assert turned.toward(direction) == axis


@given(any_axis)
@settings(max_examples=200, deadline=None)
def test_gathered_is_a_conv_with_the_same_triples(axis):
    gathered = axis.gathered
    assert min(gathered.up, gathered.down, gathered.step) > 0
    assert sorted(gathered.triples().sum(axis=1)) == sorted(axis.triples().sum(axis=1))
    assert gathered.macs == axis.macs


@given(any_axis, st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_an_axis_preceded_by_outputs_is_itself_after_a_crop(axis, more):
    longer = axis.preceded_by(more)
    assert [(i, o - more, t) for i, o, t in triples_by_loops(longer) if o >= more] == triples_by_loops(axis)


@given(conv_axes())
def test_pads_state_a_conv_exactly(axis):
    assume(axis.output)
    stated = Axis.conv(axis.input, axis.taps, axis.down, axis.step, axis.pads)
    assert stated == axis


@given(conv_transpose_axes())
def test_pads_and_output_padding_state_a_conv_transpose_exactly(axis):
    assume(axis.output)
    begin, end = axis.pads
    window = axis.input, axis.taps, axis.up, -axis.step
    assert Axis.conv_transpose(*window, (begin, end)) == axis
    assert Axis.conv_transpose(*window, (begin, max(0, end)), max(0, -end)) == axis


@given(conv_axes())
def test_the_gradient_of_a_conv_is_a_conv_transpose(axis):
    assume(axis.output)
    begin, end = axis.pads
    assert axis.input_grad() == Axis.conv_transpose(axis.output, axis.taps, axis.down, axis.step, (begin, end))


def test_an_axis_refuses_what_is_no_convolution():
    with pytest.raises(ValueError, match="negative length"):
        Axis(-1, 1, 1)
    with pytest.raises(ValueError, match="zero factor"):
        Axis(1, 1, 1, step=0)
    with pytest.raises(ValueError, match="no index is the sum"):
        Axis(1, 1, 1, up=1, down=-1, step=-1)


@given(conv_axes(pads=st.integers(0, 3)), seeds)
@settings(max_examples=100, deadline=None)
def test_zero_insertion_counts_what_a_stretched_operand_multiplies(axis, seed):
    """In one dimension the gradient, stretched with zeros, slides over the input, or the filter over it."""
    assume(axis.output)
    data, grad, taps = operands(seed, axis.input, axis.output, axis.taps)
    nest = Convolution((axis,), 1, 1, 1)
    stretched = np.zeros((axis.output - 1) * axis.down + 1)
    stretched[:: axis.down] = grad
    padded = np.pad(data, (axis.pad, stretched.size + axis.step * axis.taps))
    windows = np.lib.stride_tricks.sliding_window_view(padded, stretched.size)[:: axis.step][: axis.taps]
    assert axis.zero_insertion_macs("filter_grad") == windows.size
    assert np.array_equal(nest.filter_grad(data[None, None], grad[None, None])[0, 0], windows @ stretched)

    reach = axis.step * (axis.taps - 1) + 1
    padded = np.pad(stretched, reach + axis.pad + axis.input)
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach)[:, :: axis.step]
    windows = windows[axis.input + 2 * axis.pad + 1 :][: axis.input]
    assert axis.zero_insertion_macs("input_grad") == windows.size
    found = nest.input_grad(grad[None, None], taps[None, None])[0, 0]
    assert np.array_equal(found, windows @ taps[::-1])
    transposed = axis.input_grad()
    assert transposed.zero_insertion_macs("forward") == windows.size
    assert axis.zero_insertion_macs("forward") == axis.macs


# ---------------------------------------------------------------- the nest against ONNX


@given(convolutions(conv_axes(pads=st.integers(0, 3)), st.integers(1, 3)), seeds)
@settings(max_examples=100, deadline=None)
def test_the_nest_is_conv(nest, seed):
    assume(not any(map(cropped, nest.axes)))
    data, filter, bias = operands(seed, nest.data_shape, nest.filter_shape, nest.out_channels)
    found = nest.run(data, filter, bias)
    attributes = attributes_of(nest)
    assert np.array_equal(found, by_reference("Conv", data, filter, bias, **attributes))
    assert np.array_equal(found, by_runtime("Conv", data, filter, bias, **attributes))


@given(convolutions(conv_axes(pads=st.integers(0, 3)), st.integers(1, 3)))
@settings(max_examples=60, deadline=None)
def test_counts_are_what_conv_sums_over_ones(nest):
    """A convolution of ones counts its own products: the real ones when padded with zeros, else all."""
    assume(not any(map(cropped, nest.axes)))
    attributes = attributes_of(nest)
    data, filter = np.ones(nest.data_shape), np.ones(nest.filter_shape)
    assert by_reference("Conv", data, filter, **attributes).sum() == nest.effective_macs
    padded = np.pad(data, [(0, 0), (0, 0), *(axis.pads for axis in nest.axes)], constant_values=1)
    attributes["pads"] = [0] * len(attributes["pads"])
    assert by_reference("Conv", padded, filter, **attributes).sum() == nest.macs


@given(convolutions(conv_axes(largest=5, pads=st.integers(0, 2))), seeds)
@settings(max_examples=60, deadline=None)
def test_gradients_are_the_derivatives_of_conv(nest, seed):
    """Conv is linear in each operand: the derivative by an element is the value where only that one is 1."""
    assume(nest.axes and not any(map(cropped, nest.axes)))
    data, filter, grad = operands(seed, nest.data_shape, nest.filter_shape, nest.out_shape)
    attributes = attributes_of(nest)
    units = np.eye(prod(nest.data_shape[1:])).reshape(-1, *nest.data_shape[1:])
    moved = by_reference("Conv", units, filter, **attributes)
    expected = np.einsum("nf,ef->ne", grad.reshape(nest.batch, -1), moved.reshape(len(units), -1))
    assert np.array_equal(nest.input_grad(grad, filter), expected.reshape(nest.data_shape))

    units = np.eye(filter.size).reshape(-1, *nest.filter_shape)
    expected = [(grad * by_reference("Conv", data, unit, **attributes)).sum() for unit in units]
    assert np.array_equal(nest.filter_grad(data, grad).ravel(), expected)


@given(convolutions(any_axis), seeds)
@settings(max_examples=150, deadline=None)
def test_the_three_directions_are_one_bilinear_form(nest, seed):
    data, filter, grad = operands(seed, nest.data_shape, nest.filter_shape, nest.out_shape)
    value = (nest.run(data, filter) * grad).sum()
    assert value == (nest.input_grad(grad, filter) * data).sum()
    assert value == (nest.filter_grad(data, grad) * filter).sum()
    for direction in DIRECTIONS:
        turned = nest.toward(direction)
        assert (turned.macs, turned.effective_macs) == (nest.macs, nest.effective_macs)


def test_operands_of_another_shape_are_refused():
    nest = Convolution((Axis.conv(5, 3),), 1, 2, 4)
    for data, filter, bias in [
        ((1, 2, 6), (4, 2, 3), (4,)),
        ((1, 2, 5), (2, 4, 3), (4,)),
        ((1, 2, 5), (4, 2, 3), (1,)),
    ]:
        with pytest.raises(ValueError, match="has shape"):
            nest.run(np.ones(data), np.ones(filter), np.ones(bias))
    with pytest.raises(ValueError, match="groups do not divide"):
        Convolution((), 2, 3, 4)


# ---------------------------------------------------------------- phases


def through_phases(nest, phases, data, filter):
    """SpaceToDepth, the stride-1 convolution, DepthToSpace, crop: on any number of axes."""
    rank, batch = len(phases), nest.batch
    low = nest.lowered(phases)
    more = [phase.P * phase.axis.input - axis.input for phase, axis in zip(phases, nest.axes, strict=True)]
    x = np.pad(data, [(0, 0), (0, 0), *((0, size) for size in more)])
    split = [size for phase in phases for size in (phase.axis.input, phase.P)]
    places, inner = range(2, 2 + 2 * rank, 2), range(3, 3 + 2 * rank, 2)
    x = x.reshape(batch, nest.in_channels, *split).transpose(0, 1, *inner, *places).reshape(low.data_shape)

    y = low.run(x, nest.lowered_filter(filter, phases))
    blocks, sizes = [phase.Q for phase in phases], [phase.axis.output for phase in phases]
    y = y.reshape(batch, nest.out_channels, *blocks, *sizes)
    y = y.transpose(0, 1, *(part + a for a in range(rank) for part in (2 + rank, 2)))
    y = y.reshape(batch, nest.out_channels, *(size * block for size, block in zip(sizes, blocks, strict=True)))
    return y[(..., *(slice(axis.output) for axis in nest.axes))]


@pytest.mark.parametrize("multiple", [1, 2, 3])
@given(nest=convolutions(any_axis), seed=seeds)
@settings(max_examples=150, deadline=None)
def test_phases_are_the_same_operator(multiple, nest, seed):
    assume(all(axis.down > 0 for axis in nest.axes))
    phases = [axis.phases(multiple) for axis in nest.axes]
    data, filter = operands(seed, nest.data_shape, nest.filter_shape)
    assert np.array_equal(through_phases(nest, phases, data, filter), nest.run(data, filter))


def test_two_thousand_one_dimensional_equations():
    """Conv and ConvTranspose of every stride, dilation and pad: phases, gradients and counts at once."""
    random = np.random.default_rng(0)
    for _ in range(2000):
        size, taps, stride, dilation = (int(random.integers(1, high)) for high in (9, 6, 5, 4))
        pads = tuple(int(pad) for pad in random.integers(-2, 5, 2))
        if random.random() < 0.5:
            axis = Axis.conv(size, taps, stride, dilation, pads)
        else:
            axis = Axis.conv_transpose(size, taps, stride, dilation, pads, int(random.integers(0, 3)))
        nest = Convolution((axis,), 1, 1, 1)
        data, filter, grad = (
            random.integers(-9, 10, shape).astype(float)
            for shape in (nest.data_shape, nest.filter_shape, nest.out_shape)
        )
        out = nest.run(data, filter)
        found = through_phases(nest, [axis.phases(int(random.integers(1, 4)))], data, filter)
        assert np.array_equal(found, out), axis
        assert (out * grad).sum() == (nest.filter_grad(data, grad) * filter).sum(), axis
        assert (out * grad).sum() == (nest.input_grad(grad, filter) * data).sum(), axis
        assert axis.effective_macs == len(axis.triples()), axis


@given(any_axis, st.integers(1, 3))
@settings(max_examples=200, deadline=None)
def test_the_table_holds_each_tap_of_each_pair_of_phases_once(axis, multiple):
    assume(axis.down > 0)
    phases = axis.phases(multiple)
    assert axis.up * phases.P == axis.down * phases.Q
    assert phases.table.shape == (phases.Q, phases.P, phases.width)
    expected = {
        (r, q, t)
        for r in range(phases.Q)
        for q in range(phases.P)
        for t in range(axis.taps)
        if (axis.down * r - axis.up * q - axis.pad + axis.step * t) % (axis.up * phases.P) == 0
    }
    found = [(r, q, int(t)) for (r, q, _), t in np.ndenumerate(phases.table) if t >= 0]
    assert sorted(found) == sorted(expected)


def test_a_kernel_shorter_than_its_stride_leaves_phases_empty():
    phases = Axis.conv_transpose(4, 2, 3).phases()
    assert (phases.P, phases.Q, phases.first, phases.width) == (1, 3, 0, 1)
    assert phases.table[:, 0, 0].tolist() == [0, 1, -1]


def test_an_axis_whose_taps_never_meet_the_input_is_zero():
    axis = Axis(4, 4, 3, up=2, down=2, pad=1, step=2)
    phases = axis.phases()
    assert (phases.table == -1).all()
    assert axis.macs == axis.effective_macs == 0


def test_phases_need_an_output_that_runs_with_the_input():
    with pytest.raises(ValueError, match="no phases"):
        Axis.conv_transpose(4, 3, 2).filter_grad().phases()
    with pytest.raises(ValueError, match="no phases"):
        Axis.conv(4, 3).phases(0)


def test_a_lowered_filter_keeps_its_dtype():
    nest = Convolution((Axis.conv_transpose(4, 3, 2),), 1, 1, 1)
    lowered = nest.lowered_filter(np.ones((1, 1, 3), np.float16), [nest.axes[0].phases()])
    assert lowered.dtype == np.float16


# ---------------------------------------------------------------- laws of the counts


@given(convolutions(ranks=st.integers(1, 2)), st.integers(2, 4))
@settings(max_examples=60, deadline=None)
def test_batch_and_groups(nest, times):
    wide = Convolution(nest.axes, nest.groups * times, nest.in_channels * times, nest.out_channels * times, nest.batch)
    dense = Convolution(nest.axes, nest.groups, wide.in_channels, wide.out_channels, nest.batch)
    several = Convolution(nest.axes, nest.groups, nest.in_channels, nest.out_channels, nest.batch * times)
    for count in (
        lambda n: n.macs,
        lambda n: n.effective_macs,
        lambda n: n.zero_insertion_macs("filter_grad"),
    ):
        assert count(several) == times * count(nest)
        assert count(wide) * times == count(dense)
        assert sum(map(count, wide.split_groups())) == count(wide)


@given(convolutions(), seeds)
@settings(max_examples=60, deadline=None)
def test_splitting_groups_changes_nothing(nest, seed):
    data, filter = operands(seed, nest.data_shape, nest.filter_shape)
    parts = zip(
        nest.split_groups(),
        np.split(data, nest.groups, axis=1),
        np.split(filter, nest.groups),
        strict=True,
    )
    found = np.concatenate([one.run(x, w) for one, x, w in parts], axis=1)
    assert np.array_equal(found, nest.run(data, filter))


def test_depthwise_with_a_multiplier_is_a_sum_of_single_channels():
    axes = (Axis.conv(9, 3, 2, 1, (1, 1)),) * 2
    depthwise = Convolution(axes, groups=8, in_channels=8, out_channels=24)
    single = Convolution(axes, groups=1, in_channels=1, out_channels=1)
    assert depthwise.macs == 24 * single.macs == 24 * 5 * 5 * 9


def test_fully_connected_is_a_pointwise_convolution_of_one_pixel():
    dense = Convolution((), 1, 512, 1000, batch=4)
    pixel = Convolution((Axis.conv(1, 1),) * 2, 1, 512, 1000, batch=4)
    for direction in DIRECTIONS:
        assert dense.toward(direction).macs == pixel.toward(direction).macs == 4 * 512 * 1000
    data, filter, grad = operands(0, (4, 512), (1000, 512), (4, 1000))
    assert np.array_equal(dense.run(data, filter), data @ filter.T)
    assert np.array_equal(dense.input_grad(grad, filter), grad @ filter)
    assert np.array_equal(dense.filter_grad(data, grad), grad.T @ data)


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_channels_times_a_factor_and_sides_divided_by_it_cost_the_same(factor):
    channels, side = 16 * factor, 64 // factor
    axes = (Axis.conv(side, 3, pads=(1, 1)),) * 2
    assert Convolution(axes, 1, channels, channels).macs == 9 * 16**2 * 64 * 64


def test_a_conv_and_the_conv_transpose_back_cost_the_same():
    conv = Convolution((Axis.conv(12, 4, 2, 1, (1, 1)),) * 2, 1, 3, 8)
    back = Convolution((Axis.conv_transpose(6, 4, 2, 1, (1, 1)),) * 2, 1, 8, 3)
    assert conv.toward("input_grad") == back
    assert (conv.macs, conv.effective_macs) == (back.macs, back.effective_macs)
    assert conv.macs == 3 * 8 * (6 * 4) ** 2
    assert conv.effective_macs == 3 * 8 * (6 * 4 - 2) ** 2  # one tap of the first and of the last window is padding


def test_counts_exceed_what_floats_hold_exactly():
    nest = Convolution((Axis.conv(7, 7, pads=(3, 3)),) * 2, 1, 2048, 2048, batch=10**9 + 7)
    assert nest.macs == (10**9 + 7) * 2048**2 * 49**2 > 2**53


# ---------------------------------------------------------------- reading nodes


@st.composite
def windows(draw, rank, *, dilated=True):
    """Attributes that Conv, ConvTranspose and pooling share, with pads or auto_pad."""
    found = {"strides": draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))}
    if dilated and draw(st.booleans()):
        found["dilations"] = draw(st.lists(st.integers(1, 2), min_size=rank, max_size=rank))
    how = draw(st.sampled_from(("pads", "VALID", "SAME_UPPER", "SAME_LOWER", None)))
    if how == "pads":
        found["pads"] = draw(st.lists(st.integers(0, 2), min_size=2 * rank, max_size=2 * rank))
    elif how:
        found["auto_pad"] = how
    return found


@st.composite
def conv_nodes(draw, *, transposed=False):
    """(shape of X, shape of W, attributes)"""
    rank, groups = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    kernel = [draw(st.integers(1, 3)) for _ in range(rank)]
    sizes = [draw(st.integers(1, 6)) for _ in range(rank)]
    inner, outer = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    attributes = draw(windows(rank)) | ({"group": groups} if groups > 1 else {})
    if draw(st.booleans()):
        attributes["kernel_shape"] = kernel
    if transposed:
        return (2, groups * inner, *sizes), (groups * inner, outer, *kernel), attributes
    return (2, groups * inner, *sizes), (groups * outer, inner, *kernel), attributes


def read_and_run(op_type, data, filter, attributes):
    nest = read_convolution(node_of(op_type, data.shape, filter.shape, **attributes))
    if op_type == "ConvTranspose":
        filter = transpose_filter(filter, nest.groups)
    return nest.run(data, filter)


@given(conv_nodes(), seeds)
@settings(max_examples=150, deadline=None)
def test_reading_conv(drawn, seed):
    x, w, attributes = drawn
    extents = [d * (k - 1) + 1 for d, k in zip(attributes.get("dilations", [1] * 3), w[2:], strict=False)]
    same = attributes.get("auto_pad", "").startswith("SAME")
    assume(same or all(size >= extent for size, extent in zip(x[2:], extents, strict=True)))
    data, filter = operands(seed, x, w)
    found = read_and_run("Conv", data, filter, attributes)
    assert np.array_equal(found, by_reference("Conv", data, filter, **attributes))
    if not (same and max(attributes.get("dilations", [1])) > 1):
        assert np.array_equal(found, by_runtime("Conv", data, filter, **attributes))


@given(conv_nodes(transposed=True), st.data(), seeds)
@settings(max_examples=150, deadline=None)
def test_reading_conv_transpose(drawn, data_of, seed):
    """ONNX Runtime lets output padding and the excess of `output_shape` be less than the stride."""
    x, w, attributes = drawn
    strides = attributes["strides"]
    paddings = [data_of.draw(st.integers(0, stride - 1)) for stride in strides]
    if any(paddings):
        attributes["output_padding"] = paddings
    nest = read_convolution(node_of("ConvTranspose", x, w, **attributes))
    assume(all(axis.output for axis in nest.axes))
    if "pads" not in attributes and data_of.draw(st.booleans()):
        whole = {k: v for k, v in attributes.items() if k != "auto_pad"}
        longest = read_convolution(node_of("ConvTranspose", x, w, **whole)).axes
        attributes["output_shape"] = [
            data_of.draw(st.integers(max(1, axis.output - 3), axis.output - padding + stride - 1))
            for axis, stride, padding in zip(longest, strides, paddings, strict=True)
        ]
    data, filter = operands(seed, x, w)
    found = read_and_run("ConvTranspose", data, filter, attributes)
    assert np.array_equal(found, by_runtime("ConvTranspose", data, filter, **attributes))


def test_conv_transpose_same_needs_no_pad_where_the_kernel_is_shorter_than_the_stride():
    """As ONNX's shape inference and ONNX Runtime have it: 3·2 + 2 outputs, not 3·3."""
    node = node_of("ConvTranspose", (1, 1, 3), (1, 1, 2), strides=[3], auto_pad="SAME_UPPER")
    (axis,) = read_convolution(node).axes
    (inferred,) = infer_node(node, OPSET)
    assert (axis.output, axis.pad) == (inferred.shape[2], 0) == (8, 0)


@given(
    st.integers(1, 2).flatmap(lambda rank: st.tuples(st.just(rank), windows(rank))),
    st.sampled_from(("MaxPool", "AveragePool")),
    st.booleans(),
    st.data(),
)
@settings(max_examples=150, deadline=None)
def test_reading_pools(drawn, op_type, ceil_mode, data_of):
    """ONNX Runtime is the oracle: ONNX's shape inference forgets that no window begins in the end pad."""
    rank, attributes = drawn
    same = attributes.get("auto_pad", "").startswith("SAME")
    sizes = [data_of.draw(st.integers(3, 9)) for _ in range(rank)]
    kernel = [data_of.draw(st.integers(2, 3)) for _ in range(rank)]
    assume(max(attributes.get("pads", [0])) < min(kernel))
    # with SAME, ONNX Runtime forgets dilations and refuses a kernel shorter than its stride
    assume(not same or ("dilations" not in attributes and max(attributes["strides"]) <= min(kernel)))
    attributes |= {"kernel_shape": kernel, "ceil_mode": int(ceil_mode)}
    axes = pool_axes(View(node_of(op_type, (1, 1, *sizes), **attributes)), sizes)
    assume(all(axis.output for axis in axes))
    out = by_runtime(op_type, np.ones((1, 1, *sizes)), **attributes)
    assert [axis.output for axis in axes] == list(out.shape[2:])


def test_shapes_may_be_given_where_the_graph_has_none():
    node = node_of("Conv", ("N", 3, "H", "W"), (8, 3, 3, 3), pads=[1, 1, 1, 1])
    with pytest.raises(Refusal, match="shape of 'X' is not static"):
        read_convolution(node)
    assert read_convolution(node, (2, 3, 10, 12)).out_shape == (2, 8, 10, 12)


def test_the_shape_of_a_constant_is_that_of_its_content():
    value = ir.Value(name="w", const_value=ir.tensor(np.zeros((4, 3), np.float32)))
    assert static_shape(value) == (4, 3)


@pytest.mark.parametrize(
    ("op_type", "x", "w", "attributes", "code"),
    [
        ("Conv", (1, 4, 8), (8, 3, 3), {}, "graph/conv-channel-mismatch"),
        ("Conv", (1, 6, 8), (4, 2, 3), {"group": 3}, "graph/conv-channel-mismatch"),
        ("ConvTranspose", (1, 4, 8), (3, 4, 3), {}, "graph/conv-channel-mismatch"),
        ("Conv", (1, 3, 8, 8), (8, 3, 3), {}, "graph/checker-error"),
        ("Conv", (1, 3, 8), (8, 3, 3), {"kernel_shape": [5]}, "graph/checker-error"),
        ("Conv", (1, 3, 8), (8, 3, 3), {"strides": [0]}, "graph/checker-error"),
        ("Conv", (1, 3, 8), (8, 3, 3), {"strides": [1, 1]}, "graph/checker-error"),
        ("Conv", (1, 3, 8), (8, 3, 3), {"auto_pad": "VALID", "pads": [1, 1]}, "graph/checker-error"),
        ("ConvTranspose", (1, 3, 8), (3, 8, 3), {"output_padding": [0, 0]}, "graph/checker-error"),
    ],
)
def test_a_node_that_contradicts_itself_is_an_error(op_type, x, w, attributes, code):
    with pytest.raises(GraphcError) as caught:
        read_convolution(node_of(op_type, x, w, **attributes))
    assert caught.value.code == code


def test_reading_accounts_for_every_attribute():
    node = node_of("ConvTranspose", (1, 3, 8), (3, 8, 3), strides=[2], output_padding=[1], dilations=[2], group=1)
    view = View(node)
    read_convolution(view)
    assert list(view.unread()) == []
