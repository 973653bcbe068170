"""The equivalence check: what it measures, refuses and reports."""

import json
import math

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from light import load_light
from nets import Net, plain

from graphc.errors import GraphcError
from graphc.report.check import page
from graphc.report.table import columns
from graphc.runtime.difference import measure, measure_steps, ulp_distance
from graphc.runtime.equivalence import Report, check
from graphc.runtime.tolerance import EXACT, Tolerance, rounding

# ---------------------------------------------------------------- what is measured


@given(st.lists(st.floats(-(2.0**126), 2.0**126, width=32), min_size=1, max_size=8), st.integers(0, 50))
def test_ulp_distance_counts_steps(values, steps):
    a = np.array(values, np.float32)
    b = a.copy()
    for _ in range(steps):
        b = np.nextafter(b, np.float32(np.inf), dtype=np.float32)
    assert ulp_distance(a, b) == steps


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
    assert {key: getattr(found, key) for key in expected} == pytest.approx(expected, rel=15 * np.finfo(float).eps)


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
    lines = page(report).text.splitlines()
    assert lines[0] == "the models differ"
    head = next(index for index, line in enumerate(lines) if line.split()[:3] == ["output", "max", "error"])
    assert lines[head + 1].endswith("FAILED")
    assert "FAILED" not in lines[head + 2]
    assert any(line.startswith("y: max|a − b|") for line in lines)
    assert any("'z' is never finite" in line for line in lines)
    assert page(report).value == report.as_json()
    loaded = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert (loaded["passed"], loaded["dims"], loaded["provider"]) == (False, {"N": 2}, "cpu")
    assert [output["passed"] for output in loaded["outputs"]] == [False, True]
    assert loaded["outputs"][0]["tolerance"]["relative"] == 0


def test_the_page_lines_up_whatever_outputs_are_called_and_shows_no_measure_of_what_was_not_measured():
    assert page(check(plain(), plain(), seeds=1)).text.startswith("the models agree\n")
    numbers = np.arange(3, dtype=np.float32)
    outputs = (
        measure("名前", numbers, numbers + np.float32(0.5), Tolerance(1.0)),
        measure("plain", numbers, numbers[:2], Tolerance(1.0)),
    )
    report = Report(outputs, ("given",), {}, "cpu")
    lines = [line for line in page(report).text.splitlines() if line.startswith("  ")]
    head, wide, failed = lines
    assert columns(head[: head.index("max error") + len("max error")]) == columns(wide[: wide.index("5.00e-01") + 8])
    assert failed.split() == ["plain", "FAILED"]


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", "densenet121"])
def test_ir3_networks_check_with_their_initializers_overridden_too(name):
    report = check(load_light(name), load_light(name, freeze_inputs=True))
    assert report.passed
    report = check(load_light(name), load_light(name), seeds=1)
    assert report.passed
    assert report.feeds == ("0: normal", "initializers overridden")
    assert not check(load_light(name), load_light(name, seed=1), seeds=1).passed


def test_a_model_equals_itself_where_everything_is_zero() -> None:
    model = ir.from_onnx_text("""
        <ir_version: 10, opset_import: ["": 20]>
        agraph (float[4] x) => (float[4] y) <float one = {1}> { s = Sub(x, one) y = Relu(s) }
    """)
    assert check(model, model.clone(), inputs={"x": np.ones(4, np.float32)}).passed


def image_network(scale: float) -> ir.Model:
    return ir.from_onnx_text(f"""
        <ir_version: 10, opset_import: ["": 20]>
        agraph (float[1,3,64,64] x) => (uint8[1,1,64,64] y)
        <float[1,3,1,1] w = {{0.21, 0.72, 0.07}}, float k = {{{scale}}}, float low = {{0}}, float high = {{255}}> {{
            c = Conv(x, w) s = Mul(c, k) h = Clip(s, low, high) r = Round(h) y = Cast <to = 2> (r)
        }}
    """)


