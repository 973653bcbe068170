"""Winograd's minimal filtering of three taps, along two axes or one: its transforms, and what they do to rounding.

    Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A          d: (m+2)×(m+2) of the data, g: 3×3 of the filter, Y: m×m of the output

Along one axis the products of output o add up to Σᵢ |Aᵀ[o, i]|·(Σ|G[i]|)·(Σ|Bᵀ[i]|) of the largest |g|·|d|, where the
direct sum adds up to 3. The largest ratio of the two is how much more the roundings weigh: `growth`, once per axis.
Sources: Lavin & Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016; Barabasz et al., Error Analysis and
Improving the Accuracy of Winograd Convolution for Deep Neural Networks, ACM TOMS 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import onnx_ir as ir

from graphc import Refusal, Tape, View
from graphc_passes.nodes.filters import ConstantConv
from graphc_passes.nodes.nests import read_nest
from graphc_passes.nodes.padding import padded
from graphc_passes.nodes.rearranging import crop_to, depth_to_space, with_spatial_of
from graphc_passes.nodes.sizes import sizes_of

TAPS = 3
MOST_CHANNELS = 512  # the bounds are those of a sum over so many
RANDOM_WALK = 0.6  # of a sum of K terms in two orders: 0.6·eps·√K of the largest result (graphc.runtime.tolerance)
FLOAT32_EPS = 2.0**-23


@dataclass(frozen=True, eq=False)
class Transforms:
    """F(m, 3): `output` Aᵀ [m, m+2], `filter` G [m+2, 3], `data` Bᵀ [m+2, m+2]."""

    output: np.ndarray
    filter: np.ndarray
    data: np.ndarray

    @property
    def m(self) -> int:
        """Outputs of a tile along one axis."""
        return len(self.output)

    @property
    def n(self) -> int:
        """Inputs of a tile along one axis."""
        return len(self.data)

    @property
    def growth(self) -> float:
        """How much more the roundings of one axis weigh than those of the direct sum."""
        products = np.abs(self.filter).sum(1) * np.abs(self.data).sum(1)
        return float((np.abs(self.output) @ products).max()) / TAPS

    def bound(self, axes: int) -> float:
        """How far a float32 convolution of MOST_CHANNELS may move, along so many axes, of its largest output."""
        return RANDOM_WALK * FLOAT32_EPS * sqrt(TAPS**2 * MOST_CHANNELS) * self.growth**axes


F2 = Transforms(
    output=np.array([[1, 1, 1, 0], [0, 1, -1, -1]]),
    filter=np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]) / 2,
    data=np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]),
)
F4 = Transforms(
    output=np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]),
    filter=np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24,
    data=np.array(
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ]
    ),
)


def read_dense_3x3(root: View) -> tuple[ConstantConv, list[tuple[int, int]]]:
    """A Conv and its pads. Raises Refusal unless it is 2-D, 3 × 3, of stride, dilation and group 1."""
    conv, axes = ConstantConv.read(root), read_nest(root).axes
    if conv.groups != 1 or any((axis.taps, axis.down, axis.step) != (TAPS, 1, 1) for axis in axes) or len(axes) != 2:
        raise Refusal("not a dense 3 × 3 convolution of stride and dilation 1")
    if any(axis.output == 0 for axis in axes):
        raise Refusal("the output is empty")
    return conv, [axis.pads for axis in axes]


def winograd(op: Tape, conv: ConstantConv, pads: list[tuple[int, int]], by: Transforms) -> ir.Value:
    """The convolution, by tiles of m × m outputs."""
    data, like = conv.view.required("X"), conv.view.required("W")
    (top, bottom), (left, right) = pads
    more = by.m - 1  # so many rows and columns at the end always make whole tiles
    frame = padded(op, data, [0, 0, top, left], [0, 0, bottom + more, right + more])
    tiles = _data_tiles(op, frame, conv.in_channels, by, like)
    lines = op.Reshape(tiles, op.constant([0, conv.in_channels, by.n**2, -1]))
    filters = np.einsum("ia,kcab,jb->ijkc", by.filter, conv.filter, by.filter)
    rows = op.constant(filters.reshape(by.n**2, conv.out_channels, conv.in_channels), like=like, name="weight")
    products = op.MatMul(rows, op.Transpose(lines, perm=(0, 2, 1, 3)))
    together = op.constant(np.kron(by.output, by.output), like=like, name="output_transform")
    outputs = op.MatMul(together, op.Reshape(products, op.constant([0, by.n**2, -1])))
    low = with_spatial_of(op, outputs, by.m**2 * conv.out_channels, tiles)
    full = depth_to_space(op, low, conv.out_channels, [by.m, by.m], mode="DCR")
    sizes = [size + (sum(pair) - (TAPS - 1)) for size, pair in zip(sizes_of(op, data)[2:], pads, strict=True)]
    return _shifted(op, conv, crop_to(op, full, sizes))


def _data_tiles(op: Tape, frame: ir.Value, channels: int, by: Transforms, like: ir.Value) -> ir.Value:
    """Bᵀ d B of every tile: [N, channels·n·n, tiles, tiles]; first the columns of a tile, then the rows."""
    columns = np.tile(by.data, (channels, 1))[:, None, :, None]
    rows = np.tile(by.data, (channels * by.n, 1))[:, None, None, :]
    half = op.Conv(frame, op.constant(columns, like=like, name="data_transform"), strides=(by.m, 1), group=channels)
    return op.Conv(half, op.constant(rows, like=like, name="data_transform"), strides=(1, by.m), group=channels * by.n)


def read_rows_of_3(root: View) -> tuple[ConstantConv, list[int]]:
    """A Conv and its pads. Raises Refusal unless it has three taps along its last axis, of stride and dilation 1."""
    conv = ConstantConv.read(root)
    rank = conv.rank - 2
    steps = [(root.attr(name) or [1] * rank)[-1] for name in ("strides", "dilations")]
    if conv.groups != 1 or conv.filter.shape[-1] != TAPS or steps != [1, 1]:
        raise Refusal("not a dense convolution of three taps along its last axis, of stride and dilation 1")
    if root.attr("auto_pad") not in ("NOTSET", "VALID"):
        raise Refusal("auto_pad pads it")
    made = root.node.outputs[0].shape
    if made is None or 0 in made:
        raise Refusal("the output is empty")
    return conv, list(root.attr("pads") or [0] * (2 * rank))


def row_winograd(op: Tape, conv: ConstantConv, pads: list[int], by: Transforms) -> ir.Value:
    """The convolution, by pieces of m outputs of a row; along the other axes it stays what it is."""
    data, like, rank = conv.view.required("X"), conv.view.required("W"), conv.rank - 2
    begin, end, others = pads[rank - 1], pads[2 * rank - 1], [1] * (rank - 1)
    frame = padded(op, data, [0] * (rank + 1) + [begin], [0] * (rank + 1) + [end + by.m - 1])
    transform = np.tile(by.data, (conv.in_channels, 1)).reshape(-1, 1, *others, by.n)
    pieces = op.Conv(
        frame, op.constant(transform, like=like, name="data_transform"), strides=[*others, by.m], group=conv.in_channels
    )
    lines = op.Transpose(op.Reshape(pieces, op.constant([0, conv.in_channels, by.n, -1])), perm=(0, 2, 1, 3))
    filters = np.einsum("ia,kc...a->ikc...", by.filter, conv.filter)
    stated = {name: conv.view.attr(name) for name in ("strides", "dilations")}
    products = op.Conv(
        with_spatial_of(op, lines, by.n * conv.in_channels, pieces),
        op.constant(filters.reshape(-1, *filters.shape[2:], 1), like=like, name="weight"),
        group=by.n,
        pads=[pad if axis % rank < rank - 1 else 0 for axis, pad in enumerate(pads)],
        **stated,
    )
    back = op.constant(by.output, like=like, name="output_transform")
    outputs = op.MatMul(back, op.Reshape(products, op.constant([0, by.n, -1])))
    low = with_spatial_of(op, outputs, by.m * conv.out_channels, products)
    full = depth_to_space(op, low, conv.out_channels, [*others, by.m], mode="DCR")
    length = sizes_of(op, data)[-1] + (begin + end - (TAPS - 1))
    return _shifted(op, conv, crop_to(op, full, [*sizes_of(op, full)[2:-1], length]))


def _shifted(op: Tape, conv: ConstantConv, result: ir.Value) -> ir.Value:
    """With the convolution's bias, if it has one."""
    if conv.view.input("B") is None:
        return result
    bias = conv.bias.reshape(-1, *[1] * (conv.rank - 2))
    return op.Add(result, op.constant(bias, like=conv.view.required("W"), name="bias"))
