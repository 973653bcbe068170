"""The equivalence check: what it measures, what it feeds, and that its tolerance tells right from wrong."""

import itertools
import json
import math

import numpy as np
import onnx
import onnx.reference
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from light import load_light
from nets import NETS, Net, plain

from graphc.errors import GraphcError
from graphc.runtime.difference import measure, ulp_distance
from graphc.runtime.equivalence import check
from graphc.runtime.feeds import make_feeds
from graphc.runtime.session import session
from graphc.runtime.sizes import bindings
from graphc.runtime.tolerance import EXACT, Tolerance, derive, heaviest_path, rounding

# ---------------------------------------------------------------- the tolerance


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
    return dict(
        zip(names, runner.run(None, {k: v.astype(np.float64) for k, v in feeds.items()}), strict=True)
    )


@pytest.mark.parametrize("name", NETS)
def test_the_exact_result_is_within_the_tolerance(name):
    """ONNX Runtime in float32 against the same function in float64 by ONNX's reference."""
    model = NETS[name]()
    feeds = make_feeds(model, 0, 0, {}, {})
    report = check(model, model, seeds=1)
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
    assert report.passed, report.text()
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
    report = check(model, model)
    assert report.outputs[0].condition > 10
    wide = check(model, model, tolerance=Tolerance(rounding=1e-3))
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
    assert heaviest_path(model) == (4 * 9 + 6) + 1 + 1


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


# ---------------------------------------------------------------- what is measured


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=8),
    st.integers(0, 50),
)
def test_ulp_distance_counts_steps(values, steps):
    a = np.array(values, np.float32)
    b = a.copy()
    for _ in range(steps):
        b = np.nextafter(b, np.float32(3e38), dtype=np.float32)
    reached = np.max(np.where(a >= np.float32(3e38), 0, steps))
    assert ulp_distance(a, b) <= reached
    assert (ulp_distance(a, b) == reached) or np.any(a > 2.9e38)


def test_ulp_distance_at_zero_and_at_the_ends():
    assert ulp_distance(np.float32([-0.0]), np.float32([0.0])) == 0
    tiny = np.nextafter(np.float16(0), np.float16(1))
    assert ulp_distance(np.array([-tiny]), np.array([tiny])) == 2
    largest = np.finfo(np.float64).max
    assert ulp_distance(np.array([-largest]), np.array([largest])) == 2 * int(largest.view(np.int64))
    assert ulp_distance(np.int32([3, -7]), np.int32([3, 5])) == 12


def test_measures_are_their_definitions():
    random = np.random.default_rng(0)
    a = random.standard_normal((3, 5)).astype(np.float32)
    b = a + np.float32(1e-3) * random.standard_normal((3, 5)).astype(np.float32)
    found = measure("y", a, b, Tolerance(1.0))
    x, y = [float(v) for v in a.flat], [float(v) for v in b.flat]
    errors = [abs(p - q) for p, q in zip(x, y, strict=True)]
    rms = math.sqrt(math.fsum(e * e for e in errors) / 15)
    dot = math.fsum(p * q for p, q in zip(x, y, strict=True))
    norms = math.sqrt(math.fsum(p * p for p in x)) * math.sqrt(math.fsum(q * q for q in y))
    expected = {
        "max_abs": max(errors),
        "mean_abs": math.fsum(errors) / 15,
        "max_rel": max(errors) / max(map(abs, x)),
        "mean_rel": math.fsum(errors) / math.fsum(map(abs, x)),
        "cosine": dot / norms,
        "psnr": 20 * math.log10((max(x) - min(x)) / rms),
        "used": max(errors) / max(map(abs, x)),
    }
    assert {key: getattr(found, key) for key in expected} == pytest.approx(
        expected, rel=15 * np.finfo(float).eps
    )


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        ([1.0, np.nan, np.inf], [1.0, np.nan, np.inf], ""),
        ([1.0, np.nan], [1.0, 2.0], "NaN or inf in one model only at 1 of 2 elements"),
        ([1.0, np.inf], [1.0, -np.inf], "NaN or inf in one model only at 1 of 2 elements"),
        ([1.0, np.inf], [1.0, np.nan], "NaN or inf in one model only at 1 of 2 elements"),
        ([0.0, -0.0], [-0.0, 0.0], ""),
        ([np.nan], [np.nan], ""),
        ([], [], ""),
        ([0.0], [1e-30], "max|a − b| = 1e-30 exceeds 0"),
    ],
)
def test_bit_equality_and_special_values(a, b, reason):
    found = measure("y", np.float32(a), np.float32(b), EXACT)
    assert found.reason.startswith(reason)
    assert found.passed == (reason == "")


