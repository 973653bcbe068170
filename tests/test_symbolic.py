"""Totals as polynomials: the check values, and polynomials that are known."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from nets import Net
from networks import path_of

from graphc.analysis.symbolic import Polynomial, at_ranges, interpolated, symbolic
from graphc.analysis.training import cost
from graphc.errors import GraphcError
from graphc.spec.doors import expand_text

SQUARE = {"N": "N", "H": "32*h", "W": "32*h"}

MOBILENET_V2 = """
graphc: 1
name: mobilenet_v2
dims: {N: {min: 1, opt: 1, max: 64}, H: {min: 32, opt: 224, max: 512}, W: {min: 32, opt: 224, max: 512}}
inputs: {image: "f32[N, 3, H, W]"}
outputs: [logits]
blocks:
  conv_bn:
    params: {out: null, k: 1, stride: 1, groups: 1}
    do:
      - {conv: {out: =out, k: =k, stride: =stride, groups: =groups, bias: false, norm: batch_norm}}
  bottleneck:
    params: {cin: null, out: null, expand: 6, stride: 1}
    do:
      - {when: =expand != 1, conv_bn: {out: =cin * expand}}
      - {when: =expand != 1, op: relu6}
      - {conv_bn: {out: =cin * expand, k: 3, stride: =stride, groups: =cin * expand}}
      - relu6
      - {conv_bn: =out}
nodes:
  - {conv_bn: {out: 32, k: 3, stride: 2}}
  - relu6
  - {bottleneck: {cin: 32, out: 16, expand: 1}}
  - {bottleneck: {cin: 16, out: 24, stride: 2}}
  - {residual: [{bottleneck: {cin: 24, out: 24}}]}
  - {bottleneck: {cin: 24, out: 32, stride: 2}}
  - {repeat: 2, do: [{residual: [{bottleneck: {cin: 32, out: 32}}]}]}
  - {bottleneck: {cin: 32, out: 64, stride: 2}}
  - {repeat: 3, do: [{residual: [{bottleneck: {cin: 64, out: 64}}]}]}
  - {bottleneck: {cin: 64, out: 96}}
  - {repeat: 2, do: [{residual: [{bottleneck: {cin: 96, out: 96}}]}]}
  - {bottleneck: {cin: 96, out: 160, stride: 2}}
  - {repeat: 2, do: [{residual: [{bottleneck: {cin: 160, out: 160}}]}]}
  - {bottleneck: {cin: 160, out: 320}}
  - {conv_bn: 1280}
  - relu6
  - global_avg_pool
  - flatten
  - {id: logits, dense: 1000}
