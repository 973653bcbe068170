"""Drop an Identity: whoever reads its output reads its input.

Law    identity(x) = x
Why    one node less, and nothing between two operators that could fuse.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from graphc import Case, Tape, View, rewrite


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