def test_extreme_values_overflow_no_measure():
    for scale in (1e-300, 1e300):
        found = measure("y", np.array([1.0, 2.0]) * scale, np.array([1.0, 2.5]) * scale, EXACT)
        assert found.max_rel == pytest.approx(0.25)
        assert found.psnr == pytest.approx(20 * math.log10(1 / math.sqrt(0.125)))
        assert 0.99 < found.cosine < 1


def test_shape_type_and_text_differences_are_reasons():
    a = np.zeros((2, 3), np.float32)
    assert measure("y", a, a.T, EXACT).reason == "float32(2, 3) became float32(3, 2)"
    assert measure("y", a, a.astype(np.float64), EXACT).reason == "float32(2, 3) became float64(2, 3)"
    words = np.array(["a", "b"], object)
    assert measure("y", words, words.copy(), EXACT).passed
    assert measure("y", words, words[::-1], EXACT).reason == "the values differ"


# ---------------------------------------------------------------- the check


def test_integer_outputs_must_be_equal_unless_an_output_is_overridden():
    def rounded(offset):
        net = Net()
        x = net.input("x", [64])
        y = net.op("Cast", net.op("Add", x, net.weight(100.0 + offset)), to=ir.DataType.INT32)
        y.type = ir.TensorType(ir.DataType.INT32)
        return net.model(y=y)

    assert not check(rounded(0), rounded(1)).passed
    assert check(rounded(0), rounded(1), tolerances={"y": Tolerance(absolute=1)}).passed
    assert not check(rounded(0), rounded(1), tolerance=Tolerance(absolute=1)).passed


def scaled(factor, *, name="x", shape=("N", 4), dtype=ir.DataType.FLOAT, out="y"):
    net = Net()
    return net.model(**{out: net.op("Mul", net.input(name, list(shape), dtype), net.weight(factor))})


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (scaled(2.0, name="z"), "input 'x' is missing in b"),
        (scaled(2.0, name="z"), "input 'z' is only in b"),
        (scaled(2.0, out="q"), "output 'y' is missing in b"),
        (scaled(2.0, dtype=ir.DataType.DOUBLE), "input 'x' is FLOAT in a and DOUBLE in b"),
        (scaled(2.0, shape=("N", 5)), "input 'x' has shape [N,4] in a and [N,5] in b"),
        (scaled(2.0, shape=("N", 4, 1)), "input 'x' has shape [N,4] in a and [N,4,1] in b"),
    ],
)
def test_different_interfaces_are_named(other, says):
    with pytest.raises(GraphcError) as caught:
        check(scaled(2.0), other)
    assert caught.value.code == "run/interface-differs"
    assert says in caught.value.message


def test_a_symbolic_size_agrees_with_any_number():
    assert check(scaled(2.0), scaled(2.0, shape=(2, 4))).passed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"dims": {"M": 3}}, "no dimension M"),
        ({"dims": {"N": 0}}, "at least 1"),
        ({"inputs": {"w": np.zeros(3)}}, "no input 'w'"),
        ({"tolerances": {"z": EXACT}}, "no output 'z'"),
        ({"seeds": 0}, "at least one seed"),
    ],
)
def test_wrong_usage_is_said(arguments, says):
    with pytest.raises(GraphcError) as caught:
        check(scaled(2.0), scaled(2.0), **arguments)
    assert (caught.value.code, says in caught.value.message) == ("run/usage", True)


