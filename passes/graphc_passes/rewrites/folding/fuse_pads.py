"""Fuse two Pads in a row that fill with the same number, or that both repeat the edge.

Law    pad(pad(x, p), q) = pad(x, p + q)     for constants and edges; a reflection of a reflection is another one
Why    one full read and write of the activation less.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Tape, View, require, rewrite
from graphc_passes.nodes.padding import Padding


@rewrite("Pad", numerics="exact", improves=("bytes", "nodes"))
def fuse_pads(outer: View, op: Tape) -> ir.Value:
    inner = outer.producer("data", "Pad")
    first, second = Padding.read(inner), Padding.read(outer)
    require(first.mode == second.mode, "the two pad in different modes")
    require(first.mode in ("constant", "edge"), "a reflection of a reflection is another one")
    require(first.mode != "constant" or _same(first.value, second.value), "the two fill with different numbers")
    require(not first.crops and not second.crops, "one crops: what it takes away could be what the other added")
    before, after = first.before + second.before, first.after + second.after
    widths = [*before.tolist(), *after.tolist()]
    data = inner.required("data")
    if op.opset < 11:
        made = op.Pad(data, pads=widths, mode=first.mode, value=outer.attr("value"))
    else:
        made = op.Pad(data, op.constant(widths, name="pads"), outer.input("constant_value"), mode=first.mode)
    return made


def _same(a: float, b: float) -> bool:
    return a == b or (np.isnan(a) and np.isnan(b))


def _pads(g: CaseBuilder, first: list[int], second: list[int], **attributes: object) -> ir.Value:
    inner = g.Pad(g.input(1, 2, 4, 5), g.constant(first), **attributes)
    return g.Pad(inner, g.constant(second), **attributes)


def _filled(g: CaseBuilder, first: float | None, second: float | None) -> ir.Value:
    """Two Pads by constants; None leaves the value out."""
    x, widths = g.input(1, 2, 4), g.constant([0, 0, 1, 0, 0, 2])
    for value in (first, second):
        x = g.Pad(x, widths, None if value is None else g.constant(np.float32(value)))
    return x


BOTH = ([0, 0, 1, 2, 0, 0, 3, 0], [0, 1, 0, 1, 0, 0, 1, 2])


@fuse_pads.cases
def cases() -> Iterator[Case]:
    yield Case("with zeros", lambda g: _pads(g, *BOTH))
    yield Case("at the edge", lambda g: _pads(g, *BOTH, mode="edge"))
    yield Case("zero by default and said", lambda g: _filled(g, None, 0))
    yield Case("with minus infinity", lambda g: _filled(g, -np.inf, -np.inf))
    yield Case(
        "axes, a dynamic size",
        lambda g: g.Pad(
            g.Pad(g.input("N", 2, "H", "W"), g.constant([1, 2]), None, g.constant([-1])),
            g.constant([1, 2, 3, 4]),
            None,
            g.constant([3, 2]),
        ),
    )
    yield Case("opset 9", lambda g: g.Pad(g.Pad(g.input(2, 3), pads=[1, 0, 0, 1]), pads=[0, 2, 1, 0]), opset=9)
    yield Case(
        "reflected twice",
        lambda g: _pads(g, *BOTH, mode="reflect"),
        refuses="a reflection of a reflection is another one",
    )
    yield Case(
        "zeros around an edge",
        lambda g: g.Pad(
            g.Pad(g.input(1, 2, 4), g.constant([0, 0, 1, 0, 0, 1]), mode="edge"), g.constant([0, 0, 1, 0, 0, 1])
        ),
        refuses="the two pad in different modes",
    )
    yield Case("zeros, then ones", lambda g: _filled(g, None, 1), refuses="the two fill with different numbers")
    yield Case(
        "cropped, then padded",
        lambda g: _pads(g, [0, 0, -1, 0, 0, 0, 0, 0], [0, 0, 2, 0, 0, 0, 0, 0]),
        refuses="one crops: what it takes away could be what the other added",
    )
    yield Case(
        "widths that are computed",
        lambda g: g.Pad(g.Pad(g.input(4), g.constant([1, 1])), g.input(2, dtype=ir.DataType.INT64)),
        refuses="pads of Pad is not a constant",
    )


@fuse_pads.samples
def samples(random: Random) -> Case:
    rank, opset = random.randint(1, 4), random.choice((9, 11, 13, 19, 20))
    mode = random.choice(("constant", "constant", "edge", "edge", "reflect"))
    least = -1 if random.random() < 0.1 else 0
    widths = [[random.randint(least, 2) for _ in range(2 * rank)] for _ in range(2)]
    values = [random.choice((None, 0.0, 0.0, 2.0)) for _ in range(2)]
    shape = [random.randint(1, 4) if random.random() < 0.8 else "N" for _ in range(rank)]

    def build(g: CaseBuilder) -> ir.Value:
        x = g.input(*shape)
        for pads, value in zip(widths, values, strict=True):
            if g.opset < 11:
                x = g.Pad(x, pads=pads, mode=mode, value=value)
            else:
                x = g.Pad(x, g.constant(pads), None if value is None else g.constant(np.float32(value)), mode=mode)
        return x

    return Case(f"{shape} {mode} {widths} {values}", build, opset=opset, seed=random.getrandbits(32))
