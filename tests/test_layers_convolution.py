"""Convolutions and poolings against naive loops, over random attributes in one to three dimensions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layer_oracle import EXACT, Built, build, close, convolve, convolve_transposed, pooled, sample

from graphc.errors import GraphcError

NUMPY_MODE = {"zero": "constant", "reflect": "reflect", "edge": "edge"}


def per_axis(draw: st.DrawFn, rank: int, low: int, high: int) -> list[int]:
    return [draw(st.integers(low, high)) for _ in range(rank)]


@st.composite
def windows(draw: st.DrawFn) -> dict[str, Any]:
    rank = draw(st.integers(1, 3))
    high = 9 - 2 * rank
    window = {
        "size": per_axis(draw, rank, 1, high),
        "kernel": per_axis(draw, rank, 1, 3),
        "stride": per_axis(draw, rank, 1, 3),
        "dilation": per_axis(draw, rank, 1, 2),
        "begin": per_axis(draw, rank, 0, 2),
        "end": per_axis(draw, rank, 0, 2),
    }
    padded = np.add(window["size"], np.add(window["begin"], window["end"]))
    assume((padded > np.multiply(window["dilation"], np.subtract(window["kernel"], 1))).all())
    return window


def check_sum(built: Built, definition: Callable[..., np.ndarray], x: np.ndarray) -> None:
    """The layer computes the sum of products that `definition` says.

    What rounding does to it is relative to the sum of their magnitudes, however much of that cancels.
    """
    operands = [x, *(built.weights[name] for name in ("weight", "bias") if name in built.weights)]
    expected, magnitude = definition(*operands), definition(*map(np.abs, operands))
    close(built.run(x)[""], expected, built.tolerance, scale=float(magnitude.max()))
    assert built.outputs[""].shape == expected.shape


@settings(max_examples=150, deadline=None)
@given(
    window=windows(),
    groups=st.integers(1, 2),
    inputs=st.integers(1, 2),
    outputs=st.integers(1, 2),
    mode=st.sampled_from(list(NUMPY_MODE)),
    bias=st.booleans(),
)
def test_conv_is_its_definition(
    window: dict[str, Any], groups: int, inputs: int, outputs: int, mode: str, bias: bool
) -> None:
    if mode == "reflect":
        assume((np.maximum(window["begin"], window["end"]) < window["size"]).all())
    x = sample(2, groups * inputs, *window["size"])
    layer = {
        "out": groups * outputs,
        "k": window["kernel"],
        "s": window["stride"],
        "d": window["dilation"],
        "g": groups,
        "pad": window["begin"] + window["end"],
        "pad_mode": mode,
        "bias": bias,
    }
    built = build({"conv": layer}, x)
    shared = {key: window[key] for key in ("stride", "dilation", "begin", "end")}
    check_sum(built, partial(convolve, **shared, groups=groups, mode=NUMPY_MODE[mode]), x)


@settings(max_examples=150, deadline=None)
@given(
    window=windows(),
    groups=st.integers(1, 2),
    inputs=st.integers(1, 2),
    outputs=st.integers(1, 2),
    bias=st.booleans(),
    data=st.data(),
)
def test_conv_transpose_is_its_definition(
    window: dict[str, Any], groups: int, inputs: int, outputs: int, bias: bool, data: st.DataObject
) -> None:
    extra = [data.draw(st.integers(0, stride - 1)) for stride in window["stride"]]
    reach = np.multiply(window["dilation"], np.subtract(window["kernel"], 1)) + 1
    full = np.multiply(window["stride"], np.subtract(window["size"], 1)) + reach + extra
    assume((full > np.add(window["begin"], window["end"])).all())
    x = sample(2, groups * inputs, *window["size"])
    layer = {
        "out": groups * outputs,
        "kernel": window["kernel"],
        "stride": window["stride"],
        "dilation": window["dilation"],
        "groups": groups,
        "pad": window["begin"] + window["end"],
        "output_padding": extra,
        "bias": bias,
    }
    built = build({"conv_transpose": layer}, x)
    shared = {key: window[key] for key in ("stride", "dilation", "begin", "end")}
    check_sum(built, partial(convolve_transposed, **shared, extra=extra, groups=groups), x)


@settings(max_examples=150, deadline=None)
@given(
    window=windows(),
    kind=st.sampled_from(["max", "avg"]),
    ceil=st.booleans(),
    count_padding=st.booleans(),
)
def test_pool_is_its_definition(window: dict[str, Any], kind: str, ceil: bool, count_padding: bool) -> None:
    assume((np.maximum(window["begin"], window["end"]) < window["kernel"]).all())
    assume((np.asarray(window["dilation"]) <= window["size"]).all())
    reach = np.multiply(window["dilation"], np.subtract(window["kernel"], 1)) + 1
    reached = np.add(window["size"], window["begin"])
    steps = -(-(reached + window["end"] - reach) // window["stride"])
    assume(not ceil or (steps * window["stride"] < reached).all())
    x = sample(2, 2, *window["size"])
    layer = {key: window[key] for key in ("kernel", "stride", "dilation")}
    layer |= {"pad": window["begin"] + window["end"], "ceil_mode": ceil}
    if kind == "avg":
        layer["count_include_pad"] = count_padding
    built = build({f"{kind}_pool": layer}, x)
    del window["size"]
    definition = partial(pooled, kind=kind, **window, ceil=ceil, count_padding=count_padding)
    if kind == "max":
        close(built.run(x)[""], definition(x), EXACT)
    else:
        check_sum(built, definition, x)


@pytest.mark.parametrize("kernel", [3, 4, 5, 9])
@pytest.mark.parametrize(("stride", "extra"), [(1, 0), (2, 0), (2, 1), (3, 0), (3, 2)])
def test_conv_transpose_gives_stride_times_its_input(kernel: int, stride: int, extra: int) -> None:
    layer = {"out": 2, "kernel": kernel, "stride": stride, "output_padding": extra}
    built = build({"conv_transpose": layer}, sample(1, 2, 5, 6))
    assert built.outputs[""].shape == (1, 2, 5 * stride, 6 * stride)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (3, 4), (5, 2), (2, 2)])
def test_same_padding_gives_the_input_over_stride_rounded_up(kernel: int, dilation: int, stride: int) -> None:
    built = build({"conv": {"out": 2, "k": kernel, "s": stride, "d": dilation}}, sample(1, 2, 7, 10))
    assert built.outputs[""].shape == (1, 2, -(-7 // stride), -(-10 // stride))
    assert "auto_pad" not in str(built.proto)


@pytest.mark.parametrize("layer", [{"dw": 6}, {"dw": {"multiplier": 2}}, {"dw": {"out": 6, "multiplier": 2}}])
def test_depthwise_reads_one_channel_per_output(layer: dict[str, Any]) -> None:
    x = sample(2, 3, 5, 5)
    built = build(layer, x)
    weights = built.weights
    for channel in range(6):
        alone = slice(channel // 2, channel // 2 + 1)
        kernel, bias = weights["weight"][channel : channel + 1], weights["bias"][channel : channel + 1]
        expected = convolve(x[:, alone], kernel, bias, stride=(1, 1), dilation=(1, 1), begin=(1, 1), end=(1, 1))
        close(built.run(x)[""][:, channel : channel + 1], expected, built.tolerance)


def test_weight_normalisation_has_kernels_of_length_g() -> None:
    x = sample(2, 3, 6, 5)
    for opset in (17, 21):
        built = build({"conv": {"out": 4, "weight_norm": True, "bias": False}}, x, opset=opset)
        v, gain = built.weights["weight_v"].astype(np.float64), built.weights["weight_g"]
        weight = np.stack([length * kernel / np.linalg.norm(kernel) for length, kernel in zip(gain, v, strict=True)])
        expected = convolve(x, weight, stride=(1, 1), dilation=(1, 1), begin=(1, 1), end=(1, 1))
        close(built.run(x)[""], expected, built.tolerance)
        assert gain.shape == (4, 1, 1, 1)


def test_norm_and_act_lie_below_the_convolution() -> None:
    x = sample(1, 2, 4, 4)
    layer = {"out": 3, "pad_mode": "reflect", "norm": "batch_norm", "act": {"leaky_relu": 0.2}}
    built = build({"conv": layer}, x)
    assert [(node.op_type, node.name) for node in built.proto.graph.node] == [
        ("Pad", "layer/pad"),
        ("Conv", "layer"),
        ("BatchNormalization", "layer/norm"),
        ("LeakyRelu", "layer/act"),
    ]
    assert "norm/scale" in built.weights


def test_fans_are_the_products_per_output_and_per_input() -> None:
    parameters = build({"conv": {"out": 6, "k": [3, 5], "g": 2}}, sample(1, 4, 8, 8)).emitter.parameters
    assert (parameters["layer/weight"].fan_in, parameters["layer/weight"].fan_out) == (2 * 15, 3 * 15)
    parameters = build({"conv_transpose": {"out": 6, "k": 4, "s": 2}}, sample(1, 8, 8, 8)).emitter.parameters
    assert (parameters["layer/weight"].fan_in, parameters["layer/weight"].fan_out) == (8 * 4, 6 * 16)


def test_a_symbolic_image_keeps_its_names() -> None:
    points = [{"H": h, "W": w} for h, w in ((8, 8), (12, 20), (10, 14))]
    image = np.dtype(np.float32), [(1, 3, point["H"], point["W"]) for point in points]
    y = build({"conv": 4}, image, points=points).outputs[""]
    assert str(y.shape) == "[1,4,H,W]"
    with pytest.raises(GraphcError, match="does not fit"):
        build({"conv": {"out": 4, "k": 9, "pad": 0}}, image, points=points)
