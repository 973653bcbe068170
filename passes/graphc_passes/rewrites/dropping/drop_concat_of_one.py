"""Drop a Concat, Sum, Mean, Max or Min of one input.

Law    concat(x) = sum(x) = mean(x) = max(x) = min(x) = x
Why    one read and write of the data less, and nothing between two operators that could fuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite

VARIADIC = ("Concat", "Sum", "Mean", "Max", "Min")


@rewrite(*VARIADIC, numerics="exact", improves=("nodes",))
def drop_concat_of_one(root: View, op: Tape) -> ir.Value:
    if root.op_type == "Concat":
        root.attr("axis")  # of one, any does
    data = root.inputs()[0]
    if data is None:
        raise Refusal(f"{root.op_type} has no input")
    require(len(root.inputs()) == 1, "it takes several")
    return data


@drop_concat_of_one.cases
def cases() -> Iterator[Case]:
    yield Case("Concat", lambda g: g.Relu(g.Concat(g.input("N", 3), axis=1)))
    yield Case("Concat along another axis, opset 9", lambda g: g.Relu(g.Concat(g.input(2, 3), axis=-2)), opset=13)
    for kind in VARIADIC[1:]:
        yield Case(kind, lambda g, kind=kind: g.Relu(g.record(kind, g.input(2, 3))))  # type: ignore[misc] # of a loop
    yield Case("two", lambda g: g.Relu(g.Sum(g.input(2, 3), g.input(2, 3))), refuses="it takes several")


@drop_concat_of_one.samples
def samples(random: Random) -> Case:
    kind, count = random.choice(VARIADIC), random.choice((1, 1, 2))
    shape = [random.choice((1, 2, "N")) for _ in range(random.randint(1, 4))]
    axis = random.randrange(-len(shape), len(shape))

    def build(g: CaseBuilder) -> ir.Value:
        parts = [g.input(*shape) for _ in range(count)]
        made = g.Concat(*parts, axis=axis) if kind == "Concat" else g.record(kind, *parts)
        return g.Neg(made)

    return Case(f"{kind} of {count}, {shape}, axis {axis}", build, opset=random.choice((13, 20)), seed=0)