"""


def test_resnet_18():
    assert str(symbolic(path_of("resnet@r18"), SQUARE)) == "N·(108625920·h² + 1536000)"


def test_mobilenet_v2():
    network = expand_text(MOBILENET_V2)
    assert cost(network).params == 3_504_872
    assert str(symbolic(network, SQUARE)) == "N·(18115200·h² + 3840000)"


def test_height_and_width_apart():
    found = symbolic(path_of("resnet@r18"), {"H": "32*h", "W": "32*w"})
    assert found.terms == {(1, 1): 108_625_920, (0, 0): 1_536_000}


def test_a_formula_gives_what_is_counted_elsewhere():
    found = symbolic(path_of("resnet@r18"), SQUARE)
    report = cost(path_of("resnet@r18"), batch=7, dims={"H": 512, "W": 512})
    assert found(N=7, h=16) == report.totals.total.mac


def test_effective_counts_by_the_closed_form():
    """One 3x3 convolution with pads of 1: a side of n touches 3n − 2 real elements, and the input has no gradient."""
    net = Net()
    y = net.conv(net.input("x", ["N", 3, "H", "W"]), 3, 4)
    dims = {"N": "N", "H": "a", "W": "b"}
    found = symbolic(net.model(y=y), dims, lambda report: report.totals.forward.effective_mac)
    assert all(found(N=n, a=a, b=b) == n * 12 * (3 * a - 2) * (3 * b - 2) for n, a, b in [(1, 1, 1), (2, 9, 40)])


def test_a_floor_that_shows_is_no_polynomial():
    net = Net()
    weight = net.normal(4, 3, 3, 3)
    y = net.op("Conv", net.input("x", [1, 3, "H", 8]), weight, strides=[2, 2], pads=[1] * 4)
    model = net.model(y=y)
    assert symbolic(model, {"H": "h"}) is None
    assert str(symbolic(model, {"H": "2*h"})) == f"{2 * 4 * 27 * 4}·h"


def test_attention_over_a_map_is_of_degree_four():
    net = Net()
    x = net.op("Reshape", net.input("x", [1, 8, "H", "W"]), net.weight(np.array([1, 8, -1])))
    model = net.model(y=net.op("MatMul", net.op("Transpose", x, perm=[0, 2, 1]), x))
    found = symbolic(model, {"H": "s", "W": "s"}, training=False)
    assert found.terms == {(4,): 8}


def test_ranges():
    found = at_ranges(path_of("edsr"))
    dims = {end: {"H": size, "W": size} for end, size in (("min", 16), ("opt", 48))}
    assert all(found[end] == cost(path_of("edsr"), dims=each).totals.total.mac for end, each in dims.items())
    assert found["max"] == cost(path_of("edsr"), dims={"H": 540, "W": 960}).totals.total.mac


@pytest.mark.parametrize("seed", range(10))
def test_random_polynomials_are_found(seed):
    rng = np.random.default_rng(seed)
    names = ("a", "b", "c")[: rng.integers(1, 4)]
    exponents = {tuple(map(int, rng.integers(0, 4, len(names)))) for _ in range(4)}
    terms = {term: Fraction(int(rng.integers(1, 10**12))) for term in exponents}

    def value(point):
        return sum(int(c) * int(np.prod([point[n] ** e for n, e in zip(names, term, strict=True)], dtype=object))
                   for term, c in terms.items())  # fmt: skip

    found = interpolated(value, {name: int(rng.integers(1, 5)) for name in names})
    assert found.terms == terms
    assert found(**dict.fromkeys(names, 11)) == value(dict.fromkeys(names, 11))


@pytest.mark.parametrize("value", [
    lambda p: p["a"] // 2, lambda p: 2 ** p["a"], lambda p: p["a"] % 3, lambda p: p["a"] ** 7,
    lambda p: max(p["a"], p["b"]), lambda p: (p["a"] * p["b"]) // 3,
])  # fmt: skip
def test_what_is_no_polynomial_is_none(value):
    assert interpolated(value, {"a": 1, "b": 1}) is None


@pytest.mark.parametrize(("terms", "text"), [
    ({(1, 2): 3, (1, 0): 5}, "N·(3·h² + 5)"), ({(1, 2): 3}, "3·N·h²"), ({(0, 0): 7}, "7"), ({}, "0"),
    ({(0, 1): 2, (0, 0): -1}, "2·h - 1"), ({(1, 1): 1, (2, 0): 4}, "N·(4·N + 1·h)"),
    ({(0, 12): Fraction(1, 2)}, "1/2·h¹²"),
])  # fmt: skip
def test_how_it_reads(terms, text):
    assert str(Polynomial(("N", "h"), {term: Fraction(value) for term, value in terms.items()})) == text


@pytest.mark.parametrize("dims", [{"H": "h + 1"}, {"H": "h*32"}, {"H": ""}])
def test_other_forms_are_refused(dims):
    with pytest.raises(GraphcError) as caught:
        symbolic(path_of("resnet@r18"), dims)
    assert caught.value.code == "run/usage"


def test_what_is_uncosted_has_no_formula():
    net = Net()
    model = net.model(y=net.op("Relu", net.input("x", ["N", "M"])))
    with pytest.raises(GraphcError) as caught:
        symbolic(model, {"N": "N"})
    assert caught.value.code == "run/not-analysed"
