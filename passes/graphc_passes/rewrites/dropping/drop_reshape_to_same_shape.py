"""Drop a Reshape to the shape that its data has already.

Law    reshape(x, shape(x)) = x     a 0 copies a size; one -1 is the size that is left
Why    one node less, and nothing between two operators that could fuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite


@rewrite("Reshape", numerics="exact", improves=("nodes",))
def drop_reshape_to_same_shape(reshape: View, op: Tape) -> ir.Value:
    data = reshape.required("data")
    if reshape.opset < 5:
        raise Refusal("Reshape before opset 5 says it otherwise")
    target = [int(size) for size in reshape.constant("shape")]
    if data.shape is None or len(target) != len(data.shape):
        raise Refusal("the number of axes changes or is not known")
    copies = reshape.attr("allowzero") != 1
    kept = [wanted == size or (wanted == 0 and copies) for wanted, size in zip(target, data.shape, strict=True)]
    require(kept.count(False) == 0 or (kept.count(False) == target.count(-1) == 1), "a size may change")
    return data


@drop_reshape_to_same_shape.cases
def cases() -> Iterator[Case]:
    yield Case("the sizes", lambda g: g.Relu(g.Reshape(g.input(2, 3), g.constant([2, 3]))))
    yield Case("copies and one that is left", lambda g: g.Relu(g.Reshape(g.input("N", 3, "W"), g.constant([0, 3, -1]))))
    yield Case("opset 9", lambda g: g.Relu(g.Reshape(g.input("N", 3), g.constant([-1, 3]))), opset=9)
    yield Case(
        "nothing, by sizes that are 0",
        lambda g: g.Relu(g.Reshape(g.input(0, 3), g.constant([0, 3]), allowzero=1)),
    )
    yield Case(
        "two sizes trade places",
        lambda g: g.Relu(g.Reshape(g.input("A", "B"), g.constant([6, 5]))),
        refuses="a size may change",
    )
    yield Case(
        "one of two sizes that are not known",
        lambda g: g.Relu(g.Reshape(g.input(5, "A"), g.constant([-1, 1]))),
        refuses="a size may change",
    )
    yield Case(
        "another number of axes",
        lambda g: g.Relu(g.Reshape(g.input("A", "B"), g.constant([-1]))),
        refuses="the number of axes changes or is not known",
    )
    yield Case(
        "a shape that is computed",
        lambda g: g.Relu(g.Reshape(g.input(2, 3), g.Shape(g.input("A", "B")))),
        refuses="shape of Reshape is not a constant",
    )


@drop_reshape_to_same_shape.samples
def samples(random: Random) -> Case:
    shape: list[int | str] = [random.choice((1, 2, 3, "N")) for _ in range(random.randint(1, 4))]
    target = [size if isinstance(size, int) and random.random() < 0.7 else 0 for size in shape]
    if random.random() < 0.6:
        target[random.randrange(len(target))] = -1
    if min(target) > 0:  # every size is said: any order is valid
        random.shuffle(target)
    opset = random.choice((9, 14, 20))

    def build(g: CaseBuilder) -> ir.Value:
        return g.Neg(g.Reshape(g.input(*shape), g.constant(target)))

    return Case(f"{shape} to {target}", build, opset=opset, seed=random.getrandbits(32))
