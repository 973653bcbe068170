"""Replace a transposed convolution with one small convolution for each output residue, and interleave the results.

Law    y[s·n + r] = conv(x, w[taps with d·t ≡ r + p (mod s)])[n]     each with pads of its own, from s·i = o + p − d·t;
       the taps of a residue are s/gcd(s, d) apart in the filter and d/gcd(s, d) in the data; where none is, y is bias
Why    ConvTranspose is the slow or missing operator of many runtimes; this has exactly its multiplications, whatever
       the kernel, stride and dilation, for smaller kernels and more nodes than one sub-pixel convolution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from random import Random

import onnx_ir as ir

from graphc import Case, Convolution, Phases, Tape, View, require, rewrite
from graphc_passes.nodes.nests import read_nest
from graphc_passes.nodes.rearranging import crop, depth_to_space
from graphc_passes.nodes.transposed import Residue, conv_of_residues
from graphc_passes.sampling.transposed import common_transposed_cases, transposed_case, transposed_sample


@rewrite("ConvTranspose", numerics="reassociates")
def replace_conv_transpose_with_phase_convs(root: View, op: Tape) -> ir.Value:
    nest = read_nest(root)
    require(all(axis.output > 0 for axis in nest.axes), "the output is empty")
    phases = [axis.phases() for axis in nest.axes]
    blocks = [phase.Q for phase in phases]
    planes = _planes(op, root, nest, phases)
    full = planes[0] if len(planes) == 1 else op.Concat(*planes, axis=1)
    full = depth_to_space(op, full, nest.out_channels, blocks, mode="DCR")
    excess = [phase.axis.output * phase.Q - phase.output for phase in phases]
    return crop(op, full, [0] * len(excess), excess)


def _planes(op: Tape, root: View, nest: Convolution, phases: Sequence[Phases]) -> list[ir.Value]:
    """The outputs of every residue, row-major over the axes, all of one size."""
    made: list[ir.Value | None] = []
    for choice in product(*(range(phase.Q) for phase in phases)):
        residues = [Residue.of(phase, r) for phase, r in zip(phases, choice, strict=True)]
        reached = all(residue.taps for residue in residues)
        made.append(conv_of_residues(op, root, root.required("X"), residues) if reached else None)
    like = next(plane for plane in made if plane is not None)  # every tap reaches some residue
    return [_empty(op, root, like, nest) if plane is None else plane for plane in made]


def _empty(op: Tape, root: View, like: ir.Value, nest: Convolution) -> ir.Value:
    """What no tap reaches: the bias, or zero."""
    bias, ones = root.input("B"), [1] * len(nest.axes)
    if bias is None:
        fill = op.constant([0.0], like=root.required("W"), name="zero")
    else:
        fill = op.Reshape(bias, op.constant([1, -1, *ones]))
    shape = like.shape
    known = shape is not None and shape.is_static()
    return op.Expand(fill, op.constant(shape.numpy()) if shape is not None and known else op.Shape(like))


@replace_conv_transpose_with_phase_convs.cases
def cases() -> Iterator[Case]:
    case = transposed_case
    yield from common_transposed_cases()
    yield case("dilation that divides the stride", (1, 2, 5), (2, 3, 3), strides=(4,), dilations=(2,), pads=(1, 2))
    yield case("dilation that the stride divides", (1, 2, 5), (2, 3, 2), bias=3, strides=(2,), dilations=(4,))
    yield case("dilation prime to the stride", (1, 2, 5), (2, 3, 4), strides=(2,), dilations=(3,), pads=(4, 4))
    yield case("grouped, unequal strides", (1, 4, 3, 4), (4, 3, 3, 4), bias=6, group=2, strides=(1, 3))
    yield case("3-D", (1, 2, 2, 3, 2), (2, 2, 3, 3, 2), strides=(2, 2, 2), pads=(1, 1, 1, 1, 1, 0))
    yield case("pads that crop data", (1, 2, 5, 4), (2, 3, 3, 2), strides=(2, 2), pads=(4, 1, 3, 0))
    yield case("only outputs that no tap reaches", (1, 2, 1), (2, 3, 2), strides=(2,), pads=(2, 0), output_padding=(1,))


@replace_conv_transpose_with_phase_convs.samples
def samples(random: Random) -> Case:
    return transposed_sample(random, computed=True)
