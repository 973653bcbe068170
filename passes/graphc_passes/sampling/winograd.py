"""Dense 3 × 3 convolutions, and what is none: the cases of Winograd's minimal filtering in any size of tile."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random
from typing import Any

import onnx_ir as ir

from graphc import Case, CaseBuilder


def dense_3x3_cases() -> Iterator[Case]:
    """Padded, of parts of a tile, dynamic; and what is refused."""
    conv = partial(partial, _conv)
    w, other = (16, 16, 3, 3), "not a dense 3 × 3 convolution of stride and dilation 1"
    yield Case("padded, biased", conv(x=(1, 16, 8, 8), w=w, bias=True, pads=(1, 1, 1, 1)))
    yield Case("part of a tile, pads of all kinds", conv(x=(2, 16, 7, 8), w=(24, 16, 3, 3), pads=(0, 1, 2, 2)))
    yield Case("SAME", conv(x=(1, 16, 8, 4), w=w, auto_pad="SAME_UPPER"))
    yield Case(
        "dynamic",
        conv(x=("N", 2, "H", "W"), w=(3, 2, 3, 3), bias=True, pads=(1, 0, 1, 2)),
        options={"when": "always"},
    )
    yield Case("few channels", conv(x=(1, 2, 8, 8), w=(3, 2, 3, 3)), refuses="it would not be cheaper here")
    yield Case("strided", conv(x=(1, 2, 8, 8), w=(3, 2, 3, 3), strides=(2, 1)), refuses=other)
    yield Case("dilated", conv(x=(1, 2, 8, 8), w=(3, 2, 3, 3), dilations=(1, 2)), refuses=other)
    yield Case("grouped", conv(x=(1, 2, 8, 8), w=(2, 1, 3, 3), group=2), refuses=other)
    yield Case("3 × 1", conv(x=(1, 2, 8, 8), w=(3, 2, 3, 1)), refuses=other)
    yield Case("1-D", conv(x=(1, 2, 8), w=(3, 2, 3)), refuses=other)
    yield Case("float16", conv(x=(1, 2, 8, 8), w=(3, 2, 3, 3)), dtype=ir.DataType.FLOAT16, refuses="not of float32")
    yield Case(
        "513 channels",
        conv(x=(1, 513, 3, 3), w=(1, 513, 3, 3)),
        refuses="more input channels than the bound is for",
    )


def dense_3x3_sample(random: Random) -> Case:
    """Any sizes and pads."""
    spatial: tuple[int | str, ...] = ("H", "W")
    if random.random() < 0.7:
        spatial = (random.randint(1, 9), random.randint(1, 9))
    channels = random.randint(1, 24)
    x = (random.choice((1, 2, "N")), channels, *spatial)
    w = (random.randint(1, 5), channels, 3, 3)
    pads = [random.randint(0, 3) for _ in range(4)]
    bias = random.random() < 0.5
    attributes = {"auto_pad": "SAME_LOWER"} if random.random() < 0.1 else {"pads": pads}
    return Case(
        f"{x} {w} bias={bias} {attributes}",
        partial(_conv, x=x, w=w, bias=bias, **attributes),
        seed=random.getrandbits(32),
    )


def _conv(
    g: CaseBuilder, x: tuple[int | str, ...], w: tuple[int, ...], bias: bool = False, **attributes: Any
) -> ir.Value:
    return g.Conv(g.input(*x), g.weight(*w), g.weight(w[0]) if bias else None, **attributes)
