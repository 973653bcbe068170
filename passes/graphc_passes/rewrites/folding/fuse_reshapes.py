"""Fuse two Reshapes in a row: the second decides alone. So it does over Flatten, Squeeze and Unsqueeze.

Law    reshape(reshape(x, s), t) = reshape(x, t)     where t copies no size of s: a 0 is that size, if it is known
Why    a Reshape less; shapes that are computed for the first need not be.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, constant, require, rewrite

RESHAPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


@rewrite("Reshape", numerics="exact", improves=("nodes",))
def fuse_reshapes(outer: View, op: Tape) -> ir.Value:
    inner = outer.producer("data", *RESHAPING)
    if outer.opset < 5:
        raise Refusal("Reshape before opset 5 says it otherwise")
    middle, target = outer.required("data"), outer.required("shape")
    if outer.attr("allowzero") != 1:
        target = _without_copies(op, target, middle.shape)
    return op.Reshape(_data(inner), target, allowzero=outer.attr("allowzero") or None)


def _data(inner: View) -> ir.Value:
    """What the first reshapes; into what does not matter."""
    if inner.op_type == "Reshape":
        inner.input("shape")
        inner.attr("allowzero")
        return inner.required("data")
    if inner.op_type == "Flatten":
        inner.attr("axis")
        return inner.required("input")
    if inner.opset >= 13:
        inner.input("axes")
    else:
        inner.attr("axes")
    return inner.required("data")


def _without_copies(op: Tape, target: ir.Value, middle: ir.Shape | None) -> ir.Value:
    """The target with every 0 replaced by the size that it copies; itself if it has none."""
    content = constant(target)
    if content is None:
        raise Refusal("the second shape is computed, and may copy sizes of the first")
    sizes = [int(size) for size in content]
    copied = [axis for axis, size in enumerate(sizes) if size == 0]
    for axis in copied:
        size = middle[axis] if middle is not None and axis < len(middle) else None
        require(isinstance(size, int) and size > 0, "the second copies a size of the first that is not known")
        sizes[axis] = size if isinstance(size, int) else 0
    return op.constant(sizes, name="shape") if copied else target


@fuse_reshapes.cases
def cases() -> Iterator[Case]:
    yield Case("two", lambda g: g.Reshape(g.Reshape(g.input(2, 6), g.constant([3, 4])), g.constant([12])))
    yield Case(
        "a copy of a size that is known, and one that is left",
        lambda g: g.Reshape(g.Reshape(g.input("N", 6), g.constant([-1, 3, 2])), g.constant([-1, 0, 2])),
    )
    yield Case("Flatten, a dynamic size", lambda g: g.Reshape(g.Flatten(g.input("N", 3, 4)), g.constant([-1, 6])))
    yield Case("Squeeze", lambda g: g.Reshape(g.Squeeze(g.input(2, 1, 6), g.constant([1])), g.constant([4, 3])))
    yield Case(
        "Unsqueeze, opset 9", lambda g: g.Reshape(g.Unsqueeze(g.input(2, 6), axes=[0]), g.constant([4, 3])), opset=9
    )
    yield Case(
        "the first shape is computed",
        lambda g: g.Reshape(g.Reshape(g.input(5, 6), g.Shape(g.input("A", "B"))), g.constant([-1])),
    )
    yield Case(
        "the second is computed, and 0 is 0",
        lambda g: g.Reshape(g.Flatten(g.input(5, 2, 3)), g.Shape(g.input("A", "B")), allowzero=1),
    )
    yield Case(
        "the second is computed",
        lambda g: g.Reshape(g.Flatten(g.input(5, 2, 3)), g.Shape(g.input("A", "B"))),
        refuses="the second shape is computed, and may copy sizes of the first",
    )
    yield Case(
        "a copy of a size that is not known",
        lambda g: g.Reshape(g.Reshape(g.input("A", 6), g.constant([6, -1])), g.constant([3, 0, 2])),
        refuses="the second copies a size of the first that is not known",
    )


@fuse_reshapes.samples
def samples(random: Random) -> Case:
    shape: list[int | str] = [random.choice((1, 2, 3, "N")) for _ in range(random.randint(1, 4))]
    kind, opset = random.choice(("Reshape", "Reshape", "Flatten", "Unsqueeze")), random.choice((9, 13, 14, 20))
    total = 2 ** shape.count("N")  # N is 2 where the laws run it
    for size in shape:
        total *= size if isinstance(size, int) else 1
    shapes = [_split(random, total) for _ in range(2)]

    def build(g: CaseBuilder) -> ir.Value:
        x = g.input(*shape)
        if kind == "Reshape":
            x = g.Reshape(x, g.constant(shapes[0]))
        elif kind == "Flatten":
            x = g.Flatten(x, axis=1)
        else:
            x = g.Unsqueeze(x, axes=[0]) if g.opset < 13 else g.Unsqueeze(x, g.constant([0]))
        return g.Reshape(x, g.constant(shapes[1]))

    return Case(f"{kind} {shape} to {shapes}", build, opset=opset, seed=random.getrandbits(32))


def _split(random: Random, total: int) -> list[int]:
    """Sizes of that product; one may be said by −1, or by a 0 that may copy another."""
    sizes = [random.choice([d for d in (1, 2, 3) if total % d == 0])]
    sizes.append(total // sizes[0])
    random.shuffle(sizes)
    drawn = random.random()
    if drawn < 0.4:
        sizes[random.randrange(2)] = -1
    elif drawn < 0.6:
        sizes = [0, -1]
    return sizes
