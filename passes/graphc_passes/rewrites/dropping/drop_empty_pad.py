"""Drop a Pad that adds nothing.

Law    pad(x, 0) = x     in every mode
Why    one full read and write of the activation less; exporters leave such nodes behind where a width is computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Tape, View, require, rewrite
from graphc_passes.nodes.padding import Padding

MODES = ("constant", "reflect", "edge")


@rewrite("Pad", numerics="exact", improves=("bytes", "nodes"))
def drop_empty_pad(pad: View, op: Tape) -> ir.Value:
    padding = Padding.read(pad)
    require(not padding.before.any() and not padding.after.any(), "it pads or crops")
    return pad.required("data")


@drop_empty_pad.cases
def cases() -> Iterator[Case]:
    yield Case("zeros", lambda g: g.Relu(g.Pad(g.input("N", 3, "L"), g.constant([0] * 6))))
    yield Case("reflected", lambda g: g.Relu(g.Pad(g.input(2, 3), g.constant([0] * 4), mode="reflect")))
    yield Case(
        "a value and axes",
        lambda g: g.Relu(g.Pad(g.input(2, 3), g.constant([0, 0]), g.constant(np.float32(1)), g.constant([-1]))),
    )
    yield Case("opset 9", lambda g: g.Relu(g.Pad(g.input(2, 3), pads=[0] * 4)), opset=9)
    yield Case(
        "one side", lambda g: g.Neg(g.Pad(g.input(2, "W"), g.constant([0, 0, 0, 1]))), refuses="it pads or crops"
    )
    yield Case(
        "a crop and as many back",
        lambda g: g.Relu(g.Pad(g.input(2, 3), g.constant([0, -1, 0, 1]))),
        refuses="it pads or crops",
    )
    yield Case(
        "widths that are computed",
        lambda g: g.Relu(g.Pad(g.input(2, 3), g.input(4, dtype=ir.DataType.INT64))),
        refuses="pads of Pad is not a constant",
    )


@drop_empty_pad.samples
def samples(random: Random) -> Case:
    rank, opset, mode = random.randint(1, 4), random.choice((9, 11, 13, 19, 20)), random.choice(MODES)
    widths = [0 if random.random() < 0.95 else random.randint(-1, 1) for _ in range(2 * rank)]
    shape = [random.randint(1, 4) if random.random() < 0.8 else "N" for _ in range(rank)]

    def build(g: CaseBuilder) -> ir.Value:
        x = g.input(*shape)
        made = g.Pad(x, pads=widths, mode=mode) if g.opset < 11 else g.Pad(x, g.constant(widths), mode=mode)
        return g.Neg(made)

    return Case(f"{shape} {mode} {widths}", build, opset=opset, seed=random.getrandbits(32))
