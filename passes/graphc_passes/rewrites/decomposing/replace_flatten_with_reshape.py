"""Replace Flatten, Squeeze or Unsqueeze with a Reshape.

Law    flatten(x), squeeze(x), unsqueeze(x) = reshape(x, their shape)
Why    a target that lacks the three has Reshape.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random

import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, rewrite
from graphc_passes.nodes.sizes import Size, product, reshape, sizes_of


@rewrite("Flatten", "Squeeze", "Unsqueeze", numerics="exact")
def replace_flatten_with_reshape(root: View, op: Tape) -> ir.Value:
    data, axes = root.required("input" if root.op_type == "Flatten" else "data"), _axes(root)
    shape = root.outputs()[0].shape
    if shape is None or len(set(axes)) < len(axes):
        raise Refusal("the shape of the result is not known")
    sizes = [size if isinstance(size, int) else -1 for size in shape]
    if 0 in (*sizes, *(data.shape or ())):
        raise Refusal("the data is empty")
    if sizes.count(-1) > 1:
        return reshape(op, data, _computed(root.op_type, sizes_of(op, data), axes))
    return op.Reshape(data, op.constant(sizes)) if op.opset >= 5 else op.Reshape(data, shape=sizes)


def _computed(op_type: str, given: list[Size], axes: list[int]) -> list[Size]:
    """The sizes of the result from those of the data, some of which are known at run time only."""
    rank = len(given)
    if op_type == "Flatten":
        axis = axes[0] + rank if axes[0] < 0 else axes[0]
        return [product(given[:axis]), product(given[axis:])]
    if op_type == "Unsqueeze":
        ones, rest = {axis % (rank + len(axes)) for axis in axes}, iter(given)
        return [1 if axis in ones else next(rest) for axis in range(rank + len(axes))]
    if not axes:
        raise Refusal("which sizes are 1 is not known")
    gone = {axis % rank for axis in axes}
    return [size for axis, size in enumerate(given) if axis not in gone]


def _axes(root: View) -> list[int]:
    """What the node says of axes; what it means is in the shape of the result. Raises Refusal unless it is constant."""
    if root.op_type == "Flatten":
        return [root.attr("axis")]
    stated = root.attr("axes") if root.opset < 13 else root.optional_constant("axes")
    return [] if stated is None else [int(axis) for axis in stated]


def _squeeze(g: CaseBuilder, op_type: str, x: tuple[int | str, ...], axes: list[int]) -> ir.Value:
    if g.opset < 13:
        made = g.record(op_type, g.input(*x), axes=axes)
    else:
        made = g.record(op_type, g.input(*x), g.constant(axes))
    return made


@replace_flatten_with_reshape.cases
def cases() -> Iterator[Case]:
    yield Case("Flatten", lambda g: g.Flatten(g.input("N", 3, 4, 5)))
    yield Case("Flatten of the last axis", lambda g: g.Flatten(g.input(2, 3, 4), axis=-1))
    yield Case("Squeeze", lambda g: _squeeze(g, "Squeeze", ("N", 1, 3, 1), [1, -1]))
    yield Case("Squeeze of every axis of length 1", lambda g: g.Squeeze(g.input(2, 1, 3, 1)))
    yield Case("Unsqueeze", lambda g: _squeeze(g, "Unsqueeze", (2, "L"), [0, 3]))
    yield Case("Unsqueeze of any sizes", lambda g: _squeeze(g, "Unsqueeze", ("N", "L", 2), [0, -1]))
    yield Case("Flatten of any sizes", lambda g: g.Flatten(g.input("N", 3, "H", "W"), axis=2))
    yield Case("Unsqueeze, opset 9", lambda g: _squeeze(g, "Unsqueeze", (2, 3), [1]), opset=9)
    yield Case(
        "computed axes",
        lambda g: g.Unsqueeze(g.input(2, 3), g.input(1, dtype=ir.DataType.INT64)),
        refuses="axes of Unsqueeze is not a constant",
    )
    yield Case(
        "two sizes unknown",
        lambda g: _squeeze(g, "Squeeze", ("N", 1, "L"), [1]),
    )
    yield Case(
        "nothing to flatten",
        lambda g: g.Flatten(g.input("N", 0, 3)),
        refuses="the data is empty",
    )


@replace_flatten_with_reshape.samples
def samples(random: Random) -> Case:
    op_type, opset = random.choice(("Flatten", "Squeeze", "Unsqueeze")), random.choice((9, 11, 13, 20))
    x: tuple[int | str, ...] = tuple(random.choice((1, 1, 2, 3)) for _ in range(random.randint(1, 4)))
    if random.random() < 0.3:
        x = ("N", *x)
    if op_type == "Flatten":
        axis = random.randint(0, len(x))
        return Case(f"Flatten {list(x)} axis={axis}", lambda g: g.Flatten(g.input(*x), axis=axis), opset=opset)
    ones = [index for index, size in enumerate(x) if size == 1]
    places = ones if op_type == "Squeeze" else range(len(x) + 1)
    axes = sorted(random.sample(list(places), min(len(places), random.randint(1, 2))))  # as the reference reads them
    if not axes:
        op_type, axes = "Unsqueeze", [0]
    return Case(f"{op_type} {list(x)} {axes}", partial(_squeeze, op_type=op_type, x=x, axes=axes), opset=opset)