def test_given_inputs_are_used_and_run_once():
    report = check(scaled(2.0), scaled(3.0), inputs={"x": np.zeros((1, 4), np.float32)})
    assert report.passed
    assert report.feeds == ("given",)
    assert report.warnings == ("output 'y' is the same number everywhere: the check is weak",)
    assert not check(scaled(2.0), scaled(3.0)).passed


def test_folding_an_overridable_initializer_is_found():
    def offset(overridable):
        net = Net()
        x, w = net.input("x", [4]), net.weight(np.full(4, 0.5))
        if overridable:
            net.inputs.append(w)
        return net.model(y=net.op("Mul", x, net.op("Sqrt", w)))

    def folded():
        net = Net()
        x, w = net.input("x", [4]), net.weight(np.full(4, 0.5))
        net.inputs.append(w)
        return net.model(y=net.op("Mul", x, net.weight(np.full(4, np.sqrt(0.5)))))

    assert check(offset(True), offset(True)).feeds[-1] == "initializers overridden"
    assert not check(offset(True), folded()).passed
    assert check(offset(True), offset(False)).passed, "a frozen model takes no override"


def test_an_unlucky_constant_is_not_amplified_by_an_exact_check():
    report = check(plain(), plain(), tolerance=EXACT)
    assert report.passed
    assert (report.worst.max_abs, report.worst.max_ulp, report.worst.cosine, report.worst.psnr) == (
        0,
        0,
        1,
        math.inf,
    )


def test_report_as_text_and_json():
    net = Net()
    x = net.input("x", ["N", 3])
    model = net.model(y=net.op("Relu", x), z=net.op("Sqrt", net.op("Neg", net.op("Abs", x))))
    wrong = Net()
    x = wrong.input("x", ["N", 3])
    other = wrong.model(y=wrong.op("Abs", x), z=wrong.op("Sqrt", wrong.op("Neg", wrong.op("Abs", x))))
    report = check(model, other)
    assert not report.passed
    assert report.worst.name == "y"
    lines = report.text().splitlines()
    assert lines[0].split()[:2] == ["output", "max"]
    assert "FAILED" in lines[1]
    assert " ok" in lines[2]
    assert any(line.startswith("y: max|a − b|") for line in lines)
    assert any("'z' is never finite" in line for line in lines)
    loaded = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert (loaded["passed"], loaded["dims"], loaded["provider"]) == (False, {"N": 2}, "cpu")
    assert [output["passed"] for output in loaded["outputs"]] == [False, True]
    assert loaded["outputs"][0]["tolerance"]["relative"] == 0


# ---------------------------------------------------------------- what is fed


def test_sizes_come_from_the_caller_then_metadata_then_defaults():
    net = Net()
    x = net.input("x", ["N", 3, "H", "2*W"])
    model = net.model(y=net.op("Relu", x))
    model.metadata_props["graphc.dims"] = '{"H": {"min": 30, "opt": 64, "multiple_of": 8}, "W": 5}'
    sizes = bindings(model, {"W": 7})
    assert sizes == {"N": 2, "H": 32, "W": 7}
    assert make_feeds(model, 0, 0, sizes, {})["x"].shape == (2, 3, 32, 14)


@pytest.mark.parametrize("text", ["[", "[1]", '{"H": []}', '{"H": {"min": "x"}}', '{"H": null}', "[" * 9999])
def test_broken_dims_metadata_is_an_error(text):
    model = scaled(2.0)
    model.metadata_props["graphc.dims"] = text
    with pytest.raises(GraphcError, match=r"no mapping of names to sizes"):
        check(model, model)


def test_a_model_cannot_ask_for_endless_memory():
    model = scaled(2.0)
    model.metadata_props["graphc.dims"] = '{"N": 1000000000000}'
    with pytest.raises(GraphcError, match="too large to make up"):
        check(model, model)


