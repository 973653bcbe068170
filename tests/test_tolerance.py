"""The derived tolerance lets every right result through and no wrong one, on networks of several kinds."""

import numpy as np
import onnx
import onnx.reference
import onnx_ir as ir
import pytest
from nets import NETS, Net, plain

from graphc.inference import infer_missing
from graphc.runtime.condition import Nudging
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


def condition(model: ir.Model, feeds: dict[str, np.ndarray]) -> float:
    """How much further the output y moves than what it is made of is nudged, both relative."""
    nudging = Nudging(model)
    with session(model) as run, session(nudging.model) as nudged:
        y = run.run(feeds)["y"].astype(np.float64)
        changes = [np.abs(nudged.run(draw)["y"] - y).max() / np.abs(y).max() for draw in nudging.feeds(feeds)]
    return float(np.sqrt(np.mean(np.square(changes)))) / nudging.by


@pytest.mark.parametrize("name", NETS)
def test_the_exact_result_is_within_the_tolerance(name):
    """ONNX Runtime in float32 against the same function in float64 by ONNX's reference."""
    model = NETS[name]()
    feeds = make_feeds(model, 0, 0, {}, {})
    with session(model) as run:
        actual = run.run(feeds)["y"]
    exact = float64_reference(model, feeds)["y"]
    assert np.abs(exact - actual).max() <= rounding(model).allowed(np.abs(exact).max(), condition(model, feeds))


# ---------------------------------------------------------------- what is amplified


def constants_cancel(seed: int) -> ir.Model:
    """A sum that constants take back, to which x adds little: no change of x alone tells."""
    net = Net(seed)
    x = net.op("Add", net.op("Mul", net.input("x", [2, 8]), net.weight(0.1)), net.weight(300.1))
    return net.model(y=net.op("Sub", x, net.weight(299.9)))


def constants_are_folded(seed: int) -> ir.Model:
    """The sine of a large sum, of constants only."""
    net = Net(seed)
    total = net.op("ReduceSumSquare", net.normal(4, 40), keepdims=0)
    return net.model(y=net.op("Add", net.input("x", [1]), net.op("Sin", total)))


def results_cancel(seed: int) -> ir.Model:
    """Two averages: the changes of single elements have gone from them, but not their own rounding."""
    net = Net(seed)
    x = net.op("Add", net.input("x", [1, 4, 48, 48]), net.weight(5.0))
    larger = net.op("Mul", x, net.weight(1.003))
    return net.model(y=net.op("Sub", *(net.op("GlobalAveragePool", each) for each in (x, larger))))


def terms_cancel(seed: int, offset: float = 200.0) -> ir.Model:
    """A filter whose taps cancel, on data that is far from zero."""
    net = Net(seed)
    taps = net.random.standard_normal((4, 3, 3, 3))
    taps -= taps.mean(axis=(1, 2, 3), keepdims=True)
    x = net.op("Add", net.input("x", [1, 3, 12, 12]), net.weight(offset))
    return net.model(y=net.op("Conv", x, net.weight(taps), net.normal(4, scale=0.5)))


def nothing_cancels(seed: int) -> ir.Model:
    """The same filter on data around zero."""
    return terms_cancel(seed, 0.0)


ILL = (constants_cancel, constants_are_folded, results_cancel, terms_cancel)


@pytest.mark.parametrize("make", ILL)
@pytest.mark.parametrize("seed", range(8))
def test_what_cancels_is_within_the_tolerance_by_its_condition(make, seed):
    model = make(seed)
    infer_missing(model)
    feeds = make_feeds(model, seed, 0, {}, {})
    with session(model) as run:
        actual = run.run(feeds)["y"]
    exact, amplified = float64_reference(model, feeds)["y"], condition(model, feeds)
    scale, rms = np.abs(exact).max(), float(np.sqrt(np.square(exact).mean()))
    assert amplified > 10
    assert np.abs(exact - actual).max() <= rounding(model).allowed(scale, amplified, rms)


def test_what_does_not_cancel_has_a_condition_of_about_one():
    for model in (nothing_cancels(0), plain(), NETS["dense"]()):
        assert condition(model, make_feeds(model, 0, 0, {}, {})) < 2


@pytest.mark.parametrize("make", [nothing_cancels, terms_cancel])
def test_a_small_fault_is_found_however_much_cancels(make):
    """The largest tap of a filter off by 1e-4 of itself, and the bias of one channel missing."""
    model = make(0)
    assert check(model, shuffled(make(0))).passed
    conv = next(node for node in model.graph if node.op_type == "Conv")
    for value, factor in ((conv.inputs[1], 1 + 1e-4), (conv.inputs[2], 0.0)):
        wrong = make(0)
        array = value.const_value.numpy().copy()
        array.flat[np.abs(array).argmax()] *= factor
        replace(wrong.graph.initializers[value.name], array)
        assert not check(model, wrong).passed, value.name


def test_a_form_that_cancels_where_the_first_does_not_is_found():
    """It is the same function, but not to that precision."""
    net = Net()
    model = net.model(y=net.op("Mul", net.input("x", [64]), net.weight(0.5)))
    net = Net()
    far = net.op("Add", net.op("Mul", net.input("x", [64]), net.weight(0.5)), net.weight(1e5))
    assert not check(model, net.model(y=net.op("Sub", far, net.weight(1e5)))).passed


def test_what_says_a_size_is_not_nudged():
    net = Net()
    x = net.input("x", [1, 2, "H", 8])
    scales = net.op("Mul", net.weight([1.0, 1.0, 2.0, 4.0]), net.weight([1.0, 1.0, 1.0, 0.5]))
    model = net.model(y=net.op("Relu", net.op("Resize", x, None, scales, mode="nearest")))
    feeds = make_feeds(model, 0, 0, {"H": 7}, {})
    with session(model) as run, session(Nudging(model).model) as nudged:
        y, draws = run.run(feeds)["y"], [nudged.run(draw)["y"] for draw in Nudging(model).feeds(feeds)]
    assert {draw.shape for draw in draws} == {y.shape} == {(1, 2, 14, 16)}
    assert all(np.any(draw != y) for draw in draws)
    assert len({draw.tobytes() for draw in draws}) == len(draws), "every draw has signs of its own"


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


# Instance normalisation undoes the scale of a channel before it, and a saturated gate hides what it is handed.
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
    model, other = NETS["gated"](), NETS["gated"]()
    weight = next(node for node in other.graph if node.op_type == "Conv").inputs[1]
    replace(weight, weight.const_value.numpy() * np.float32(1.001))
    report = check(model, other, tolerance=Tolerance(rounding=1e-3))
    assert report.outputs[0].condition > 10
    assert "amplifies rounding" in report.warnings[0]


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
