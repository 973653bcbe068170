"""The derived tolerance lets every right result through and no wrong one, on networks of several kinds."""

import numpy as np
import onnx
import onnx.reference
import onnx_ir as ir
import pytest
from nets import NETS, Net, plain

from graphc.runtime.equivalence import check
from graphc.runtime.feeds import make_feeds
from graphc.runtime.session import session
from graphc.runtime.tolerance import EXACT, STEP, Tolerance, derive, heaviest_path, rounding


def float64_reference(model: ir.Model, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The model computed in float64 by ONNX's own reference implementation."""
    proto = ir.to_proto(model)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    for tensor in proto.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            array = np.frombuffer(tensor.raw_data, np.float32).astype(np.float64)
            tensor.data_type, tensor.raw_data = onnx.TensorProto.DOUBLE, array.tobytes()
    runner = onnx.reference.ReferenceEvaluator(proto)
    names = [output.name for output in proto.graph.output]
    with np.errstate(all="ignore"):  # its sigmoid overflows on the way to a right result
        found = runner.run(None, {k: v.astype(np.float64) for k, v in feeds.items()})
    return dict(zip(names, found, strict=True))


@pytest.mark.parametrize("name", NETS)
def test_the_exact_result_is_within_the_tolerance(name):
    """ONNX Runtime in float32 against the same function in float64 by ONNX's reference."""
    model = NETS[name]()
    feeds = make_feeds(model, 0, 0, {}, {})
    report = check(model, model.clone(), seeds=1)
    condition = report.outputs[0].condition
    with session(model) as run:
        actual = run.run(feeds)["y"]
    exact = float64_reference(model, feeds)["y"]
    assert np.abs(exact - actual).max() <= rounding(model).allowed(np.abs(exact).max(), condition)


@pytest.mark.parametrize("name", NETS)
def test_another_order_of_summation_passes(name):
    """The channels of every inner layer permuted: the same function, every sum in another order."""
    model = NETS[name]()
    report = check(model, shuffled(NETS[name]()))
    assert report.passed, report.worst
    assert report.worst.max_abs > 0, "nothing was reordered"


def shuffled(model: ir.Model) -> ir.Model:
    """The input channels of every Conv and Gemm in another order: a Gather in front, a permuted weight."""
    random = np.random.default_rng(5)
    for node in list(model.graph):
        if node.op_type in ("Conv", "Gemm"):
            weight = node.inputs[1]
            order = random.permutation(weight.shape[1])
            permutation = ir.Value(name=f"order_{node.name}", const_value=ir.tensor(order))
            model.graph.initializers.add(permutation)
            gather = ir.node("Gather", [node.inputs[0], permutation], {"axis": 1}, name=f"gather_{node.name}")
            model.graph.insert_before(node, gather)
            node.replace_input_with(0, gather.outputs[0])
            replace(weight, weight.const_value.numpy()[:, order])
    return model


def replace(value: ir.Value, array: np.ndarray) -> None:
    value.const_value = ir.tensor(np.ascontiguousarray(array), name=value.name)


# Instance normalisation undoes the scale of a channel before it; where rounding is amplified, less shows.
DETECTS = sorted(NETS.keys() - {"gated", "instance_normed"})


@pytest.mark.parametrize("name", DETECTS)
def test_a_thousandth_in_one_channel_is_found(name):
    """The weights of one output channel 0.1 % too large, in each layer in turn."""
    model = NETS[name]()
    weights = [node.inputs[1].name for node in model.graph if node.op_type in ("Conv", "Gemm")]
    for weight in weights:
        wrong = NETS[name]()
        array = wrong.graph.initializers[weight].const_value.numpy().copy()
        array[0] *= 1.001
        replace(wrong.graph.initializers[weight], array)
        assert not check(model, wrong).passed, weight


def test_a_network_that_amplifies_rounding_is_said_to_be_weakly_checked():
    model = NETS["gated"]()
    report = check(model, model.clone())
    assert report.outputs[0].condition > 10
    wide = check(model, model.clone(), tolerance=Tolerance(rounding=1e-3))
    assert "amplifies rounding" in wide.warnings[0]


def test_the_tolerance_follows_from_what_fired():
    class Fired:
        def __init__(self, numerics, bound=0.0):
            self.numerics, self.bound = numerics, bound

    model = plain()
    assert derive(model, []) == derive(model, [Fired("exact")]) == EXACT
    assert derive(model, [Fired("exact"), Fired("reassociates")]) == rounding(model)
    twice = derive(model, [Fired("approximates", 1e-3), Fired("approximates", 1e-3)])
    assert twice == Tolerance(relative=2e-3, rounding=rounding(model).rounding)
    assert [str(EXACT), str(Tolerance(1e-3))] == ["bit-equal", "1.0e-03·max|a|"]


def test_the_heaviest_path_adds_reductions_along_the_longer_branch():
    net = Net()
    x = net.input("x", [1, 4, 8, 8])
    long = net.op("Conv", net.op("Conv", x, net.normal(6, 4, 3, 3), pads=[1] * 4), net.normal(2, 6, 1, 1))
    short = net.op("Conv", x, net.normal(2, 2, 3, 3), group=2, pads=[1] * 4)
    model = net.model(y=net.op("Relu", net.op("Add", long, short)))
    assert heaviest_path(model) == (4 * 9 + 6) + 4 * STEP  # two sums, the Add and the Relu


def test_functions_and_their_subgraphs_are_on_the_path():
    text = """<ir_version: 8, opset_import: ["" : 20, "d" : 1]>
    g (float[2, 8] x) => (float[2, 4] y) { z = d.f(x) y = d.f(z) }
    <domain: "d", opset_import: ["" : 20]> f (a) => (b) {
      c = Constant <value = bool {1}> ()
      b = If (c) <then_branch = t () => (r) <float[8, 8] w> { r = MatMul(a, w) },
                  else_branch = e () => (q) { q = Relu(a) }>
    }"""
    model = ir.from_proto(onnx.parser.parse_model(text))
    body = (8 + STEP) + STEP + STEP  # the product, and one step each for the If and the Constant
    assert heaviest_path(model) == 2 * (body + STEP)  # and one for each call


def test_the_coarsest_type_decides():
    def halved(dtype):
        net = Net()
        x = net.input("x", [2, 3], dtype)
        y = net.op("Add", x, x)
        y.type = ir.TensorType(dtype)
        return net.model(y=y)

    single, half, integer = (halved(t) for t in (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.INT32))
    assert rounding(half).rounding == 2**13 * rounding(single).rounding
    assert rounding(integer) == EXACT
