"""Replace a Split with one Slice for each part.

Law    split(x, a)ᵢ = x[a₀ + … + aᵢ₋₁ : a₀ + … + aᵢ]      along the axis
Why    a target that lacks Split has Slice.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, rewrite
from graphc_passes.nodes.slicing import Cut, sliced
from graphc_passes.nodes.stated import rank_of


@rewrite("Split", numerics="exact")
def replace_split_with_slices(split: View, op: Tape) -> tuple[ir.Value, ...]:
    data = split.required("input")
    axis = split.attr("axis") % rank_of(data)
    ends = np.cumsum(_parts(split, axis)).tolist()
    split.outputs()
    return tuple(sliced(op, data, {axis: Cut(start, stop)}) for start, stop in zip([0, *ends], ends, strict=False))


def _parts(split: View, axis: int) -> list[int]:
    """The size of each part. Raises Refusal when they are not known."""
    stated = split.attr("split") if split.opset < 13 else split.optional_constant("split")
    if stated is not None:
        return [int(size) for size in stated]
    shape, parts = split.required("input").shape, len(split.node.outputs)
    split.attr("num_outputs")  # as many as there are
    size = shape[axis] if shape is not None else None
    if not isinstance(size, int):
        raise Refusal("the size of the axis is not known")
    each = -(-size // parts)
    return [min(each, max(0, size - index * each)) for index in range(parts)]


def _split(
    g: CaseBuilder, x: tuple[int | str, ...], parts: list[int] | None, count: int, axis: int
) -> tuple[ir.Value, ...]:
    data = g.input(*x)
    if g.opset < 13:
        made = g.Split(data, split=parts, axis=axis, outputs=count)
    else:
        equal = count if g.opset >= 18 and parts is None else None
        made = g.Split(data, g.constant(parts) if parts else None, axis=axis, num_outputs=equal, outputs=count)
    return tuple(g.Relu(value) for value in made)


@replace_split_with_slices.cases
def cases() -> Iterator[Case]:
    yield Case("of channels", lambda g: _split(g, (1, 5, 3), [2, 3], 2, 1))
    yield Case("into equal parts, the last smaller", lambda g: _split(g, ("N", 5), None, 2, -1))
    yield Case("opset 9", lambda g: _split(g, (2, 6), [1, 5], 2, 1), opset=9)
    yield Case("opset 13, equal parts", lambda g: _split(g, (2, 6), None, 3, 1), opset=13)
    yield Case(
        "an axis of any size",
        lambda g: _split(g, (2, "C"), None, 2, 1),
        refuses="the size of the axis is not known",
    )


@replace_split_with_slices.samples
def samples(random: Random) -> Case:
    count, opset = random.randint(2, 4), random.choice((9, 13, 18, 20))
    parts = [random.randint(1, 3) for _ in range(count)]
    shape: list[int | str] = [random.choice((1, 2, "N")), 3, 2]
    axis = random.randint(-2, 2)
    equal = random.random() < 0.4
    shape[axis] = parts[0] * count if equal else sum(parts)
    given = None if equal else parts
    name = f"{shape} axis={axis} into {given or count} opset {opset}"
    return Case(name, lambda g: _split(g, tuple(shape), given, count, axis), opset=opset)
