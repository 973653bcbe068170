"""Fuse two Transposes in a row into one, or into none where the second undoes the first; drop one that moves nothing.

Law    transpose(transpose(x, p), q) = transpose(x, p[q])     and x itself where p[q] = (0, 1, 2, ...)
Why    a Transpose moves every element and computes nothing: layout changes that meet should vanish.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import onnx_ir as ir

from graphc import Case, CaseBuilder, Tape, View, rewrite
from graphc_passes.nodes.stated import rank_of


@rewrite("Transpose", numerics="exact", improves=("bytes", "nodes"))
def fuse_transposes(outer: View, op: Tape) -> ir.Value:
    second = _order(outer)
    if second == sorted(second):
        return outer.required("data")
    inner = outer.producer("data", "Transpose")
    first, data = _order(inner), inner.required("data")
    order = [first[axis] for axis in second]
    if order == sorted(order):
        return data
    return op.Transpose(data, perm=order)


def _order(transpose: View) -> list[int]:
    """Where each axis of the result comes from. Raises Refusal when it depends on a rank that is not known."""
    order, data = transpose.attr("perm"), transpose.required("data")
    return list(range(rank_of(data)))[::-1] if order is None else list(order)


@fuse_transposes.cases
def cases() -> Iterator[Case]:
    yield Case("two", lambda g: g.Transpose(g.Transpose(g.input(2, 3, 4), perm=[1, 2, 0]), perm=[0, 2, 1]))
    yield Case("there and back", lambda g: g.Relu(_back(g)))
    yield Case("reversed by default", lambda g: g.Relu(g.Transpose(g.Transpose(g.input("N", 3, "W")))))
    yield Case("nothing moves", lambda g: g.Relu(g.Transpose(g.input("N", 3), perm=[0, 1])))
    yield Case("one axis", lambda g: g.Relu(g.Transpose(g.input("N"))))
    yield Case(
        "something between",
        lambda g: g.Transpose(g.Relu(g.Transpose(g.input(2, 3)))),
        refuses="the input of Transpose does not come from Transpose",
    )
    yield Case("the first is read by two", _read_twice)


def _back(g: CaseBuilder) -> ir.Value:
    return g.Transpose(g.Transpose(g.input(2, 3, 4, 5), perm=[0, 2, 3, 1]), perm=[0, 3, 1, 2])


def _read_twice(g: CaseBuilder) -> tuple[ir.Value, ir.Value]:
    first = g.Transpose(g.input(2, 3))
    return g.Relu(g.Transpose(first)), g.Neg(first)


@fuse_transposes.samples
def samples(random: Random) -> Case:
    shape = [random.choice((1, 2, 3, "N")) for _ in range(random.randint(0, 4))]
    orders = [random.sample(range(len(shape)), len(shape)) if random.random() < 0.8 else None for _ in range(2)]

    def build(g: CaseBuilder) -> ir.Value:
        x = g.input(*shape)
        for order in orders:
            x = g.Transpose(x, perm=order)
        return g.Neg(x)

    return Case(f"{shape} {orders}", build, opset=random.choice((9, 20)), seed=random.getrandbits(32))
