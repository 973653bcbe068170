"""Replace `auto_pad` of a convolution or pooling with the pads that it stands for.

Law    SAME pads each axis with (⌈L/s⌉ − 1)·s + extent − L in all, a transposed one with extent + output padding − s, at
       least 0 and the odd one at the end in SAME_UPPER, in front in SAME_LOWER; VALID does not pad
Why    ONNX Runtime refuses SAME with a dilation in a convolution and computes another size in a pooling; most runtimes
       and most rewrites know explicit pads only. Where a transposed SAME falls short of L·s (extent < s) it stays
       short, as in ONNX's shape inference, which the model's own shapes come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Axis, Case, CaseBuilder, Refusal, Tape, View, pool_axes, read_convolution, require, rewrite
from graphc_passes.nodes.nests import both_sides
from graphc_passes.nodes.stated import attributes_of, known_sizes, shape_of, spatial_sizes
from graphc_passes.sampling.convolutions import DIMS, draw_conv

CONVOLUTIONS = ("Conv", "ConvTranspose", "ConvInteger")
POOLS = ("AveragePool", "LpPool", "MaxPool")


@rewrite(*CONVOLUTIONS, *POOLS, numerics="exact")
def replace_auto_pad_with_pads(root: View, op: Tape) -> ir.Value | tuple[ir.Value, ...]:
    mode = root.attr("auto_pad")
    if mode == "NOTSET":
        raise Refusal("the pads are explicit")
    if any(root.attr("pads") or ()):
        raise Refusal("it has both pads and auto_pad")
    pads = [(0, 0) if mode == "VALID" else _same(root, *pair) for pair in enumerate(_axes(root, mode))]
    given = attributes_of(root) | {"auto_pad": None, "pads": both_sides(pads)}
    more_outputs = root.op_type == "MaxPool" and root.opset >= 8 and root.output("Indices") is not None
    return op.record(root.op_type, *root.inputs(), outputs=1 + more_outputs, **given)


def _same(root: View, index: int, axis: Axis) -> tuple[int, int]:
    """(begin, end) of an axis under SAME: none where the taps do not reach from one stride to the next."""
    begin, end = axis.pads
    if root.op_type == "ConvTranspose":
        end += (root.attr("output_padding") or [0] * (index + 1))[index]
    if root.op_type in POOLS:
        require(
            begin + end >= 0,
            "SAME over windows that leave gaps: its pads would be negative",
            conservative="the specification does not say what a negative pad is, and tools differ",
        )
        require(
            max(begin, end) < axis.taps,
            "a pad as wide as the kernel",
            conservative="it is legal, but ONNX Runtime refuses it of a pooling",
        )
    return max(0, begin), max(0, end)


def _axes(root: View, mode: str) -> Sequence[Axis]:
    """The axes of the node; a size that is not known stands at ANY_SIZE."""
    data, filter_ = ("x", "w") if root.op_type == "ConvInteger" else ("X", "W")
    shape, spatial = shape_of(root.required(data)), spatial_sizes(root.required(data))
    if 0 in shape:
        raise Refusal("the data is empty")
    require(root.op_type != "ConvTranspose" or not root.attr("output_shape"), "output_shape makes the pads")
    strides = root.attr("strides") or [1] * len(spatial)
    require(
        mode == "VALID"
        or root.op_type == "ConvTranspose"
        or all(isinstance(size, int) or stride == 1 for size, stride in zip(shape[2:], strides, strict=True)),
        "a size that is not known, and a stride: the pads depend on it",
    )
    if root.op_type in POOLS:
        return pool_axes(root, spatial)
    taps = known_sizes(root.required(filter_))
    channels = taps[0] if root.op_type == "ConvTranspose" else taps[1] * root.attr("group")
    return read_convolution(root, [1, channels, *spatial], taps).axes


def _conv(
    g: CaseBuilder, x: tuple[int | str, ...], w: tuple[int, ...], op_type: str = "Conv", **attributes: Any
) -> ir.Value:
    return g.record(op_type, g.input(*x), g.weight(*w), **attributes)


def _pool(g: CaseBuilder, op_type: str, x: tuple[int | str, ...], **attributes: Any) -> Any:
    return g.record(op_type, g.input(*x), **attributes)


def _integer(g: CaseBuilder, **attributes: Any) -> ir.Value:
    x = g.input(1, 2, 7, 6, dtype=ir.DataType.UINT8)
    w = g.constant(g.random.integers(0, 255, (3, 2, 3, 2)).astype(np.uint8), like=x)
    return g.ConvInteger(x, w, g.constant(np.uint8(7), like=x), **attributes)


@replace_auto_pad_with_pads.cases
def cases() -> Iterator[Case]:
    conv, pool = partial(partial, _conv), partial(partial, _pool)
    x, w = (1, 2, 7, 6), (3, 2, 3, 2)
    yield Case("SAME_UPPER, an even kernel", conv(x=x, w=w, auto_pad="SAME_UPPER"))
    yield Case("SAME_LOWER, an even kernel, stride", conv(x=x, w=w, auto_pad="SAME_LOWER", strides=(2, 3)))
    yield Case("VALID, grouped, a dilation", conv(x=x, w=(4, 1, 3, 2), auto_pad="VALID", group=2, dilations=(2, 3)))
    yield Case("SAME, dynamic sizes", conv(x=("N", 2, "H", "W"), w=w, auto_pad="SAME_UPPER"))
    yield Case(
        "SAME, taps narrower than the stride", conv(x=(1, 2, 7), w=(3, 2, 2), auto_pad="SAME_LOWER", strides=(3,))
    )
    for mode in ("SAME_UPPER", "SAME_LOWER"):
        yield Case(
            f"{mode} with dilations, which ONNX Runtime refuses",
            conv(x=x, w=w, auto_pad=mode, dilations=(2, 3), strides=(2, 1)),
            oracle="reference",
        )
    transposed = partial(conv, op_type="ConvTranspose", w=(2, 3, 3, 4))
    yield Case("transposed, SAME_UPPER", transposed(x=x, auto_pad="SAME_UPPER", strides=(2, 3)))
    yield Case(
        "transposed, SAME_LOWER, dynamic, output padding",
        transposed(x=(1, 2, "H", "W"), auto_pad="SAME_LOWER", strides=(2, 2), output_padding=(1, 0)),
    )
    yield Case(
        "transposed SAME that falls short",
        conv(op_type="ConvTranspose", x=(1, 2, 4), w=(2, 3, 2), auto_pad="SAME_UPPER", strides=(3,)),
    )
    yield Case("integers", partial(_integer, auto_pad="SAME_UPPER", strides=(2, 2)))
    yield Case("integers, dilated", partial(_integer, auto_pad="SAME_LOWER", dilations=(2, 2)), oracle="reference")
    for op_type in POOLS:
        yield Case(
            f"{op_type}, SAME_LOWER, stride",
            pool(op_type=op_type, x=x, kernel_shape=(3, 2), strides=(2, 2), auto_pad="SAME_LOWER"),
            oracle="reference",
        )
        yield Case(
            f"{op_type}, SAME_UPPER with dilations, which ONNX Runtime gets wrong",
            pool(op_type=op_type, x=x, kernel_shape=(3, 2), dilations=(2, 2), auto_pad="SAME_UPPER"),
            oracle="reference",
        )
    yield Case(
        "MaxPool with indices, VALID, dynamic",
        pool(op_type="MaxPool", x=(1, 2, "H", "W"), kernel_shape=(3, 2), strides=(2, 2), auto_pad="VALID", outputs=2),
    )
    yield Case(
        "AveragePool over pads, ceil_mode",
        pool(
            op_type="AveragePool",
            x=x,
            kernel_shape=(3, 3),
            strides=(2, 2),
            auto_pad="VALID",
            ceil_mode=1,
            count_include_pad=1,
        ),
    )
    yield Case(
        "SAME with a stride, a dynamic size",
        conv(x=(1, 2, "H", 6), w=w, auto_pad="SAME_UPPER", strides=(2, 2)),
        refuses="a size that is not known, and a stride: the pads depend on it",
    )
    yield Case(
        "output_shape",
        transposed(x=x, auto_pad="SAME_UPPER", strides=(2, 2), output_shape=(14, 13)),
        refuses="output_shape makes the pads",
    )
    yield Case(
        "a window of 1 at stride 3",
        pool(op_type="MaxPool", x=x, kernel_shape=(1, 1), strides=(3, 3), auto_pad="SAME_UPPER"),
        refuses="SAME over windows that leave gaps: its pads would be negative",
    )
    yield Case(
        "a kernel of 2 at dilation 3",
        pool(op_type="AveragePool", x=x, kernel_shape=(2, 2), dilations=(3, 3), auto_pad="SAME_UPPER"),
        refuses="a pad as wide as the kernel",
        oracle="reference",
    )
    yield Case("explicit pads", conv(x=x, w=w, pads=(1, 1, 1, 1)), refuses="the pads are explicit")


@replace_auto_pad_with_pads.samples
def conv_samples(random: Random) -> Case:
    drawn = draw_conv(random, op_type=random.choice(("Conv", "ConvTranspose")))
    attributes = {name: value for name, value in drawn.attributes.items() if name != "pads"}
    attributes["auto_pad"] = mode = random.choice(("SAME_UPPER", "SAME_LOWER", "VALID"))
    drawn = replace(drawn, attributes=attributes)
    refused = drawn.op_type == "Conv" and mode != "VALID" and max(attributes["dilations"]) > 1
    return Case(str(drawn), drawn.of, seed=random.getrandbits(32), oracle="reference" if refused else "runtime")


@replace_auto_pad_with_pads.samples
def pool_samples(random: Random) -> Case:
    """Sizes and extents such that each window meets an element: the specification does not say what others are."""
    rank, op_type = random.choice((1, 2, 3)), random.choice(POOLS)
    dynamic = random.random() < 0.2
    attributes: dict[str, Any] = {
        "kernel_shape": [random.randint(1, 3) for _ in range(rank)],
        "strides": [random.randint(1, 1 if dynamic else 3) for _ in range(rank)],
        "dilations": [random.randint(1, 2) for _ in range(rank)],
        "ceil_mode": random.randint(0, 1),
        "auto_pad": random.choice(("SAME_UPPER", "SAME_LOWER", "VALID")),
    }
    if op_type == "AveragePool":
        attributes["count_include_pad"] = random.randint(0, 1)
    outputs = random.randint(1, 2) if op_type == "MaxPool" else 1
    shape = [2, 2, *(DIMS[:rank] if dynamic else [random.randint(5, 8) for _ in range(rank)])]
    wrong = attributes["auto_pad"] != "VALID" and max(attributes["dilations"]) > 1
    return Case(
        f"{op_type} {shape} {attributes}",
        lambda g: g.record(op_type, g.input(*shape), outputs=outputs, **attributes),
        seed=random.getrandbits(32),
        oracle="reference" if wrong else "runtime",
    )