@pytest.mark.parametrize("kind", ["float", "sequence", "string", "unranked"])
def test_what_cannot_be_made_up_must_be_given(kind):
    net = Net()
    x = net.input("x", [2])
    if kind == "sequence":
        x.type = ir.SequenceType(ir.TensorType(ir.DataType.FLOAT))
    if kind == "string":
        x.type = ir.TensorType(ir.DataType.STRING)
    if kind == "unranked":
        x.shape = None
    model = net.model(y=net.op("Identity", x))
    if kind == "float":
        assert make_feeds(model, 0, 0, {}, {})["x"].shape == (2,)
        return
    with pytest.raises(GraphcError) as caught:
        make_feeds(model, 0, 0, {}, {})
    assert caught.value.code == "run/not-analysed"


def indexed(op_type: str) -> ir.Model:
    """A model whose integer input `i` is used in one of the ways that bound it to 0..6."""
    net = Net()
    i = net.input("i", [5], ir.DataType.INT64)
    table, axes = net.normal(7, 2), net.weight(np.array([1]))
    if op_type == "moved":
        moved = net.op("Concat", net.op("Unsqueeze", i, axes), net.weight(np.zeros((5, 1), np.int64)), axis=1)
        return net.model(y=net.op("Gather", table, moved))
    if op_type == "GatherElements":
        return net.model(y=net.op("GatherElements", table, net.op("Unsqueeze", i, axes)))
    if op_type == "GatherND":
        return net.model(y=net.op("GatherND", table, net.op("Unsqueeze", i, axes)))
    if op_type == "twice":
        return net.model(y=net.op("Gather", net.normal(90), i), z=net.op("Gather", table, i))
    if op_type == "OneHot":
        return net.model(y=net.op("OneHot", i, net.weight(np.array(7)), net.weight(np.array([0.0, 1.0]))))
    return net.model(y=net.op("SoftmaxCrossEntropyLoss", net.normal(5, 7), i))


@pytest.mark.parametrize("use", ["moved", "GatherElements", "GatherND", "twice", "OneHot", "loss"])
def test_integer_inputs_stay_inside_what_they_index(use):
    model = indexed(use)
    if use == "GatherND":  # a tuple of one index: the bound is the smaller axis, which is safe
        model.graph.node(1).inputs[0].const_value = ir.tensor(np.zeros((7, 7), np.float32))
        model.graph.node(1).inputs[0].shape = ir.Shape((7, 7))
    drawn = np.concatenate([make_feeds(model, seed, 0, {}, {})["i"] for seed in range(40)])
    assert set(drawn) == set(range(7))
    assert check(model, model).passed


def test_bounds_of_recurrent_lengths_labels_and_bytes():
    net = Net()
    x, lengths = net.input("x", ["T", 2, 3]), net.input("n", [2], ir.DataType.INT32)
    hidden = net.op("GRU", x, net.normal(1, 12, 3), net.normal(1, 12, 4), None, lengths, hidden_size=4)
    model = net.model(y=hidden)
    drawn = {int(v) for seed in range(40) for v in make_feeds(model, seed, 0, {"T": 5}, {})["n"]}
    assert drawn == {1, 2, 3, 4, 5}
    assert check(model, model, dims={"T": 5}).passed
    image = Net()
    pixels = image.input("x", [4000], ir.DataType.UINT8)
    drawn = make_feeds(image.model(y=image.op("Identity", pixels)), 0, 0, {}, {})["x"]
    assert (drawn.dtype, drawn.min(), drawn.max()) == (np.uint8, 0, 255)


def test_seeds_differ_and_repeat():
    model = plain()
    first, again, other = (
        make_feeds(model, seed, index, {}, {})["x"] for seed, index in ((0, 0), (0, 0), (1, 0))
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    spread = [make_feeds(model, 0, index, {}, {})["x"] for index in range(3)]
    assert spread[0].min() < 0 <= spread[1].min() < spread[1].max() <= 1 < spread[2].std()
    assert all(not np.array_equal(x, y) for x, y in itertools.combinations(spread, 2))


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", "densenet121"])
def test_ir3_networks_check_with_their_initializers_overridden_too(name):
    report = check(load_light(name), load_light(name, freeze_inputs=True))
    assert report.passed
    report = check(load_light(name), load_light(name), seeds=1)
    assert report.passed
    assert report.feeds == ("0: normal", "initializers overridden")
    assert not check(load_light(name), load_light(name, seed=1), seeds=1).passed
