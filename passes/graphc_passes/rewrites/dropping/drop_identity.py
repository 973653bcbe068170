"""Drop an Identity: whoever reads its output reads its input.

Law    identity(x) = x
Why    one node less, and nothing between two operators that could fuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import onnx_ir as ir

from graphc import Case, CaseBuilder, Tape, View, rewrite


@rewrite("Identity", numerics="exact", improves=("nodes",))
def drop_identity(identity: View, op: Tape) -> ir.Value:
    return identity.required("input")


@drop_identity.cases
def cases() -> Iterator[Case]:
    yield Case("between two nodes", lambda g: g.Relu(g.Identity(g.Neg(g.input(2, 3)))))
    yield Case("as a graph output", lambda g: g.Identity(g.Neg(g.input(2, 3))))
    yield Case("of an initializer", lambda g: g.Add(g.input(2, 3), g.Identity(g.weight(3))))
    yield Case("two in a row", lambda g: g.Relu(g.Identity(g.Identity(g.input(2, 3)))))
    yield Case(
        "from a graph input to a graph output",
        lambda g: g.Identity(g.input(2, 3)),
        refuses="'x0' cannot take the name of the graph's output 'n0_identity'",
    )


@drop_identity.samples
def samples(random: Random) -> Case:
    shape, times = [random.choice((1, 2, "N")) for _ in range(random.randint(0, 3))], random.randint(1, 3)

    def build(g: CaseBuilder) -> ir.Value:
        x = g.Neg(g.input(*shape))
        for _ in range(times):
            x = g.Identity(x)
        return x

    return Case(f"{times} of {shape}", build, opset=random.choice((9, 20)), seed=random.getrandbits(32))
