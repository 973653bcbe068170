"""Replace a transposed convolution with an ordinary one over the data stretched with zeros.

Law    conv_transpose(x, w, stride s) = conv(x', w')     x'[s·i] = x[i], else 0;  w'[k, c, t] = w[c, k, taps − 1 − t],
       from i' = o + p − d·t with i' = s·i: a transposed convolution of stride 1 over x'
Why    a last resort: any runtime that has Conv and Pad runs it, for s multiplications of every axis where one would do
       (Dumoulin and Visin, 2016, describe transposed convolution so). At stride 1 it is the convolution itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

import onnx_ir as ir

from graphc import Axis, Case, Tape, View, require, rewrite
from graphc_passes.nodes.nests import read_nest
from graphc_passes.nodes.padding import padded
from graphc_passes.nodes.reshaping import unsqueeze
from graphc_passes.nodes.sizes import Size, reshape, sizes_of
from graphc_passes.nodes.transposed import Residue, conv_of_residues
from graphc_passes.sampling.transposed import common_transposed_cases, transposed_case, transposed_sample


@rewrite("ConvTranspose", numerics="reassociates")
def replace_conv_transpose_with_zero_insertion(root: View, op: Tape) -> ir.Value:
    nest = read_nest(root)
    require(all(axis.output > 0 for axis in nest.axes), "the output is empty")
    require(
        all(axis.input > 0 for axis in nest.axes),
        "the data is empty",
        conservative="a Reshape to a size of 0 says another thing",
    )
    stretched = _stretched(op, root.required("X"), [axis.up for axis in nest.axes])
    residues = [Residue.of(_over_stretched(axis).phases(), 0) for axis in nest.axes]
    return conv_of_residues(op, root, stretched, residues)


def _over_stretched(axis: Axis) -> Axis:
    """The same axis over data with up − 1 zeros behind every element."""
    return replace(axis, input=axis.input * axis.up, up=1)


def _stretched(op: Tape, data: ir.Value, factors: Sequence[int]) -> ir.Value:
    """[N, C, L...] to [N, C, L·factor...]: factor − 1 zeros behind every element."""
    if set(factors) == {1}:
        return data
    after = [0, 0, *(width for factor in factors for width in (0, factor - 1))]
    beside = range(3, len(after), 2)  # a new axis behind each spatial one
    stretched = padded(op, unsqueeze(op, data, beside), [0] * len(after), after)
    sizes = sizes_of(op, data)[2:]
    unknown = sum(not isinstance(size, int) for size in sizes)
    lengths: list[Size] = [
        -1 if unknown == 1 and not isinstance(size, int) else size * factor
        for size, factor in zip(sizes, factors, strict=True)
    ]
    return reshape(op, stretched, [0, 0, *lengths])


@replace_conv_transpose_with_zero_insertion.cases
def cases() -> Iterator[Case]:
    case = transposed_case
    yield from common_transposed_cases()
    yield case("stride 1", (1, 3, 4, 4), (3, 2, 3, 2), pads=(1, 0, 1, 1))
    yield case("grouped, dilated", (1, 4, 3, 4), (4, 3, 3, 2), bias=6, group=2, strides=(1, 3), dilations=(2, 3))
    yield case("1-D", (1, 3, 5), (3, 2, 5), strides=(3,), pads=(1, 2))
    yield case("3-D", (1, 2, 2, 3, 2), (2, 2, 3, 3, 2), strides=(2, 1, 2), pads=(1, 1, 1, 1, 1, 0))
    yield case("pads that crop", (1, 2, 5, 4), (2, 3, 3, 2), strides=(2, 2), pads=(4, 1, 3, 0))
    yield case("nothing goes in", (1, 2, 2, 0), (2, 3, 1, 4), strides=(1, 2), refuses="the data is empty")


@replace_conv_transpose_with_zero_insertion.samples
def samples(random: Random) -> Case:
    return transposed_sample(random, computed=True)
