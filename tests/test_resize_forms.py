"""Every Resize of ONNX's own backend tests as matrix products, and random ones in every form, against the reference."""

from __future__ import annotations

import warnings
from collections import Counter
from functools import cache
from random import Random

import numpy as np
import onnx_ir as ir
import pytest
from graphc_passes.nodes.resampling import Resampling
from graphc_passes.sampling.resizes import draw_resize, resize
from onnx.backend.test.case.node import collect_testcases

import graphc
from graphc.analysis.binding import bind
from graphc.pipeline import find_rewrite
from graphc.runtime.reference import evaluate
from graphc.runtime.session import session

NODE_CASES = 39  # of Resize, in onnx 1.23
WRONG_ON_ONNX_RUNTIME = {f"test_resize_downsample_scales_{mode}_align_corners" for mode in ("cubic", "linear")}
DRAWN = 2000

# forms beside the product, and how many node cases have them
FORMS = {
    "replace-resize-with-depthwise-conv": 20,
    "replace-resize-with-conv-transpose": 9,
    "replace-downsampling-resize-with-slice": 2,
}


@cache
def cases():
    """(name, model with everything but the data constant, data, expected) of every case of one Resize."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [case for case in collect_testcases("Resize") if case.name.startswith("test_resize_")]
    return [(case.name, *constant_but_data(case)) for case in found]


def constant_but_data(case):
    inputs, outputs = case.data_sets[0]
    model = ir.from_proto(case.model)
    for value, array in list(zip(model.graph.inputs, inputs, strict=True))[1:]:
        value.const_value = ir.tensor(np.asarray(array), name=value.name)
        model.graph.inputs.remove(value)
        model.graph.initializers.add(value)
    return bind(model), inputs[0], outputs[0]


def rewritten(model, name):
    run = find_rewrite(name)()
    return run(model.clone()).model, run


def run_on_onnx_runtime(model, data):
    with session(model) as opened:
        (found,) = opened.run({model.graph.inputs[0].name: data}).values()
    return found


def test_there_are_node_cases():
    assert len(cases()) == NODE_CASES
    assert {name for name, *_ in cases()} > WRONG_ON_ONNX_RUNTIME


@pytest.mark.parametrize("index", range(NODE_CASES))
def test_node_case_as_products(index):
    """None is skipped, those included that ONNX Runtime fails in its own form."""
    name, model, data, expected = cases()[index]
    after, run = rewritten(model, "replace-resize-with-matmul")
    assert run.fired, (name, run.refused)
    assert {node.op_type for node in after.graph} <= {"MatMul", "Add"}
    found = run_on_onnx_runtime(after, data)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max(), err_msg=name)
    (found,) = evaluate(widened(after), {model.graph.inputs[0].name: data.astype(np.float64)}).values()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max(), err_msg=name)


def widened(model):
    return graphc.laws.as_type(model, ir.DataType.DOUBLE)


@pytest.mark.parametrize("name", sorted(WRONG_ON_ONNX_RUNTIME))
def test_onnx_runtime_fails_these_node_cases_in_their_own_form(name):
    _, model, data, expected = next(case for case in cases() if case[0] == name)
    assert not np.allclose(run_on_onnx_runtime(model, data), expected, atol=1e-3)


@pytest.mark.parametrize("form", FORMS)
def test_node_cases_in_other_forms(form):
    fired = 0
    for name, model, data, expected in cases():
        after, run = rewritten(model, form)
        if not run.fired:
            continue
        fired += 1
        assert "Resize" not in {node.op_type for node in after.graph}
        found = run_on_onnx_runtime(after, data)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max(), err_msg=name)
    assert fired == FORMS[form]


# ---------------------------------------------------------------- random ones


PERIODIC = {"transforms": ("half_pixel", "asymmetric", "pytorch_half_pixel"), "spatial": True, "size": 5}


@cache
def drawn(periodic=False):
    """(description, model in float64, data, what the reference computes) of random ones that the product takes."""
    made = []
    for seed in range(4 * DRAWN):
        if len(made) == DRAWN:
            return made
        description = draw_resize(Random(seed), **(PERIODIC if periodic else {}))
        if not all(isinstance(size, int) for size in description.data):
            continue
        model = graphc.Case("drawn", description.of, dtype=ir.DataType.DOUBLE).model()
        data = np.random.default_rng(seed).standard_normal(description.data)
        if not refused(model):
            (expected,) = evaluate(model, {"x0": data}).values()
            made.append((str(description), model, data, expected))
    raise AssertionError("most are refused")


def refused(model):
    try:
        resampling = Resampling.read(graphc.View(model.graph[0], 20))
        for axis in resampling.axes:
            resampling.matrix(axis)
    except graphc.Refusal as refusal:
        return refusal.reason
    return ""


def test_matrices_are_the_interpolation():
    """The matrices alone, in float64: no rounding to hide behind."""
    seen = Counter()
    for name, model, data, expected in drawn():
        resampling = Resampling.read(graphc.View(model.graph[0], 20))
        found, outside = data, np.zeros([1] * data.ndim, bool)
        for axis in resampling.axes:
            matrix, mask = resampling.matrix(axis)
            found = np.moveaxis(np.tensordot(matrix, found, axes=(1, axis.index)), 0, axis.index)
            outside = outside | np.expand_dims(mask, [other for other in range(data.ndim) if other != axis.index])
        found = np.where(outside, resampling.rule.extrapolation, found)
        assert found.shape == expected.shape, name
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9, err_msg=name)
        seen[resampling.rule.mode, resampling.rule.transform] += 1
    assert len(seen) == 3 * 6
    assert min(seen.values()) > 20


@pytest.mark.parametrize("form", ["replace-resize-with-matmul", *FORMS])
def test_random_ones_in_every_form(form):
    """The rewritten graph, by the reference in float64."""
    fired = 0
    for name, model, data, expected in drawn(periodic=form in FORMS):
        after, run = rewritten(model, form)
        if not run.fired:
            continue
        fired += 1
        (found,) = evaluate(after, {"x0": data}).values()
        assert found.shape == expected.shape, name
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * max(1, np.abs(expected).max()), err_msg=name)
    print(f"{form}: {fired} of {DRAWN}")
    assert fired >= (300 if form in FORMS else DRAWN)


# ---------------------------------------------------------------- corners


@pytest.mark.parametrize("scale", [0.6, 2.3, 0.4])
def test_symmetric_half_pixel_of_a_length_that_is_not_whole(scale):
    """By the words of the standard: the middle of the input lands on the middle of the output."""
    case = graphc.Case(
        "symmetric",
        lambda g: resize(
            g, g.input(1, 1, 6), [1, 1, scale], mode="linear", coordinate_transformation_mode="half_pixel_symmetric"
        ),
    )
    resampling = Resampling.read(graphc.View(case.model().graph[0], 20))
    matrix, _ = resampling.matrix(resampling.axes[0])
    np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-6)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)


@pytest.mark.parametrize("transform", ["tf_half_pixel_for_nn", "asymmetric"])
def test_opset_11_as_onnx_runtime_has_it(transform):
    """`tf_half_pixel_for_nn` is one that only opset 11 has, and the reference does not know."""
    case = graphc.Case(
        "opset 11",
        lambda g: resize(
            g, g.input(1, 2, 5, 6), [1, 1, 2, 0.5], roi=[], mode="linear", coordinate_transformation_mode=transform
        ),
        opset=11,
    )
    check_on_onnx_runtime(case, "replace-resize-with-matmul", "replace-resize-with-depthwise-conv")


def test_opset_10_repeats():
    case = graphc.Case("opset 10", lambda g: resize(g, g.input(1, 2, 3, 4), [1, 1, 2, 3]), opset=10)
    check_on_onnx_runtime(
        case,
        "replace-resize-with-matmul",
        "replace-resize-with-depthwise-conv",
        "replace-resize-with-conv-transpose",
    )


def check_on_onnx_runtime(case, *forms):
    data = np.random.default_rng(0).standard_normal(case.model().graph.inputs[0].shape.numpy()).astype(np.float32)
    expected = run_on_onnx_runtime(case.model(), data)
    for form in forms:
        after, run = rewritten(case.model(), form)
        assert run.fired, run.refused
        np.testing.assert_allclose(run_on_onnx_runtime(after, data), expected, rtol=1e-5, atol=1e-5)


def test_a_product_that_fills_ever_larger_axes_is_left_to_others():
    """Forms meet in a pipeline: short axes as products, longer ones as a convolution."""
    text = "replace-resize-with-matmul{only=cubic,largest=8},replace-resize-with-depthwise-conv{only=cubic}"
    for length, wanted in ((8, "MatMul"), (9, "Conv")):
        case = graphc.Case("cubic", lambda g, n=length: resize(g, g.input(1, 2, n, n), [1, 1, 2, 2], mode="cubic"))
        after = graphc.Pipeline(text)(case.model()).model
        assert wanted in {node.op_type for node in after.graph}
