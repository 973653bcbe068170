"""Fuse a chain of Mul, Div, Add and Sub by constants into at most one Mul and one Add.

Law    (x·a)·b = x·(a·b)      (x + a) + b = x + (a + b)
       (x·a + b)·c = x·(a·c) + b·c      (x + a)·b + c = x·b + (a·b + c)      constants of any shape: they broadcast
Why    one read and write of the activation less for each node: normalisation of the input often comes as such a chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, constant, require, rewrite
from graphc_passes.nodes.filters import survives

SCALES, SHIFTS = ("Mul", "Div"), ("Add", "Sub")


@dataclass(frozen=True)
class Affine:
    """`data`·scale + shift; None where there is no such term. The constants are float64 and broadcast."""

    data: ir.Value
    scale: np.ndarray | None = None
    shift: np.ndarray | None = None

    @property
    def negates(self) -> bool:
        """Whether it is a Sub from a constant: one operator."""
        return self.scale is not None and self.scale.size == 1 and bool(self.scale == -1) and self.shift is not None

    @property
    def nodes(self) -> int:
        """How many operators it takes."""
        return 1 if self.negates else (self.scale is not None) + (self.shift is not None)

    def shift_of(self, inner: Affine) -> np.ndarray | None:
        """What becomes of the shift of another under this scale."""
        return inner.shift if self.scale is None or inner.shift is None else inner.shift * self.scale

    def after(self, inner: Affine) -> Affine:
        """This over the result of another."""
        scale = _both(np.multiply, inner.scale, self.scale)
        scale = None if scale is not None and scale.ndim == 0 and scale == 1 else scale
        return Affine(inner.data, scale, _both(np.add, self.shift_of(inner), self.shift))

    def cancels(self, inner: Affine) -> bool:
        """Whether little is left of the two shifts together."""
        moved = self.shift_of(inner)
        if moved is None or self.shift is None:
            return False
        with np.errstate(invalid="ignore"):
            larger = np.maximum(np.abs(moved), np.abs(self.shift))
            return bool((np.abs(moved + self.shift) < larger / 4).any())

    def size_after(self, inner: Affine) -> tuple[int, int]:
        """The elements of the largest constant that the two together may have, and that they have apart."""
        terms = [term for each in (self, inner) for term in (each.scale, each.shift) if term is not None]
        return prod(np.broadcast_shapes(*(term.shape for term in terms))), max(term.size for term in terms)

    def made(self, op: Tape, like: ir.Value) -> ir.Value:
        """The operators that compute it."""
        value = self.data
        if self.negates:
            return op.Sub(op.constant(self.shift, like=like, name="shift"), value)
        if self.scale is not None:
            value = op.Mul(value, op.constant(self.scale, like=like, name="scale"))
        if self.shift is not None:
            value = op.Add(value, op.constant(self.shift, like=like, name="shift"))
        return value


def _both(combine: np.ufunc, a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray | None:
    if a is None or b is None:
        return b if a is None else a
    with np.errstate(invalid="ignore"):  # infinities, which do not survive
        return np.asarray(combine(a, b))


@rewrite(*SCALES, *SHIFTS, numerics="reassociates", improves=("bytes", "nodes"))
def fuse_affines(root: View, op: Tape, *, largest: int = 1 << 20) -> ir.Value:
    out = root.node.outputs[0]
    if out.dtype is None or not out.dtype.is_floating_point():
        raise Refusal("integers divide and overflow otherwise")
    fused, taken = _affine(root), 1
    while fused.nodes >= taken:
        inner = _affine(root.made_by(fused.data, *SCALES, *SHIFTS))
        together, apart = fused.size_after(inner)
        require(
            together <= max(largest, apart),
            "the fused constants are large",
            conservative="constants that broadcast against each other may make one as large as an activation",
        )
        require(
            not fused.cancels(inner),
            "the shifts cancel: what the first rounds away would come back",
            conservative="in real numbers both are the same, but some round by adding 2^23 and taking it away again",
        )
        fused, taken = fused.after(inner), taken + 1
    terms = [term.reshape(-1) for term in (fused.scale, fused.shift) if term is not None]
    kept = [survives(np.zeros((term.size, 1)), term, out) for term in terms]
    require(all(kept), "the fused constants would overflow or underflow")
    return fused.made(op, out)


def _affine(view: View) -> Affine:
    """What one operator does to its data. Raises Refusal when neither operand is a constant."""
    data, content = view.required("A"), constant(view.required("B"))
    swapped = content is None
    if swapped:
        data, content = view.required("B"), constant(view.required("A"))
    if content is None:
        raise Refusal(f"neither operand of {view.op_type} is a constant")
    content = content.astype(np.float64)
    if view.op_type == "Add":
        return Affine(data, None, content)
    if view.op_type == "Sub":
        return Affine(data, np.asarray(-1.0), content) if swapped else Affine(data, None, -content)
    if view.op_type == "Mul":
        return Affine(data, content)
    require(not swapped, "a constant divided by the data is not affine")
    with np.errstate(divide="ignore"):
        return Affine(data, 1 / content)


def _chain(g: CaseBuilder, x: ir.Value, *steps: tuple[str, ir.Value]) -> ir.Value:
    """Operators over `x`, each with a constant; "Sub from" has the constant first."""
    for kind, content in steps:
        operands = (content, x) if kind.endswith(" from") else (x, content)
        x = g.record(kind.removesuffix(" from"), *operands)
    return x


@fuse_affines.cases
def cases() -> Iterator[Case]:
    yield Case("Mul Mul", lambda g: _chain(g, g.input(2, 3, 4, 5), ("Mul", g.weight(3, 1, 1)), ("Mul", g.weight(1))))
    yield Case(
        "Add Sub, a dynamic size",
        lambda g: _chain(
            g, g.input("N", 3, "L"), ("Add", g.weight(3, 1, low=1)), ("Sub", g.weight(1, 3, 1, low=-2, high=-1))
        ),
    )
    yield Case(
        "Div Mul, one along the width that equals the channels",
        lambda g: _chain(g, g.input(1, 3, 4, 3), ("Div", g.weight(3, low=0.5)), ("Mul", g.weight(3, 1, 1))),
    )
    yield Case(
        "Sub from, Sub from",
        lambda g: _chain(g, g.input(2, 3), ("Sub from", g.weight(3, low=1)), ("Sub from", g.weight(3, low=4, high=5))),
    )
    yield Case(
        "Sub from, Add",
        lambda g: _chain(g, g.input(2, 3), ("Sub from", g.weight(3, low=1)), ("Add", g.weight(low=1))),
    )
    yield Case(
        "Mul Add Mul",
        lambda g: _chain(
            g, g.input(2, 3, 4, 5), ("Mul", g.weight(3, 1, 1)), ("Add", g.weight(3, 1, 1)), ("Mul", g.weight(1))
        ),
    )
    yield Case(
        "Sub Div Add, as images are normalised",
        lambda g: _chain(
            g,
            g.input("N", 3, "H", "W"),
            ("Sub", g.weight(3, 1, 1, low=-2, high=-1)),
            ("Div", g.weight(3, 1, 1, low=0.5)),
            ("Add", g.weight(low=1)),
        ),
    )
    yield Case(
        "four of them",
        lambda g: _chain(
            g,
            g.input(2, 3, 4),
            ("Mul", g.weight(3, 1, low=0.5)),
            ("Add", g.weight(3, 1, low=1)),
            ("Div", g.weight(low=0.5)),
            ("Add", g.weight(low=1)),
        ),
    )
    yield Case(
        "integers",
        lambda g: _chain(g, g.input(6, dtype=ir.DataType.INT64), ("Div", g.constant(2)), ("Mul", g.constant(2))),
        refuses="integers divide and overflow otherwise",
    )
    yield Case(
        "a constant that the data divides",
        lambda g: g.Mul(g.Div(g.weight(3), g.input(2, 3)), g.weight(3)),
        refuses="a constant divided by the data is not affine",
    )
    yield Case(
        "large shifts that cancel",
        lambda g: _chain(
            g, g.input(2, 3), ("Add", g.constant(np.float32(2**23))), ("Sub", g.constant(np.float32(2**23)))
        ),
        refuses="the shifts cancel: what the first rounds away would come back",
    )
    yield Case(
        "a product that underflows",
        lambda g: _chain(
            g,
            g.Exp(g.Add(g.Abs(g.input(3)), g.constant(np.float32(69)))),
            ("Mul", g.constant(np.float32(1e-25))),
            ("Mul", g.constant(np.float32(1e-25))),
        ),
        refuses="the fused constants would overflow or underflow",
    )
    yield Case(
        "a row and a column that make a map",
        lambda g: _chain(g, g.input(2, 3, 4), ("Add", g.weight(3, 1)), ("Add", g.weight(4))),
        refuses="the fused constants are large",
        options={"largest": 11},
    )
    yield Case(
        "one of each kind",
        lambda g: _chain(g, g.Relu(g.input(2, 3)), ("Mul", g.weight(3)), ("Add", g.weight(3))),
        refuses="the input of Add does not come from Mul or Div or Add or Sub",
    )
    yield Case("the first is read by two", _read_twice, refuses="it would not be cheaper here")


def _read_twice(g: CaseBuilder) -> tuple[ir.Value, ir.Value]:
    first = g.Mul(g.input(2, 3), g.weight(3))
    return g.Mul(first, g.weight(3)), g.Relu(first)


@fuse_affines.samples
def samples(random: Random) -> Case:
    shape = [random.randint(1, 3) for _ in range(random.randint(0, 4))]
    symbolic = [size == 2 and random.random() < 0.3 for size in shape]  # N is 2 where the laws run it
    larger = [2, *shape] if random.random() < 0.1 else shape
    kinds = [random.choice(("Mul", "Div", "Add", "Sub", "Sub from")) for _ in range(random.randint(2, 4))]
    shapes = [_broadcast(random, larger) for _ in kinds]

    def build(g: CaseBuilder) -> ir.Value:
        x = g.input(*("N" if dynamic else size for dynamic, size in zip(symbolic, shape, strict=True)))
        contents = [g.weight(*each, low=0.5) for each in shapes]
        return _chain(g, x, *zip(kinds, contents, strict=True))

    said = " ".join(f"{kind} {each}" for kind, each in zip(kinds, shapes, strict=True))
    return Case(f"{shape} {said}", build, seed=random.getrandbits(32))


def _broadcast(random: Random, shape: list[int]) -> list[int]:
    """A shape that broadcasts against another."""
    return [size if random.random() < 0.6 else 1 for size in shape[random.randint(0, len(shape)) :]]
