"""Replace a transposed convolution of stride 1 with the convolution that it is.

Law    conv_transpose(x, w) = conv(x, w')     w'[k, c, t] = w[c, k, taps − 1 − t] in each group,
       with begin pad d·(taps − 1) − p, from i = o + p − d·t; any dilation and groups; a pad below zero is a crop
Why    many runtimes have a fast Conv and a slow ConvTranspose, or none; not one multiplication is added.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import onnx_ir as ir

from graphc import Case, Tape, View, require, rewrite
from graphc_passes.nodes.nests import read_nest
from graphc_passes.nodes.transposed import Residue, conv_of_residues
from graphc_passes.sampling.transposed import transposed_case, transposed_sample


@rewrite("ConvTranspose", numerics="reassociates")
def replace_conv_transpose_with_conv(root: View, op: Tape) -> ir.Value:
    nest = read_nest(root)
    require(all(axis.up == 1 for axis in nest.axes), "some stride is not 1: outputs lie between the inputs")
    require(all(axis.output > 0 for axis in nest.axes), "the output is empty")
    residues = [Residue.of(axis.phases(), 0) for axis in nest.axes]
    return conv_of_residues(op, root, root.required("X"), residues)


@replace_conv_transpose_with_conv.cases
def cases() -> Iterator[Case]:
    case = transposed_case
    yield case("pads, bias", (1, 3, 5, 6), (3, 4, 3, 3), bias=4, pads=(1, 1, 1, 1))
    yield case("no pads", (2, 3, 4, 4), (3, 2, 2, 3))
    yield case("grouped and dilated", (1, 4, 5, 6), (4, 3, 3, 2), bias=6, group=2, dilations=(2, 3), pads=(0, 1, 2, 3))
    yield case("depthwise", (1, 3, 5, 5), (3, 1, 3, 3), group=3, pads=(1, 1, 1, 1))
    yield case("1-D, output padding", (1, 3, 5), (3, 2, 3), dilations=(2,), output_padding=(1,))
    yield case("3-D", (1, 2, 3, 3, 3), (2, 2, 2, 2, 2), pads=(1, 0, 1, 0, 1, 0))
    yield case("pads that crop", (1, 2, 5, 5), (2, 3, 2, 1), pads=(2, 0, 0, 2))
    yield case(
        "pads that crop all data", (1, 2, 1), (2, 3, 1), bias=3, dilations=(3,), output_padding=(2,), pads=(2, 0)
    )
    yield case("SAME_LOWER", (1, 3, 5, 6), (3, 4, 4, 4), auto_pad="SAME_LOWER")
    yield case("output_shape", (1, 3, 5, 6), (3, 4, 3, 4), output_shape=(5, 6))
    yield case("dynamic sizes", ("N", 3, "H", "W"), (3, 4, 3, 3), pads=(1, 1, 1, 3))
    yield case("a filter that is computed", (1, 4, 5, 6), (4, 3, 2, 3), bias=6, group=2, computed=True)
    yield case(
        "stride 2",
        ("N", 3, "H", "W"),
        (3, 4, 3, 3),
        strides=(1, 2),
        refuses="some stride is not 1: outputs lie between the inputs",
    )
    yield case("nothing comes out", (1, 3, 2, 2), (3, 4, 1, 1), pads=(1, 1, 1, 1), refuses="the output is empty")
    yield case(
        "output_shape and a dynamic size",
        (1, 3, 5, "W"),
        (3, 4, 3, 3),
        output_shape=(5, 6),
        refuses="output_shape with a size that is not known: the pads depend on it",
    )


@replace_conv_transpose_with_conv.samples
def samples(random: Random) -> Case:
    return transposed_sample(random, computed=True, strides=random.choice((1, 1, 1, 2)))
