"""Drop an Expand that repeats nothing.

Law    expand(x, s) = x     where every size of s is 1 or that of x
Why    one read and write of the data less, and nothing between two operators that could fuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.sampling.operands import one_row


@rewrite("Expand", numerics="exact", improves=("bytes", "nodes"))
def drop_expand_to_same_shape(expand: View, op: Tape) -> ir.Value:
    data, target = expand.required("input"), [int(size) for size in expand.constant("shape")]
    if data.shape is None or len(target) > len(data.shape):
        raise Refusal("the number of axes changes or is not known")
    last = list(data.shape)[len(data.shape) - len(target) :]
    require(all(wanted in (1, size) for wanted, size in zip(target, last, strict=True)), "it may repeat its data")
    return data


@drop_expand_to_same_shape.cases
def cases() -> Iterator[Case]:
    yield Case("the sizes", lambda g: g.Relu(g.Expand(g.input(2, 3), g.constant([2, 3]))))
    yield Case("ones, fewer axes, a dynamic size", lambda g: g.Relu(g.Expand(g.input("N", 3, "W"), g.constant([3, 1]))))
    yield Case(
        "a size that may be 1",
        lambda g: g.Relu(g.Expand(one_row(g), g.constant([2, 3]))),
        refuses="it may repeat its data",
    )
    yield Case(
        "more axes",
        lambda g: g.Relu(g.Expand(g.input("A", 3), g.constant([1, 1, 3]))),
        refuses="the number of axes changes or is not known",
    )
    yield Case(
        "a shape that is computed",
        lambda g: g.Relu(g.Expand(g.input(2, 3), g.Shape(g.input("A", "B")))),
        refuses="shape of Expand is not a constant",
    )


@drop_expand_to_same_shape.samples
def samples(random: Random) -> Case:
    shape: list[int | str] = [random.choice((1, 2, 3, "N")) for _ in range(random.randint(1, 4))]
    target = [size if isinstance(size, int) and random.random() < 0.6 else 1 for size in shape]
    target = [2 if size == 1 and random.random() < 0.2 else wanted for size, wanted in zip(shape, target, strict=True)]
    target = target[random.choice((0, 0, 1)) :]

    def build(g: CaseBuilder) -> ir.Value:
        return g.Neg(g.Expand(g.input(*shape), g.constant(np.asarray(target, np.int64))))

    return Case(f"{shape} to {target}", build, opset=random.choice((9, 20)), seed=random.getrandbits(32))
