"""Fuse two convolutions with nothing between them into one.

Law    conv(conv(x, w1, b1), w2, b2) = conv(x, w) + conv(b1, w2, b2)      w[o, c, step1·t1 + stride1·step2·t2] sums
       w2[o, m, t2]·w1[m, c, t1]: strides multiply, pads are pad1 + stride1·pad2, groups are what both have in common.
       The second must not read padding where the first would make anything of the zeros around its data (a 1×1 makes
       none); a bias b1 that its padding does not have makes a constant that differs at the border.
Why    One activation less; and where the layer between is as wide as what comes out, or the second strides, fewer
       multiplications: 1×1 then k×k and k×k then 1×1 of re-parameterised blocks (Ding et al., Diverse Branch Block,
       CVPR 2021), a convolution and the blur or shift that follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Tape, View, require, rewrite
from graphc_passes.nodes.filters import ConstantConv, survives
from graphc_passes.nodes.stencils import Stencil
from graphc_passes.sampling.convolutions import DIMS


@rewrite("Conv", numerics="reassociates", improves=("macs",))
def fuse_consecutive_convs(root: View, op: Tape, *, largest_shift: int = 1 << 20) -> ir.Value:
    before = root.producer("X", "Conv")
    first, second = Stencil.read(before), Stencil.read(root)
    require(first.vanishes_around(second), "the second pads with zeros where the first would not make zeros")
    require(
        first.work_saved_by(second) > 0,
        "one convolution would do as many multiply-adds or more",
        conservative="it would be slower",
    )
    merged, bias = first.read_by(second), None
    if first.bias.any() and second.meets_padding:
        bias = _border(ConstantConv.read(root), first.bias, largest_shift)
    weights = root.required("W")
    require(
        survives(merged.filter, merged.bias if bias is None else bias, weights),
        "the merged weights would overflow or underflow",
    )
    return merged.made(op, before.required("X"), weights, bias)


def _border(conv: ConstantConv, level: np.ndarray, largest_shift: int) -> np.ndarray:
    require(conv.axes is not None, "the padding has no bias: its border would differ, and the sizes are not known")
    require(
        conv.levels <= max(largest_shift, conv.out_channels),
        "the bias differs at the border and is large",
        conservative="a constant as large as an activation makes the model large",
    )
    return conv.of_level(level)


def _case(
    name: str,
    x: tuple[int | str, ...],
    first: tuple[int, ...],
    second: tuple[int, ...],
    a: dict[str, Any] | None = None,
    b: dict[str, Any] | None = None,
    *,
    biases: tuple[bool, bool] = (False, False),
    **more: Any,
) -> Case:
    def build(g: CaseBuilder) -> ir.Value:
        data = g.input(*x)
        for shape, given, bias in ((first, a, biases[0]), (second, b, biases[1])):
            data = g.Conv(data, g.weight(*shape), g.weight(shape[0]) if bias else None, **given or {})
        return data

    return Case(name, build, **more)


PADDED = {"pads": (1, 1, 1, 1)}


@fuse_consecutive_convs.cases
def cases() -> Iterator[Case]:
    yield _case(
        "k×k, strided, dilated and padded, then 1×1",
        (2, 3, 7, 8),
        (4, 3, 3, 2),
        (2, 4, 1, 1),
        {"strides": (2, 1), "dilations": (1, 2), "pads": (1, 0, 2, 1)},
        biases=(True, True),
    )
    yield _case("1×1 then k×k, padded", (1, 2, 5, 6), (4, 2, 1, 1), (3, 4, 3, 3), b=PADDED, biases=(False, True))
    yield _case(
        "1×1 then k×k, padded by the first, with biases",
        (1, 2, 5, 6),
        (4, 2, 1, 1),
        (3, 4, 3, 3),
        PADDED,
        biases=(True, True),
    )
    yield _case(
        "1×1 with a bias, then k×k, padded: a map",
        (1, 2, 5, 6),
        (5, 2, 1, 1),
        (2, 5, 3, 3),
        b=PADDED | {"strides": (1, 2)},
        biases=(True, True),
    )
    yield _case("k×k twice, the second strided", (1, 2, 9, 9), (3, 2, 3, 3), (2, 3, 2, 2), PADDED, {"strides": (2, 2)})
    yield _case(
        "strided 1×1 then k×k, padded, a dynamic size",
        ("N", 2, "H", "W"),
        (4, 2, 1, 1),
        (2, 4, 3, 3),
        {"strides": (2, 2)},
        PADDED | {"strides": (1, 2)},
    )
    yield _case("1×k then k×1 of few channels", (1, 1, 6, 6), (6, 1, 1, 3), (1, 6, 3, 1), {"pads": (0, 1, 0, 1)})
    yield _case("a wide pad around the first", (1, 2, 4, 4), (4, 2, 2, 2), (1, 4, 2, 2), PADDED, PADDED)
    yield _case("pointwise then depthwise", (1, 1, 5, 6), (4, 1, 1, 1), (4, 1, 3, 3), b={"group": 4})
    yield _case("depthwise then pointwise", (1, 4, 5, 6), (4, 1, 3, 3), (1, 4, 1, 1), PADDED | {"group": 4})
    yield _case("groups of which some agree", (1, 8, 4, 4), (8, 2, 1, 1), (4, 4, 2, 2), {"group": 4}, {"group": 2})
    yield _case("1-D, dilated twice", (1, 2, 12), (5, 2, 2), (2, 5, 2), {"dilations": (2,)}, {"dilations": (4,)})
    yield _case("3-D, SAME", (1, 1, 3, 4, 3), (4, 1, 1, 1, 1), (1, 4, 2, 2, 2), b={"auto_pad": "SAME_UPPER"}, opset=9)
    yield Case("a shift then 1×1", _shifted)
    yield Case("a convolution then a blur", _blurred)
    yield _case(
        "k×k then k×k, padded",
        (1, 2, 6, 6),
        (4, 2, 3, 3),
        (1, 4, 3, 3),
        PADDED,
        PADDED | {"strides": (2, 2)},
        refuses="the second pads with zeros where the first would not make zeros",
    )
    yield _case(
        "a bottleneck",
        (1, 4, 5, 5),
        (1, 4, 1, 1),
        (4, 1, 3, 3),
        refuses="one convolution would do as many multiply-adds or more",
    )
    yield _case(
        "1×1 with a bias, then k×k, padded, a dynamic size",
        (1, 2, "H", 6),
        (4, 2, 1, 1),
        (2, 4, 3, 3),
        b=PADDED,
        biases=(True, False),
        refuses="the padding has no bias: its border would differ, and the sizes are not known",
    )
    yield _case(
        "more than the option allows",
        (1, 2, 5, 6),
        (4, 2, 1, 1),
        (2, 4, 3, 3),
        b=PADDED,
        biases=(True, False),
        refuses="the bias differs at the border and is large",
        options={"largest_shift": 59},
    )
    yield Case("weights that overflow", _overflowing, refuses="the merged weights would overflow or underflow")
    yield Case("the first is read by another", _read_twice, refuses="it would not be cheaper here")
    yield Case(
        "a filter that is computed",
        lambda g: g.Conv(g.Conv(g.input(1, 2, 4, 4), g.input(3, 2, 1, 1)), g.weight(2, 3, 1, 1)),
        refuses="W of Conv is not a constant",
    )


def _shifted(g: CaseBuilder) -> ir.Value:
    """Each channel moves by one place, elsewhere (Wu et al., Shift, CVPR 2018)."""
    hot = np.zeros((4, 1, 3, 3), np.float32)
    hot[range(4), 0, (0, 1, 1, 2), (1, 0, 2, 1)] = 1
    shifted = g.Conv(g.input(1, 4, 5, 6), g.constant(hot), group=4, pads=(1, 1, 1, 1))
    return g.Conv(shifted, g.weight(1, 4, 1, 1), g.weight(1))


def _blurred(g: CaseBuilder) -> ir.Value:
    """The binomial filter, strided (Zhang, ICML 2019)."""
    binomial = np.outer((1, 2, 1), (1, 2, 1)).astype(np.float32) / 16
    conv = g.Conv(g.input(1, 3, 9, 8), g.weight(3, 3, 3, 3), g.weight(3))
    return g.Conv(conv, g.constant(np.tile(binomial, (3, 1, 1, 1))), group=3, strides=(2, 2))


def _overflowing(g: CaseBuilder) -> ir.Value:
    """Data of zeros stays zero, but infinite weights would make it not a number."""
    x, large = g.input(1, 1, 3, 3), np.full((2, 1, 1, 1), 1e30, np.float32)
    return g.Conv(g.Conv(g.Sub(x, x), g.constant(large)), g.constant(large.reshape(1, 2, 1, 1)))


def _read_twice(g: CaseBuilder) -> tuple[ir.Value, ir.Value]:
    first = g.Conv(g.input(1, 2, 5, 5), g.weight(4, 2, 3, 3))
    return g.Conv(first, g.weight(2, 4, 1, 1)), g.Relu(first)


@fuse_consecutive_convs.samples
def samples(random: Random) -> Case:
    rank = random.choice((1, 2, 2, 3))
    channels, groups = [random.choice((1, 2, 4)) for _ in range(3)], random.choice((1, 1, 2, 4))
    convs = [_drawn(random, channels[index : index + 2], groups, rank, index) for index in (0, 1)]
    sizes: tuple[int | str, ...] = tuple(random.randint(1, 8) for _ in range(rank))
    sizes = DIMS[:rank] if random.random() < 0.25 else sizes
    return _case(
        f"{sizes} {convs}",
        (random.choice((1, 2, "N")), channels[0], *sizes),
        convs[0][0],
        convs[1][0],
        convs[0][1],
        convs[1][1],
        biases=(random.random() < 0.5, random.random() < 0.5),
        opset=random.choice((9, 13, 20, 21)),
        seed=random.getrandbits(32),
    )


def _drawn(
    random: Random, channels: list[int], groups: int, rank: int, index: int
) -> tuple[tuple[int, ...], dict[str, Any]]:
    """(filter shape, attributes) of the first or second convolution, in groups where they divide the channels."""
    c, k = channels
    groups = groups if c % groups == k % groups == 0 and random.random() < 0.8 else 1
    kernel = [random.choice((1, 1, 2, 3)) for _ in range(rank)]
    attributes: dict[str, Any] = {
        "group": groups,
        "strides": [random.choice((1, 1, 2, 3)) for _ in range(rank)],
        "dilations": [random.choice((1, 1, 2, 3)) for _ in range(rank)],
    }
    if random.random() < 0.1:
        attributes["auto_pad"] = random.choice(("SAME_UPPER", "SAME_LOWER", "VALID"))
    elif index == 0 or random.random() < 0.5:
        attributes["pads"] = [random.randint(0, 2) for _ in range(2 * rank)]
    return (k, c // groups, *kernel), attributes
