"""Drop a Slice that takes everything, in order.

Law    x[0:n] = x     where n is the size of the axis or beyond
Why    one read and write of the data less, and nothing between two operators that could fuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Tape, View, require, rewrite
from graphc_passes.nodes.slicing import Cut, read_slice

END = np.iinfo(np.int64).max


@rewrite("Slice", numerics="exact", improves=("bytes", "nodes"))
def drop_whole_slice(root: View, op: Tape) -> ir.Value:
    data, cuts = root.required("data"), read_slice(root)
    whole = [_is_whole(cut, data.shape[axis]) for axis, cut in cuts.items() if data.shape is not None]
    require(all(whole), "it leaves something out, or may")
    return data


def _is_whole(cut: Cut, size: int | ir.SymbolicDim) -> bool:
    return cut.of(size) == range(size) if isinstance(size, int) else cut.whole


def _sliced(g: CaseBuilder, x: ir.Value, starts: list[int], ends: list[int], *more: list[int]) -> ir.Value:
    return g.Relu(g.Slice(x, g.constant(starts), g.constant(ends), *(g.constant(each) for each in more)))


@drop_whole_slice.cases
def cases() -> Iterator[Case]:
    yield Case("to the size", lambda g: _sliced(g, g.input(2, 3), [0, 0], [2, 3]))
    yield Case("from the end, axes", lambda g: _sliced(g, g.input(2, 3, 4), [-3, -9], [9, 4], [-2, 2]))
    yield Case("a dynamic size", lambda g: _sliced(g, g.input("N", 3), [0], [END], [0], [1]))
    yield Case("opset 9", lambda g: g.Relu(g.Slice(g.input("N", 3), starts=[0], ends=[2**31 - 1])), opset=9)
    yield Case(
        "a dynamic size, to 4",
        lambda g: _sliced(g, g.input("A", 3), [0], [4], [0]),
        refuses="it leaves something out, or may",
    )
    yield Case(
        "reversed",
        lambda g: _sliced(g, g.input("A", 3), [-1], [-END], [0], [-1]),
        refuses="it leaves something out, or may",
    )
    yield Case(
        "ends that are computed",
        lambda g: g.Relu(g.Slice(g.input(2, 3), g.constant([0]), g.input(1, dtype=ir.DataType.INT64))),
        refuses="ends of Slice is not a constant",
    )


@drop_whole_slice.samples
def samples(random: Random) -> Case:
    shape = [random.choice((1, 2, 3, "N")) for _ in range(random.randint(1, 4))]
    axes = random.sample(range(len(shape)), random.randint(1, len(shape)))
    starts = [0 if random.random() < 0.85 else random.randint(-4, 2) for _ in axes]
    ends = [END if shape[a] == "N" or random.random() < 0.3 else random.randint(2, 5) for a in axes]
    steps = [1 if random.random() < 0.9 else random.choice((2, -1)) for _ in axes]
    opset = random.choice((9, 10, 13, 20))

    def build(g: CaseBuilder) -> ir.Value:
        if g.opset < 10:
            made = g.Slice(g.input(*shape), starts=starts, ends=ends, axes=axes)
        else:
            made = g.Slice(g.input(*shape), *(g.constant(each) for each in (starts, ends, axes, steps)))
        return g.Neg(made)

    return Case(f"{shape} {starts}:{ends}:{steps} of {axes}", build, opset=opset, seed=random.getrandbits(32))
