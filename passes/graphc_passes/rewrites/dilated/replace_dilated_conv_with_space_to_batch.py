"""Replace a dilated convolution with a dense one over the phases of its input, which move to the batch axis.

Law    With g = gcd(s, d), P = d/g and n = P·n' + r:   s·n + d·t = s·r + d·(s/g·n' + t)
       so output phase r is the dense convolution of x[s·r::d] with stride s/g, whatever the padding. For s = 1 the
       phases are a Reshape, Transpose, Reshape; else slices side by side. At the end what is too much is cropped.
Why    Dense convolutions have the faster kernels (Winograd, tensor cores) where dilated ones fall back; FLOPs stay.
       TensorFlow's SpaceToBatchND is this; semantic segmentation networks (Yu and Koltun, ICLR 2016) are made of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import gcd
from random import Random
from typing import Any

import onnx_ir as ir

from graphc import Case, Refusal, Tape, View, rewrite
from graphc_passes.nodes.nests import both_sides
from graphc_passes.nodes.padding import zero_padded
from graphc_passes.nodes.rearranging import batch_to_space, crop_to, space_to_batch
from graphc_passes.nodes.sizes import Size, sizes_of, to_a_multiple
from graphc_passes.nodes.slicing import TO_THE_END, Cut, sliced
from graphc_passes.nodes.windows import Window, WindowedConv
from graphc_passes.sampling.convolutions import draw_conv, plain_conv


@dataclass(frozen=True)
class _Phased:
    """One axis and its number of phases that do not mix; with only one, nothing of it moves to the batch."""

    window: Window
    block: int

    @classmethod
    def of(cls, window: Window) -> _Phased:
        return cls(window, window.dilation // gcd(window.stride, window.dilation))

    @property
    def moves(self) -> bool:
        return self.block > 1

    @property
    def stride(self) -> int:
        """Of the convolution of the phases."""
        return self.window.stride * self.block // self.window.dilation if self.moves else self.window.stride

    @property
    def behind(self) -> int:
        """Zeros behind the padded axis with which every phase has an element at each of its places."""
        return self.window.stride * (self.block - 1)

    def phase(self, number: int) -> Cut:
        """Where that output phase reads the padded axis."""
        first = self.window.stride * number
        return Cut(first, first - self.behind or TO_THE_END, self.window.dilation)


@rewrite("Conv", numerics="reassociates")
def replace_dilated_conv_with_space_to_batch(root: View, op: Tape) -> ir.Value:
    conv = WindowedConv.read(root)
    axes = [_Phased.of(window) for window in conv.windows]
    if not any(axis.moves for axis in axes):
        raise Refusal("no axis is dilated, or the dilations divide the strides")
    lengths = sizes_of(op, conv.data)[2:]
    by_reshape = all(axis.window.stride == 1 for axis in axes if axis.moves)
    low = op.Conv(
        _reshaped(op, conv, axes, lengths) if by_reshape else _sliced(op, conv, axes),
        conv.filter,
        conv.bias,
        group=conv.groups,
        strides=[axis.stride for axis in axes],
        dilations=[1 if axis.moves else axis.window.dilation for axis in axes],
        pads=both_sides([(0, 0) if axis.moves else axis.window.pads for axis in axes]),
    )
    full = batch_to_space(op, low, conv.out_channels, [axis.block for axis in axes])
    made = zip(axes, lengths, sizes_of(op, full)[2:], strict=True)
    return crop_to(op, full, [axis.window.outputs(length) if axis.moves else size for axis, length, size in made])


def _reshaped(op: Tape, conv: WindowedConv, axes: Sequence[_Phased], lengths: Sequence[Size]) -> ir.Value:
    """The phases as every `block`-th element of the input, padded to a multiple of it."""
    end: list[Size] = []
    for axis, length in zip(axes, lengths, strict=True):
        padded = length + (axis.window.begin + axis.window.end)
        end.append(to_a_multiple(padded, axis.block) + axis.window.end if axis.moves else 0)
    begin = [axis.window.begin if axis.moves else 0 for axis in axes]
    padded_data = zero_padded(op, conv.data, begin, end)
    return space_to_batch(op, padded_data, conv.in_channels, [axis.block for axis in axes])


def _sliced(op: Tape, conv: WindowedConv, axes: Sequence[_Phased]) -> ir.Value:
    """The phases one by one, in the order that `space_to_batch` has: the first axis outermost."""
    begin = [axis.window.begin if axis.moves else 0 for axis in axes]
    found = zero_padded(op, conv.data, begin, [axis.window.end + axis.behind if axis.moves else 0 for axis in axes])
    for place, axis in reversed(list(enumerate(axes, 2))):
        if axis.moves:
            found = op.Concat(*(sliced(op, found, {place: axis.phase(r)}) for r in range(axis.block)), axis=0)
    return found


def _case(name: str, x: tuple[int | str, ...], w: tuple[int, ...], **attributes: Any) -> Case:
    drawn = plain_conv(x, w, **attributes)
    return Case(name, drawn.of, oracle=drawn.oracle)


@replace_dilated_conv_with_space_to_batch.cases
def cases() -> Iterator[Case]:
    square = (1, 2, 7, 6), (3, 2, 3, 3)
    yield _case("same size", *square, bias=True, dilations=(2, 2), pads=(2, 2, 2, 2))
    yield _case("unequal dilations, a dense axis with a stride", *square, dilations=(3, 1), strides=(1, 2))
    yield _case("the dilation divides no stride", *square, dilations=(3, 2), strides=(2, 1), pads=(3, 1, 0, 2))
    yield _case("stride and dilation share a factor", (1, 1, 8, 8), (2, 1, 2, 2), dilations=(4, 2), strides=(2, 2))
    yield _case("grouped, in a batch", (2, 4, 5, 4), (4, 2, 2, 2), group=2, dilations=(2, 2))
    yield _case("causal, 1-D", (1, 2, 8), (2, 2, 3), dilations=(3,), pads=(6, 0))
    yield _case("3-D", (1, 1, 3, 3, 3), (1, 1, 2, 2, 2), dilations=(2, 1, 2))
    yield _case("SAME_LOWER", (1, 2, 6), (2, 2, 2), dilations=(3,), auto_pad="SAME_LOWER")
    yield _case("dynamic sizes", ("N", 1, "H", "W"), (2, 1, 3, 2), dilations=(2, 3), pads=(2, 2, 0, 1))
    yield _case("dynamic sizes, a stride", ("N", 1, "L"), (2, 1, 3), dilations=(2,), strides=(3,), pads=(2, 1))
    yield Case(
        "no dilation",
        lambda g: g.Conv(g.input(1, 2, 5, 5), g.weight(3, 2, 3, 3), strides=(2, 1)),
        refuses="no axis is dilated, or the dilations divide the strides",
    )
    yield Case(
        "a filter of unknown size",
        lambda g: g.Conv(g.input(1, 2, 5), g.input(3, 2, "K"), dilations=(2,)),
        refuses="the shape of 'x1' is not known",
    )
    yield Case(
        "auto_pad, dynamic and strided",
        lambda g: g.Conv(g.input(1, 2, "L"), g.weight(3, 2, 2), auto_pad="SAME_UPPER", strides=(2,), dilations=(3,)),
        refuses="auto_pad with a stride over a size that is not known",
        oracle="reference",
    )


@replace_dilated_conv_with_space_to_batch.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, dilations=4)
    return Case(str(drawn), drawn.of, seed=random.getrandbits(32), oracle=drawn.oracle)
