"""Fold channels that are constants out of the data of a convolution: coordinates, masks, a channel of ones.

Law    conv(concat(x, c), w, b) = conv(x, w over the channels of x) + conv(c, w over those of c, b)
       the second term is a constant: a bias where c is the same everywhere and no padding meets it
Why    the multiplications over constants are done once; this is the CoordConv of Liu et al. (NeurIPS 2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, constant, read_convolution, require, rewrite
from graphc_passes.nodes.filters import ConstantConv, survives
from graphc_passes.sampling.convolutions import draw_conv

CONVOLUTIONS = ("Conv", "ConvTranspose")


@rewrite(*CONVOLUTIONS, numerics="reassociates", improves=("macs",))
def fold_constant_channels_into_conv(root: View, op: Tape, *, largest_shift: int = 1 << 20) -> ir.Value:
    concat, conv = root.producer("X", "Concat"), ConstantConv.read(root)
    if concat.attr("axis") not in (1, 1 - conv.rank):
        raise Refusal("the Concat is not one of channels")
    if conv.groups != 1:
        raise Refusal("the convolution is grouped: constants may share a group with data")
    parts = [(value, constant(value)) for value in concat.inputs() if value is not None]
    varying = [value for value, content in parts if content is None]
    if not 0 < len(varying) < len(parts):
        raise Refusal("it takes channels of both kinds, constant and not")
    fixed = np.concatenate([_is_constant(*part) for part in parts])
    level = np.concatenate([content for _, content in parts if content is not None], axis=1).astype(np.float64)
    nest = replace(read_convolution(root, [len(level), conv.in_channels, *level.shape[2:]]), in_channels=level.shape[1])
    require(
        prod(nest.out_shape) <= largest_shift,
        "what the constants make is large",
        conservative="a constant as large as an activation makes the model large",
    )
    bias = _narrowed(nest.run(level, conv.filter[:, fixed], conv.bias), conv.borderless and _is_uniform(level))
    filter_ = conv.filter[:, ~fixed]
    require(survives(filter_, bias, root.required("W")), "what the constants make would overflow or underflow")
    data = varying[0] if len(varying) == 1 else op.Concat(*varying, axis=1)
    return conv.remade(op, data, filter_, bias)


def _is_constant(value: ir.Value, content: np.ndarray | None) -> np.ndarray:
    """For each channel of a value. Raises Refusal when their number is not known."""
    channels = content.shape[1] if content is not None else value.shape[1] if value.shape is not None else None
    if not isinstance(channels, int):
        raise Refusal("the number of channels is not known")
    return np.full(channels, content is not None)


def _is_uniform(level: np.ndarray) -> bool:
    """Whether each channel of [N, C, ...] is one number."""
    first = level[(slice(1), slice(None), *[slice(1)] * (level.ndim - 2))]
    return bool((level == first).all())


def _narrowed(made: np.ndarray, uniform: bool) -> np.ndarray:
    """[N, C, ...] with one number per channel, if it is uniform and not empty."""
    if not uniform or not made.size:
        return made
    return made[(slice(1), slice(None), *[slice(1)] * (made.ndim - 2))]


def _coordinates(g: CaseBuilder, batch: int, sizes: Sequence[int]) -> ir.Value:
    """[batch, len(sizes), *sizes]: where each element lies, from -1 to 1."""
    grids = np.meshgrid(*(np.linspace(-1, 1, size) for size in sizes), indexing="ij")
    return g.constant(np.broadcast_to(np.stack(grids), (batch, len(sizes), *sizes)).astype(g.dtype.numpy()))


def _level(g: CaseBuilder, *shape: int, value: float = 0.7) -> ir.Value:
    return g.constant(np.full(shape, value, g.dtype.numpy()))


@fold_constant_channels_into_conv.cases
def cases() -> Iterator[Case]:
    yield Case(
        "coordinates, padded, with bias",
        lambda g: g.Conv(
            g.Concat(g.input(1, 3, 5, 6), _coordinates(g, 1, (5, 6)), axis=1),
            g.weight(4, 5, 3, 3),
            g.weight(4),
            pads=(1, 1, 1, 1),
        ),
    )
    yield Case(
        "coordinates first, strided, a batch",
        lambda g: g.Conv(
            g.Concat(_coordinates(g, 2, (5, 6)), g.input(2, 3, 5, 6), axis=-3), g.weight(4, 5, 3, 3), strides=(2, 2)
        ),
    )
    yield Case(
        "on both sides and between two others, 1-D",
        lambda g: g.Conv(
            g.Concat(
                g.weight(1, 1, 6), g.input(1, 2, 6), g.weight(1, 2, 6), g.input(1, 1, 6), g.weight(1, 1, 6), axis=1
            ),
            g.weight(2, 7, 3),
        ),
    )
    yield Case(
        "a channel of one number, no padding",
        lambda g: g.Conv(g.Concat(g.input(1, 3, 5, 6), _level(g, 1, 1, 5, 6), axis=1), g.weight(4, 4, 3, 3)),
    )
    yield Case(
        "a channel of one number, padded",
        lambda g: g.Conv(
            g.Concat(g.input(1, 3, 5, 6), _level(g, 1, 1, 5, 6), axis=1), g.weight(4, 4, 3, 3), auto_pad="SAME_UPPER"
        ),
    )
    yield Case(
        "transposed",
        lambda g: g.ConvTranspose(
            g.Concat(g.input(1, 3, 4, 3), _coordinates(g, 1, (4, 3)), axis=1), g.weight(5, 2, 3, 3), strides=(2, 1)
        ),
    )
    yield Case(
        "more than the option allows",
        lambda g: g.Conv(g.Concat(g.input(1, 3, 5, 6), g.weight(1, 1, 5, 6), axis=1), g.weight(4, 4, 1, 1)),
        refuses="what the constants make is large",
        options={"largest_shift": 119},
    )
    yield Case(
        "a sum that overflows",
        _overflowing,
        refuses="what the constants make would overflow or underflow",
    )
    yield Case(
        "side by side along the width",
        lambda g: g.Conv(g.Concat(g.input(1, 3, 5, 6), g.weight(1, 3, 5, 2), axis=3), g.weight(4, 3, 1, 1)),
        refuses="the Concat is not one of channels",
    )
    yield Case(
        "depthwise",
        lambda g: g.Conv(g.Concat(g.input(1, 3, 5, 6), g.weight(1, 1, 5, 6), axis=1), g.weight(4, 1, 3, 3), group=4),
        refuses="the convolution is grouped: constants may share a group with data",
    )
    yield Case(
        "no constant",
        lambda g: g.Conv(g.Concat(g.input(1, 3, 5, 6), g.input(1, 1, 5, 6), axis=1), g.weight(4, 4, 1, 1)),
        refuses="it takes channels of both kinds, constant and not",
    )


def _overflowing(g: CaseBuilder) -> ir.Value:
    """-3e38 + 3e38 + 3e38 is an ordinary number, but the two constants together are not."""
    x = g.input(1, 1, 2, 2)
    data = g.Concat(g.Exp(g.Sub(x, x)), _level(g, 1, 2, 2, 2, value=1), axis=1)
    return g.Conv(data, g.constant(np.asarray([-3e38, 3e38, 3e38], np.float32).reshape(1, 3, 1, 1)))


@fold_constant_channels_into_conv.samples
def samples(random: Random) -> Case:
    op_type, more = random.choice(CONVOLUTIONS), random.randint(1, 2)
    drawn = draw_conv(random, op_type=op_type, groups=(1,))
    batch, channels, *spatial = drawn.data
    sizes = [size if isinstance(size, int) else random.randint(1, 7) for size in spatial]
    fixed = random.choice((1, 1, 2)) if isinstance(batch, str) else batch
    filter_ = list(drawn.filter)
    filter_[0 if op_type == "ConvTranspose" else 1] += more
    uniform, first = random.random() < 0.4, random.random() < 0.5

    def build(g: CaseBuilder) -> ir.Value:
        shape = (fixed, more, *sizes)
        parts = g.input(batch, channels, *spatial), _level(g, *shape) if uniform else g.weight(*shape)
        data = g.Concat(*(reversed(parts) if first else parts), axis=1)
        return replace(drawn, filter=tuple(filter_)).of(g, data)

    return Case(
        f"{more} channels of {'one number' if uniform else 'constants'}, {drawn}", build, seed=random.getrandbits(32)
    )
