"""Drop the taps at the borders of a transposed convolution's kernel that are zero in every channel.

Law    conv_transpose(x, w, pads (p, e)) = conv_transpose(x, w[n : taps − m], pads (p − d·n, e − d·m))
       where the n first and the m last taps are zero; output padding stands for an end pad below zero;
       for finite data: 0·∞ is not a number
Why    a multiplication less for every input and tap. A kernel filled up to a multiple of its stride has such taps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Axis, Case, CaseBuilder, Refusal, Tape, View, rewrite
from graphc_passes.nodes.nests import read_nest
from graphc_passes.nodes.transposed import transposed_attributes
from graphc_passes.sampling.convolutions import draw_conv


@rewrite("ConvTranspose", numerics="reassociates", improves=("macs", "bytes"))
def drop_zero_taps_from_conv_transpose(root: View, op: Tape) -> ir.Value:
    weights, nest = root.constant("W"), read_nest(root)
    kept = [_kept(axis, _used(weights, 2 + index)) for index, axis in enumerate(nest.axes)]
    if all(len(taps) == axis.taps for taps, axis in zip(kept, nest.axes, strict=True)):
        raise Refusal("no tap at a border is zero, or the pads have no room for it")
    axes = [
        replace(axis, taps=len(taps), pad=axis.pad - axis.step * taps.start)
        for axis, taps in zip(nest.axes, kept, strict=True)
    ]
    filter_ = weights[(slice(None), slice(None), *(slice(taps.start, taps.stop) for taps in kept))]
    return op.ConvTranspose(
        root.required("X"),
        op.constant(filter_, like=root.required("W"), name="weight"),
        root.input("B"),
        **transposed_attributes(axes, nest.groups),
    )


def _used(weights: np.ndarray, axis: int) -> range:
    """From the first to the last tap that is not zero everywhere; one tap where all are zero."""
    others = tuple(each for each in range(weights.ndim) if each != axis)
    used = np.flatnonzero(weights.any(axis=others))
    return range(used[0], used[-1] + 1) if used.size else range(1)


def _kept(axis: Axis, used: range) -> range:
    """The taps that stay: pads do not become negative, and output padding stays below the stride."""
    begin, end = axis.pads
    first = min(used.start, max(0, begin) // -axis.step)
    last = min(axis.taps - used.stop, max(0, end + axis.up - 1) // -axis.step)
    return range(first, axis.taps - last)


def _conv(
    g: CaseBuilder,
    data: tuple[int | str, ...],
    filter_: tuple[int, ...],
    zero: Sequence[tuple[int, int]],
    **attributes: object,
) -> ir.Value:
    """A ConvTranspose with that many zero taps at the begin and end of each axis."""
    content = np.zeros(filter_, g.dtype.numpy())
    inner = [slice(begin, size - end) for size, (begin, end) in zip(filter_[2:], zero, strict=True)]
    part = content[(slice(None), slice(None), *inner)]
    part[...] = g.random.standard_normal(part.shape)
    return g.ConvTranspose(g.input(*data), g.constant(content), **attributes)


@drop_zero_taps_from_conv_transpose.cases
def cases() -> Iterator[Case]:
    none = "no tap at a border is zero, or the pads have no room for it"
    conv = _conv
    yield Case("a tap at each end", lambda g: conv(g, (1, 3, 4), (3, 2, 5), [(1, 1)], strides=(2,), pads=(1, 1)))
    yield Case("into output padding", lambda g: conv(g, (1, 3, 4), (3, 2, 4), [(0, 2)], strides=(3,)))
    yield Case("as much as pads allow", lambda g: conv(g, (1, 3, 4), (3, 2, 5), [(2, 2)], strides=(2,), pads=(1, 0)))
    yield Case("dilated", lambda g: conv(g, (1, 3, 4), (3, 2, 4), [(1, 1)], strides=(2,), dilations=(2,), pads=(3, 2)))
    yield Case(
        "grouped, two axes",
        lambda g: conv(g, (1, 4, 3, 4), (4, 2, 4, 4), [(0, 1), (1, 0)], strides=(2, 2), group=2, pads=(0, 1, 0, 1)),
    )
    yield Case("nothing but zeros", lambda g: conv(g, (1, 3, 4), (3, 2, 3), [(1, 2)], strides=(3,), pads=(1, 1)))
    yield Case("SAME_UPPER", lambda g: conv(g, (1, 3, 4), (3, 2, 5), [(1, 1)], strides=(2,), auto_pad="SAME_UPPER"))
    yield Case(
        "dynamic sizes",
        lambda g: conv(g, ("N", 3, "L"), (3, 2, 5), [(1, 1)], strides=(2,), pads=(1, 1)),
        options={"when": "always"},  # macs of unknown sizes do not compare
    )
    yield Case("no zeros", lambda g: conv(g, (1, 3, 4), (3, 2, 3), [(0, 0)], pads=(1, 1)), refuses=none)
    yield Case("zeros within", lambda g: _holes(g), refuses=none)
    yield Case("no pads", lambda g: conv(g, (1, 3, 4), (3, 2, 3), [(1, 1)]), refuses=none)


def _holes(g: CaseBuilder) -> ir.Value:
    content = np.asarray([1, 0, 1], g.dtype.numpy()).reshape(1, 1, 3)
    return g.ConvTranspose(g.input(1, 1, 4), g.constant(content), strides=(2,), pads=(1, 1))


@drop_zero_taps_from_conv_transpose.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, op_type="ConvTranspose", kernel=6)
    zero = [(random.randint(0, 2), random.randint(0, 2)) for _ in drawn.filter[2:]]
    return Case(
        f"{drawn} zero={zero}",
        lambda g: _conv(g, drawn.data, drawn.filter, zero, **drawn.attributes),
        opset=random.choice((8, 11, 13, 20, 21)),
        seed=random.getrandbits(32),
    )
