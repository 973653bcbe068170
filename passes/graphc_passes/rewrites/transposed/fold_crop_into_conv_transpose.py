"""Fold a crop of its outputs into the pads of a transposed convolution.

Law    conv_transpose(x, w, pads (p, e))[b : −c] = conv_transpose(x, w, pads (p + b, e + c))     on each spatial axis,
       where output padding counts as pads below zero; where a size at run time leaves nothing the operator says so
Why    one read and write of the activation less, and outputs that nobody wants are not made. Upsamplers of vocoders and
       U-Nets crop so (causal padding, sizes that do not fit).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Axis, Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.nests import read_nest
from graphc_passes.nodes.slicing import Cut, read_slice, sliced
from graphc_passes.nodes.transposed import transposed_attributes
from graphc_passes.sampling.convolutions import draw_conv


@rewrite("Slice", numerics="reassociates", improves=("bytes", "nodes"))
def fold_crop_into_conv_transpose(root: View, op: Tape) -> ir.Value:
    conv, cuts = root.producer("data", "ConvTranspose"), read_slice(root)
    require(all(cut.step == 1 for cut in cuts.values()), "the slice takes steps")
    nest = read_nest(conv)
    for axis, length in ((0, None), (1, nest.out_channels)):
        require(axis not in cuts or _is_whole(cuts[axis], length), "the slice takes some of the batch or the channels")
    data = conv.required("X")
    assert data.shape is not None
    cropped = [
        _cropped(axis, cuts[2 + index], isinstance(size, int)) if 2 + index in cuts else axis
        for index, (axis, size) in enumerate(zip(nest.axes, data.shape[2:], strict=True))
    ]
    require(all(axis.output > 0 for axis in cropped), "nothing is left")
    attributes = transposed_attributes(cropped, nest.groups)
    return op.ConvTranspose(data, conv.required("W"), conv.input("B"), **attributes)


def _is_whole(cut: Cut, length: int | None) -> bool:
    """Whether the cut takes all of an axis of that length, or of any."""
    return cut.whole if length is None else cut.of(length) == range(length)


def _cropped(axis: Axis, cut: Cut, known: bool) -> Axis:
    """The axis of the outputs that the cut takes. Raises Refusal where that depends on a size that is not known."""
    if not known and (cut.start < 0 or 0 <= cut.stop < np.iinfo(np.int32).max):
        raise Refusal("the crop depends on a size that is not known")
    taken = cut.of(axis.output)
    return replace(axis.preceded_by(-taken.start), output=len(taken))


def _sliced(g: CaseBuilder, made: ir.Value, cuts: Mapping[int, tuple[int, int]], step: int = 1) -> ir.Value:
    return sliced(g, made, {axis: Cut(start, stop, step) for axis, (start, stop) in cuts.items()})


@fold_crop_into_conv_transpose.cases
def cases() -> Iterator[Case]:
    def conv(g: CaseBuilder, *spatial: int | str, **attributes: object) -> ir.Value:
        taps = [3] * len(spatial)
        return g.ConvTranspose(g.input(2, 3, *spatial), g.weight(3, 2, *taps), g.weight(2), **attributes)

    to_end = np.iinfo(np.int64).max
    yield Case("both sides", lambda g: _sliced(g, conv(g, 4, 5, strides=(2, 2)), {2: (1, -1), 3: (2, -1)}))
    yield Case(
        "on pads and output padding",
        lambda g: _sliced(g, conv(g, 4, strides=(3,), pads=(1, 1), output_padding=(2,)), {2: (0, -1)}),
    )
    yield Case("to a size", lambda g: _sliced(g, conv(g, 4, strides=(2,)), {2: (0, 8)}))
    yield Case("from the end", lambda g: _sliced(g, conv(g, 4, strides=(2,)), {2: (-7, to_end)}))
    yield Case("grouped, dilated, one axis", lambda g: _sliced(g, _grouped(g), {3: (1, to_end)}))
    yield Case("3-D", lambda g: _sliced(g, conv(g, 2, 3, 2, strides=(2, 2, 2), pads=(0, 0, 0, 1, 1, 1)), {4: (0, -1)}))
    yield Case("SAME_LOWER", lambda g: _sliced(g, conv(g, 4, strides=(2,), auto_pad="SAME_LOWER"), {2: (1, -1)}))
    yield Case("output_shape", lambda g: _sliced(g, conv(g, 4, strides=(2,), output_shape=(8,)), {2: (1, -1)}))
    yield Case("dynamic sizes", lambda g: _sliced(g, conv(g, "H", "W", strides=(2, 2)), {2: (1, to_end), 3: (0, -1)}))
    yield Case("weights that are computed", lambda g: _sliced(g, _computed(g), {2: (1, -1)}))
    yield Case("opset 9", lambda g: _sliced(g, conv(g, 4, 5, strides=(2, 2)), {2: (1, -1)}), opset=9)
    yield Case("all channels too", lambda g: _sliced(g, conv(g, 4), {0: (0, to_end), 1: (0, 2), 2: (0, -1)}))
    yield Case(
        "every second output",
        lambda g: _sliced(g, conv(g, "L", strides=(2,)), {2: (0, to_end)}, step=2),
        refuses="the slice takes steps",
    )
    yield Case(
        "one of the batch",
        lambda g: _sliced(g, g.ConvTranspose(g.input("N", 3, 4), g.weight(3, 2, 3)), {0: (0, 1)}),
        refuses="the slice takes some of the batch or the channels",
    )
    yield Case(
        "to a size of a dynamic one",
        lambda g: _sliced(g, conv(g, "L", strides=(2,)), {2: (0, 6)}),
        refuses="the crop depends on a size that is not known",
    )
    yield Case("nothing is left", lambda g: _sliced(g, conv(g, 4), {2: (5, 5)}), refuses="nothing is left")


def _grouped(g: CaseBuilder) -> ir.Value:
    attributes = {"group": 2, "strides": (1, 2), "dilations": (1, 2), "pads": (1, 0, 0, 1)}
    return g.ConvTranspose(g.input(1, 4, 3, 4), g.weight(4, 2, 2, 3), **attributes)


def _computed(g: CaseBuilder) -> ir.Value:
    return g.ConvTranspose(g.input(1, 3, 4), g.input(3, 2, 3), g.input(2), strides=(2,))


@fold_crop_into_conv_transpose.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, op_type="ConvTranspose", pads=random.choice((1, 3)))
    rank = len(drawn.data)
    axes = random.sample(range(2, rank), random.randint(1, rank - 2))
    dynamic, to_end = isinstance(drawn.data[2], str), np.iinfo(np.int64).max
    starts, stops = ((0, 1), (-1, to_end)) if dynamic else ((0, 1, 2, 3, -5), (-1, -2, 5, 8, to_end))
    cuts = {axis: (random.choice(starts), random.choice(stops)) for axis in axes}
    # ONNX Runtime aborts where an output has a negative size; a Slice may leave nothing, a ConvTranspose may not.
    pads = np.reshape(drawn.attributes.get("pads", [0] * 2 * (rank - 2)), (2, -1)).sum(axis=0).tolist()
    grown = [size + pad if isinstance(size, int) else size for size, pad in zip(drawn.data[2:], pads, strict=True)]
    drawn = replace(drawn, data=(*drawn.data[:2], *grown))
    if dynamic and max(pads) > 2:
        drawn = replace(drawn, attributes={**drawn.attributes, "pads": [1, 1] * (rank - 2)})
    return Case(
        f"{drawn} cuts={cuts}",
        lambda g: _sliced(g, drawn.of(g), cuts),
        opset=random.choice((9, 11, 13, 20, 21)),
        seed=random.getrandbits(32),
    )