def test_integers_that_floats_lead_to_may_tip_over_but_not_often() -> None:
    tolerance = rounding(image_network(255))
    assert check(image_network(255), image_network(255 * (1 + 2**-22)), tolerance=tolerance).passed
    assert not check(image_network(255), image_network(255.5), tolerance=tolerance).passed


def test_how_many_integers_rounding_explains() -> None:
    """A change of 1e-3 moves 100 by 1, so rounding of 1e-5 moves 1 on average, 7 at the most."""
    a, moved = np.zeros(1000, np.int64), np.zeros(1000, np.int64)
    moved[:100] = 1
    rounds = Tolerance(rounding=1e-5)

    def passed(count: int, step: int, tolerance: Tolerance = rounds, moved: np.ndarray = moved) -> bool:
        b = a.copy()
        b[:count] = step
        return measure_steps("y", a, b, moved, 1e-3, tolerance).passed

    assert passed(7, 1)
    assert not passed(8, 1)
    assert not passed(1, 2)
    assert not passed(1, 1, EXACT)
    assert not passed(1, 1, moved=a)


def test_outputs_in_another_order_are_another_interface() -> None:
    def model(first: str, second: str) -> ir.Model:
        return ir.from_onnx_text(f"""
            <ir_version: 10, opset_import: ["": 20]>
            agraph (float[4] x) => (float[4] {first}, float[4] {second}) {{ a = Neg(x) b = Relu(x) }}
        """)

    with pytest.raises(GraphcError, match="the outputs stand in another order"):
        check(model("a", "b"), model("b", "a"))


def test_a_sequence_is_not_analysed() -> None:
    model = ir.from_onnx_text("""
        <ir_version: 10, opset_import: ["": 20]>
        agraph (float[4] x) => (seq(float[4]) y) { y = SequenceConstruct(x) }
    """)
    with pytest.raises(GraphcError, match="is no tensor") as error:
        check(model, model.clone())
    assert error.value.code == "run/not-analysed"


def test_one_object_is_not_compared_with_itself() -> None:
    model = image_network(255)
    with pytest.raises(GraphcError, match="a and b are one object"):
        check(model, model)


def test_a_scalar_input_is_fed_as_an_array() -> None:
    model = ir.from_onnx_text("""
        <ir_version: 10, opset_import: ["": 20]>
        agraph (float[8] x, float s, int64 i, bool c) => (float[8] y, int64 j) { y = Mul(x, s) j = Where(c, i, i) }
    """)
    assert check(model, model.clone()).passed


def test_a_model_that_is_random_says_so() -> None:
    model = ir.from_onnx_text("""
        <ir_version: 10, opset_import: ["": 20]>
        agraph (float[64] x) => (float[64] y) <float r = {0.5}, bool t = {1}> { y = Dropout(x, r, t) }
    """)
    with pytest.raises(GraphcError, match="another one each time") as error:
        check(model, model.clone())
    assert error.value.code == "run/not-analysed"


def test_a_model_that_does_not_run_is_told_from_one_that_differs() -> None:
    model = ir.from_onnx_text("""
        <ir_version: 10, opset_import: ["": 20]>
        agraph (float[4] x, int64[1] i) => (float[1] y) <int64 far = {100}> { k = Add(i, far) y = Gather(x, k) }
    """)
    with pytest.raises(GraphcError, match="the first model does not run") as error:
        check(model, model.clone())
    assert "verify" in error.value.hint


def test_a_model_that_does_not_run_with_nudges_is_compared_without_a_condition() -> None:
    """It states another shape than it computes, which ONNX Runtime takes, but no Mul with signs of that shape."""

    def model(factor: float) -> ir.Model:
        net = Net()
        y = net.op("Mul", net.input("x", [1, "N"]), net.weight(factor))
        y.type, y.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape([1, "M"])
        return net.model(z=net.op("Add", y, net.op("ReduceSum", net.input("m", ["M"]), keepdims=0)))

    report = check(model(1.0), model(1.001), dims={"N": 4, "M": 3})
    assert not report.passed
    assert report.outputs[0].condition == 1.0
