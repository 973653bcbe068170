"""Replace a transposed convolution with one matrix product and a sum of shifted blocks.

Law    y = interleave(Σ_j shift_j(W_j · x))     W_j[(k, r), c] = w[c, k, tap that joins c to r at distance j]:
       for a kernel of m·s taps (zeros fill it up) m blocks of s columns for each output channel, each one place further
Why    a runtime's matrix product is its fastest operator. In one dimension this is the overlap-add with which the
       inverse short-time Fourier transform and vocoders are computed (Griffin and Lim, 1984).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Axis, Case, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.filters import ConstantConv
from graphc_passes.nodes.nests import read_nest
from graphc_passes.nodes.padding import padded
from graphc_passes.nodes.rearranging import crop, depth_to_space
from graphc_passes.nodes.reshaping import split_equally
from graphc_passes.nodes.sizes import as_tensor, sizes_of
from graphc_passes.sampling.transposed import transposed_case, transposed_sample


@dataclass(frozen=True)
class _Line:
    """One axis as blocks: `places[j]` elements before block j of `input`, which becomes `length` elements.

    The blocks have `factor` columns for each channel. Interleaved they are cropped by `front` and `back`.
    """

    taps: np.ndarray  # [factor, blocks], −1 where a column is zero
    places: tuple[int, ...]
    input: int
    length: int
    front: int
    back: int

    @classmethod
    def of(cls, axis: Axis) -> _Line:
        """The outputs in front that the pads take away are made too: no block then begins before the data."""
        front = max(0, -axis.pad)
        phases = axis.preceded_by(front).phases()
        low, table = phases.axis, phases.table[:, 0]
        used = np.flatnonzero((table >= 0).any(axis=0))
        length = max(low.output, low.input + low.pad)
        places = tuple((low.pad - used).tolist())
        return cls(table[:, used], places, low.input, length, front, length * phases.Q - front - axis.output)

    @property
    def factor(self) -> int:
        """Columns of a block for each channel."""
        return len(self.taps)


@rewrite("ConvTranspose", numerics="reassociates")
def replace_conv_transpose_with_overlap_add(root: View, op: Tape, *, most_blocks: int = 16) -> ir.Value:
    conv, nest = ConstantConv.read(root), read_nest(root)
    require(all(axis.output > 0 for axis in nest.axes), "the output is empty")
    require(
        all(axis.input > 0 for axis in nest.axes),
        "the data is empty",
        conservative="a Reshape to a size of 0 says another thing",
    )
    lines = [_Line.of(axis) for axis in nest.axes]
    require(
        prod(len(line.places) for line in lines) <= most_blocks,
        "too many blocks to add",
        conservative="it would be slower: every block is read and written once more",
    )
    blocks = _blocks(op, conv, lines)
    shifted = [_shifted(op, block, lines, at) for block, at in zip(blocks, _places(lines), strict=True)]
    low = shifted[0] if len(shifted) == 1 else op.Sum(*shifted)
    full = depth_to_space(op, low, conv.out_channels, [line.factor for line in lines])
    cropped = crop(op, full, [line.front for line in lines], [line.back for line in lines])
    bias = root.input("B")
    if bias is not None and op.opset < 7:
        raise Refusal("an Add before opset 7 does not broadcast")
    return cropped if bias is None else op.Add(cropped, op.Reshape(bias, op.constant([1, -1, *[1] * len(lines)])))


def _places(lines: Sequence[_Line]) -> list[tuple[int, ...]]:
    """Where each block goes, in the order of the blocks."""
    return list(product(*(line.places for line in lines)))


def _blocks(op: Tape, conv: ConstantConv, lines: Sequence[_Line]) -> tuple[ir.Value, ...]:
    """Every block [N, Cout·Πfactor, L...], by one matrix product over the channels of each group."""
    data, columns = conv.view.required("X"), _columns(conv, lines)
    plain = conv.groups == 1 and len(lines) == 1  # else an axis for the groups and one for all of space
    if not plain:
        data = op.Reshape(data, op.constant([0, conv.groups, conv.in_channels // conv.groups, -1]))
    else:
        columns = columns[0]
    made = op.MatMul(op.constant(columns, like=conv.view.required("W"), name="weight"), data)
    count = len(_places(lines))
    channels = conv.out_channels * prod(line.factor for line in lines)
    parts = (made,) if count == 1 else split_equally(op, made, count, axis=1 if plain else 2)
    if plain:
        return parts
    target = as_tensor(op, [0, channels, *sizes_of(op, conv.view.required("X"))[2:]])
    return tuple(op.Reshape(part, target) for part in parts)


def _columns(conv: ConstantConv, lines: Sequence[_Line]) -> np.ndarray:
    """[groups, blocks · (Cout/groups · Πfactor), Cin/groups], the factors row-major behind the channels."""
    rank = len(lines)
    taken = np.pad(conv.filter, [(0, 0)] * 2 + [(0, 1)] * rank)  # so that tap −1 is a zero
    for axis in reversed(range(rank)):
        taken = taken[(slice(None),) * (2 + axis) + (lines[axis].taps,)]
    taken = taken.reshape(conv.groups, -1, *taken.shape[1:])  # [g, Cout/g, Cin/g, factor, block, factor, block, ...]
    factors, blocks = range(3, 3 + 2 * rank, 2), range(4, 4 + 2 * rank, 2)
    return taken.transpose(0, *blocks, 1, *factors, 2).reshape(conv.groups, -1, conv.filter.shape[1])


def _shifted(op: Tape, block: ir.Value, lines: Sequence[_Line], at: Sequence[int]) -> ir.Value:
    """A block at its place among zeros."""
    after = [line.length - line.input - place for line, place in zip(lines, at, strict=True)]
    return padded(op, block, [0, 0, *at], [0, 0, *after])


@replace_conv_transpose_with_overlap_add.cases
def cases() -> Iterator[Case]:
    case = transposed_case
    yield case("kernel 4, stride 2, pads 1", (1, 3, 5), (3, 2, 4), bias=2, strides=(2,), pads=(1, 1))
    yield case("a quarter of the window", (1, 4, 5), (4, 1, 8), strides=(2,), pads=(4, 4))
    yield case("kernel 3, output padding", (2, 3, 4), (3, 2, 3), strides=(2,), pads=(1, 1), output_padding=(1,))
    yield case("kernel smaller than stride", (1, 3, 4), (3, 2, 2), bias=2, strides=(3,))
    yield case("stride 1", (1, 3, 5), (3, 2, 3), pads=(1, 0))
    yield case("grouped", (1, 4, 4), (4, 3, 5), bias=6, group=2, strides=(2,), pads=(0, 1))
    yield case("dilated", (1, 2, 5), (2, 3, 2), strides=(2,), dilations=(3,))
    yield case("dilated by the stride", (1, 2, 5), (2, 3, 3), strides=(2,), dilations=(4,), pads=(3, 1))
    yield case("2-D, grouped", (1, 4, 3, 4), (4, 2, 4, 3), bias=4, group=2, strides=(2, 3), pads=(1, 0, 1, 0))
    yield case("3-D", (1, 2, 2, 3, 2), (2, 2, 2, 3, 2), strides=(2, 2, 2), pads=(0, 1, 0, 0, 1, 1))
    yield case("pads that crop", (1, 2, 5), (2, 3, 4), strides=(2,), pads=(6, 3))
    yield case("SAME_LOWER", (1, 3, 5), (3, 2, 5), strides=(2,), auto_pad="SAME_LOWER")
    yield case("output_shape", (1, 3, 4), (3, 2, 3), strides=(2,), output_shape=(7,))
    yield case("a dynamic size", ("N", 3, "L"), (3, 2, 4), bias=2, strides=(2,), pads=(1, 1))
    yield case("dynamic sizes", ("N", 3, "H", "W"), (3, 2, 4, 2), strides=(2, 2), pads=(1, 0, 1, 0))
    yield case("opset 11", (1, 3, 4), (3, 2, 4), strides=(2,), opset=11)
    yield case("25 blocks", (1, 1, 3, 3), (1, 1, 5, 5), refuses="too many blocks to add")
    yield case("nothing comes out", (1, 3, 2), (3, 4, 1), pads=(1, 1), refuses="the output is empty")
    yield case(
        "a filter that is computed", (1, 3, 5), (3, 2, 4), computed=True, refuses="W of ConvTranspose is not a constant"
    )
    yield case("nothing goes in", (1, 2, 2, 0), (2, 3, 1, 4), strides=(1, 2), refuses="the data is empty")
    yield case(
        "output_shape and a dynamic size",
        (1, 3, "L"),
        (3, 4, 3),
        strides=(2,),
        output_shape=(10,),
        refuses="output_shape with a size that is not known: the pads depend on it",
    )


@replace_conv_transpose_with_overlap_add.samples
def samples(random: Random) -> Case:
    return transposed_sample(random, ranks=(1, 1, 1, 2, 3))
