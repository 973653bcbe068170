"""Fold a Pad with zeros into the padding of the convolution that follows.

Law    conv(pad(x, p), w, pads = q) = conv(x, w, pads = p + q)
Why    one full read and write of the activation less.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Tape, View, require, rewrite
from graphc_passes.nodes.padding import Padding
from graphc_passes.nodes.stated import attributes_of
from graphc_passes.sampling.convolutions import draw_conv


@rewrite("Conv", numerics="reassociates", improves=("bytes", "nodes"))
def fold_pad_into_conv(conv: View, op: Tape) -> ir.Value:
    pad = conv.producer("X", "Pad")
    padding = Padding.read(pad)
    require(padding.mode == "constant", "the padding reflects, repeats or wraps")
    require(padding.value == 0, "the padding is not zero")
    require(padding.spatial_only, "the batch or the channels are padded")
    require(not padding.crops, "a negative pad crops")
    require(conv.attr("auto_pad") in ("NOTSET", "VALID"), "auto_pad depends on the padded size")
    own = np.asarray(conv.attr("pads") or [0] * (2 * (padding.rank - 2))).reshape(2, -1)
    pads = np.stack([padding.before[2:], padding.after[2:]]) + own
    attributes = attributes_of(conv)
    return op.Conv(
        pad.required("data"),
        conv.required("W"),
        conv.input("B"),
        **attributes | {"pads": pads.reshape(-1).tolist(), "auto_pad": "NOTSET"},
    )


def _padded(g: CaseBuilder, widths: list[int], *more: ir.Value | None, **attributes: object) -> ir.Value:
    return g.Pad(g.input(1, 3, 5, 6), g.constant(widths), *more, **attributes)


ALL_SIDES = [0, 0, 1, 2, 0, 0, 3, 0]


@fold_pad_into_conv.cases
def cases() -> Iterator[Case]:
    yield Case("asymmetric", lambda g: g.Conv(_padded(g, ALL_SIDES), g.weight(4, 3, 3, 3)))
    yield Case(
        "onto its own pads, strided, with bias",
        lambda g: g.Conv(_padded(g, ALL_SIDES), g.weight(4, 3, 3, 3), g.weight(4), pads=(1, 0, 0, 1), strides=(2, 1)),
    )
    yield Case(
        "an explicit zero",
        lambda g: g.Conv(_padded(g, ALL_SIDES, g.constant(np.float32(0))), g.weight(4, 3, 3, 3), auto_pad="VALID"),
    )
    yield Case(
        "axes, permuted and negative",
        lambda g: g.Conv(_padded(g, [1, 2, 3, 0], None, g.constant([-1, 2])), g.weight(4, 3, 3, 3)),
    )
    yield Case("computed weights", lambda g: g.Conv(_padded(g, ALL_SIDES), g.input(4, 3, 3, 3)))
    yield Case(
        "a dynamic size",
        lambda g: g.Conv(g.Pad(g.input("N", 3, "H", "W"), g.constant(ALL_SIDES)), g.weight(4, 3, 3, 3)),
    )
    yield Case("opset 9", lambda g: g.Conv(g.Pad(g.input(1, 3, 5, 6), pads=ALL_SIDES), g.weight(4, 3, 3, 3)), opset=9)
    yield Case(
        "reflected",
        lambda g: g.Conv(_padded(g, [0, 0, 1, 2, 0, 0, 3, 0], mode="reflect"), g.weight(4, 3, 3, 3)),
        refuses="the padding reflects, repeats or wraps",
    )
    yield Case(
        "with ones",
        lambda g: g.Conv(_padded(g, ALL_SIDES, g.constant(np.float32(1))), g.weight(4, 3, 3, 3)),
        refuses="the padding is not zero",
    )
    yield Case(
        "channels",
        lambda g: g.Conv(_padded(g, [0, 1, 0, 0, 0, 0, 0, 0]), g.weight(4, 4, 3, 3)),
        refuses="the batch or the channels are padded",
    )
    yield Case(
        "a crop",
        lambda g: g.Conv(_padded(g, [0, 0, -1, 0, 0, 0, 0, 1]), g.weight(4, 3, 3, 3), pads=(1, 1, 1, 1)),
        refuses="a negative pad crops",
    )
    yield Case(
        "auto_pad",
        lambda g: g.Conv(
            g.Pad(g.input("N", 3, "H", "W"), g.constant(ALL_SIDES)), g.weight(4, 3, 3, 3), auto_pad="SAME_UPPER"
        ),
        refuses="auto_pad depends on the padded size",
    )


@fold_pad_into_conv.samples
def samples(random: Random) -> Case:
    drawn, opset = draw_conv(random), random.choice((9, 11, 13, 19, 20))
    rank = len(drawn.data)
    least = -1 if random.random() < 0.1 else 0
    widths = [random.randint(least, 2) if axis % rank > 1 else 0 for axis in range(2 * rank)]
    mode = "constant" if random.random() < 0.8 else random.choice(("edge", "reflect"))
    value = random.choice((None, 0.0, 0.0, 0.5)) if mode == "constant" else None

    def build(g: CaseBuilder) -> ir.Value:
        x = g.input(*drawn.data)
        if g.opset < 11:
            return drawn.of(g, g.Pad(x, pads=widths, mode=mode, value=value))
        fill = None if value is None else g.constant(np.float32(value))
        return drawn.of(g, g.Pad(x, g.constant(widths), fill, mode=mode))

    return Case(f"{mode} {widths} {value}, {drawn}", build, opset=opset, seed=random.getrandbits(32))
