"""Transposed convolutions: the cases that they have in common, and random ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, Literal

import onnx_ir as ir

from graphc import Case, CaseBuilder
from graphc_passes.sampling.convolutions import draw_conv


def transposed_case(
    name: str,
    x: tuple[int | str, ...],
    w: tuple[int, ...],
    *,
    bias: int = 0,
    computed: bool = False,
    refuses: str | None = None,
    opset: int = 20,
    **attributes: object,
) -> Case:
    """One ConvTranspose; with `computed` its filter and bias are graph inputs."""

    def build(g: CaseBuilder) -> ir.Value:
        data, weight = g.input(*x), g.input if computed else g.weight
        return g.ConvTranspose(data, weight(*w), weight(bias) if bias else None, **attributes)

    return Case(name, build, refuses=refuses, opset=opset, oracle=_oracle(attributes))


def common_transposed_cases() -> Iterator[Case]:
    """What a rewrite of any ConvTranspose has to do with: strides, pads, sizes, weights of all kinds."""
    case = transposed_case
    yield case("kernel 4, stride 2, pads 1", (1, 3, 4, 5), (3, 4, 4, 4), bias=4, strides=(2, 2), pads=(1, 1, 1, 1))
    yield case(
        "kernel 3, output padding", (2, 3, 4, 4), (3, 2, 3, 3), strides=(2, 2), pads=(1,) * 4, output_padding=(1, 1)
    )
    yield case("kernel smaller than stride", (1, 3, 3, 4), (3, 2, 2, 1), bias=2, strides=(3, 3))
    yield case("SAME_UPPER", (1, 3, 4, 5), (3, 2, 3, 3), strides=(2, 2), auto_pad="SAME_UPPER")
    yield case("output_shape", (1, 3, 4, 5), (3, 2, 3, 3), strides=(2, 2), output_shape=(9, 9))
    yield case("dynamic sizes", ("N", 3, "H", "W"), (3, 2, 4, 1), bias=2, strides=(2, 3), pads=(1, 0, 1, 0))
    yield case("a filter that is computed", (1, 4, 4), (4, 1, 5), bias=2, group=2, strides=(2,), computed=True)
    yield case("opset 11", (1, 3, 3, 3), (3, 2, 3, 1), strides=(2, 2), pads=(1, 0, 1, 0), opset=11)
    yield case("nothing comes out", (1, 3, 2, 2), (3, 4, 1, 1), pads=(1, 1, 1, 1), refuses="the output is empty")
    yield case(
        "output_shape and a dynamic size",
        (1, 3, 5, "W"),
        (3, 4, 3, 3),
        strides=(2, 2),
        output_shape=(10, 12),
        refuses="output_shape with a size that is not known: the pads depend on it",
    )


def transposed_sample(random: Random, *, computed: bool = False, **limits: Any) -> Case:
    """A random ConvTranspose at any opset; `limits` as in `draw_conv`. One in five has an `output_shape` if it can.

    With `computed` one in five has a filter and a bias that are graph inputs.
    """
    drawn = draw_conv(random, op_type="ConvTranspose", **limits)
    given = dict(drawn.attributes)
    if random.random() < 0.2 and "pads" in given and all(isinstance(size, int) for size in drawn.data[2:]):
        del given["pads"]
        given["auto_pad"] = random.choice(("NOTSET", "SAME_UPPER", "SAME_LOWER"))
        given["output_shape"] = [random.randint(1, 3 * int(size) + 3) for size in drawn.data[2:]]
    if "pads" in given and isinstance(drawn.data[2], str):
        given["pads"] = [min(pad, 2) for pad in given["pads"]]  # five inputs or more: some output is left
    drawn = replace(drawn, attributes=given)
    opset = random.choice((8, 9, 10, 11, 13, 17, 18, 20, 21))
    build = partial(drawn.of, computed=computed and random.random() < 0.2)
    seed = random.getrandbits(32)
    return Case(f"{drawn} opset={opset}", build, opset=opset, seed=seed, oracle=_oracle(given))


def _oracle(attributes: Mapping[str, Any]) -> Literal["runtime", "reference"]:
    """ONNX Runtime refuses output padding that a dilation allows and the stride does not."""
    padding = attributes.get("output_padding", ())
    strides = attributes.get("strides", [1] * len(padding))
    return "reference" if any(p >= s for p, s in zip(padding, strides, strict=False)) else "runtime"
