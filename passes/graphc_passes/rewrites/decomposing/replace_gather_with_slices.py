"""Replace a Gather with constant indices by Slices, one for each run of them, and a Concat.

Law    gather(x, [a, a + d, a + 2·d, ..., b, ...]) = concat(x[a : : d], x[b ...], ...)      along the axis
Why    a target that lacks Gather has these: a permutation of channels (a shuffle) is a few runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.slicing import Cut, sliced
from graphc_passes.nodes.stated import rank_of


@rewrite("Gather", numerics="exact")
def replace_gather_with_slices(gather: View, op: Tape, *, most_runs: int = 64) -> ir.Value:
    data, indices = gather.required("data"), gather.constant("indices")
    axis = gather.attr("axis") % rank_of(data)
    require(
        data.dtype is not None and data.dtype.is_floating_point(),
        "the data holds indices or sizes",
        conservative="of a size that is computed there is nothing to gain",
    )
    if indices.ndim != 1 or not indices.size:
        raise Refusal("the indices are no list")
    runs = list(_runs(_from_the_front(indices, data, axis)))
    require(len(runs) <= most_runs, "the indices are too many runs", conservative="it would be as many nodes")
    parts = [sliced(op, data, {axis: cut}) for cut in runs]
    return parts[0] if len(parts) == 1 else op.Concat(*parts, axis=axis)


def _from_the_front(indices: np.ndarray, data: ir.Value, axis: int) -> list[int]:
    """The indices counted from the front. Raises Refusal where some count from the end of a size that is not known."""
    size = data.shape[axis] if data.shape is not None else None
    if not isinstance(size, int):
        raise Refusal("the size of the axis is not known")
    return [int(index) % size for index in indices]


def _runs(indices: list[int]) -> Iterator[Cut]:
    """The indices as few cuts with equal steps, greedily from the left; a run is never read backwards."""
    start = 0
    while start < len(indices):
        step = indices[start + 1] - indices[start] if start + 1 < len(indices) else 1
        step = max(step, 1)
        stop = start + 1
        while stop < len(indices) and indices[stop] - indices[stop - 1] == step:
            stop += 1
        yield Cut(indices[start], indices[stop - 1] + 1, step)
        start = stop


def _gather(g: CaseBuilder, x: tuple[int | str, ...], indices: list[int], axis: int) -> ir.Value:
    return g.Gather(g.input(*x), g.constant(indices), axis=axis)


@replace_gather_with_slices.cases
def cases() -> Iterator[Case]:
    yield Case("a channel shuffle", lambda g: _gather(g, ("N", 6, "L"), [0, 3, 1, 4, 2, 5], 1))
    yield Case("one run", lambda g: _gather(g, (5, 2), [1, 2, 3], 0))
    yield Case("repeated, from the end", lambda g: _gather(g, (2, 4), [3, 3, -1, 0], -1))
    yield Case(
        "indices of any kind",
        lambda g: g.Gather(g.input(4, 2), g.input(3, dtype=ir.DataType.INT64)),
        refuses="indices of Gather is not a constant",
    )
    yield Case(
        "a shape",
        lambda g: g.Gather(g.Shape(g.input("N", 2)), g.constant([0])),
        refuses="the data holds indices or sizes",
    )
    yield Case(
        "many runs",
        lambda g: _gather(g, (9,), [8, 7, 6, 5], 0),
        options={"most_runs": 3},
        refuses="the indices are too many runs",
    )


@replace_gather_with_slices.samples
def samples(random: Random) -> Case:
    size, opset = random.randint(1, 8), random.choice((11, 13, 20))
    x: list[int | str] = [random.choice((1, 2, "N")), 3]
    axis = random.choice((0, 1, -1))
    x.insert(axis % 2 if axis >= 0 else 2, size)
    indices = [random.randint(-size, size - 1) for _ in range(random.randint(1, 8))]
    place = x.index(size) if axis >= 0 else -1
    name = f"{x} axis={place} {indices}"
    return Case(name, partial(_gather, x=tuple(x), indices=indices, axis=x.index(size)), opset=opset)
