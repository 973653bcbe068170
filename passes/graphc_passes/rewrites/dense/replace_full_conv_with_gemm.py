"""Replace a convolution that comes to one place with a fully connected layer on the flattened map.

Law    conv(x, w) = unsqueeze(flatten(x) · Wᵀ + b)     W[m, c, i] = Σ w[m, c, t] over the taps t that reach i
       A tap on padding, or an element that no tap reaches, adds nothing.
Why    A matrix product has no windows to gather: the last layers of a classifier, and 1 × 1 maps behind a global mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, rewrite
from graphc_passes.nodes.nests import nest_over
from graphc_passes.nodes.reshaping import unsqueeze
from graphc_passes.nodes.stated import static_channels, static_spatial
from graphc_passes.sampling.convolutions import draw_conv


@rewrite("Conv", numerics="reassociates")
def replace_full_conv_with_gemm(conv: View, op: Tape) -> ir.Value:
    data, weights = conv.required("X"), conv.required("W")
    nest = nest_over(conv, [1, static_channels(data), *static_spatial(data)])
    if nest.groups > 1:
        raise Refusal("it has groups")
    if any(axis.output != 1 for axis in nest.axes):
        raise Refusal("it comes to more than one place, or to none")
    matrix = conv.constant("W").astype(np.float64)
    for index, axis in enumerate(nest.axes):
        reached = np.zeros((axis.taps, axis.input))
        places, _, taps = axis.triples().T
        reached[taps, places] = 1
        matrix = np.moveaxis(np.tensordot(matrix, reached, (2 + index, 0)), -1, 2 + index)
    flat = op.Gemm(
        op.Flatten(data, axis=1),
        op.constant(matrix.reshape(len(matrix), -1), like=weights, name="weight"),
        conv.input("B"),
        transB=1,
    )
    return unsqueeze(op, flat, range(2, 2 + len(nest.axes)))


def _case(
    name: str,
    data: tuple[int | str, ...],
    kernel: tuple[int, ...],
    refuses: str | None = None,
    *,
    opset: int = 20,
    **attributes: object,
) -> Case:
    def build(g: CaseBuilder) -> ir.Value:
        return g.Conv(g.input(*data), g.weight(4, *kernel), g.weight(4), **attributes)

    return Case(name, build, refuses, opset=opset)


@replace_full_conv_with_gemm.cases
def cases() -> Iterator[Case]:
    yield _case("a kernel as large as the map", ("N", 3, 2, 3), (3, 2, 3))
    yield _case("a map of one element", (2, 3, 1, 1), (3, 1, 1), strides=(2, 2))
    yield _case("1-D, padded and dilated", (2, 3, 3), (3, 3), dilations=(2,), pads=(1, 1))
    yield _case("a kernel smaller than the map", (1, 3, 5, 4), (3, 3, 3), strides=(3, 2))
    yield _case("SAME_UPPER, opset 11", (1, 3, 2, 2), (3, 3, 3), strides=(2, 2), auto_pad="SAME_UPPER", opset=11)
    yield _case("3-D", (1, 2, 2, 1, 2), (2, 2, 1, 2))
    yield _case("more than one place", (1, 3, 3, 4), (3, 3, 3), "it comes to more than one place, or to none")
    yield _case("groups", (1, 4, 2, 2), (2, 2, 2), "it has groups", group=2)
    yield _case("a dynamic size", (1, 3, "H", 2), (3, 2, 2), "a spatial size is not known, or 0")
    yield Case(
        "computed weights",
        lambda g: g.Conv(g.input(1, 3, 2, 2), g.input(4, 3, 2, 2)),
        refuses="W of Conv is not a constant",
    )


@replace_full_conv_with_gemm.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, groups=(1,), kernel=3, size=5, pads=1, dilations=2)
    if random.random() < 0.7:  # so far that there is one place
        drawn = replace(drawn, attributes={**drawn.attributes, "strides": [9] * (len(drawn.data) - 2)})
    # ONNX Runtime crops where a stride is larger than its window: SAME pads are not negative
    same = "SAME" in str(drawn.attributes.get("auto_pad"))
    return Case(str(drawn), drawn.of, seed=random.getrandbits(32), oracle="reference" if same else "runtime")
