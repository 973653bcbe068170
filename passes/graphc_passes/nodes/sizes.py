"""Sizes of tensors to calculate with: numbers where they are known, else what the data says at run time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial, reduce
from operator import mul
from typing import TypeAlias

import onnx_ir as ir

from graphc import Tape
from graphc_passes.nodes.stated import shape_of


@dataclass(frozen=True, eq=False)
class RunTimeSize:
    """A size that only the data knows. What computes it, `make`, is recorded on the tape when it is first needed."""

    op: Tape
    make: Callable[[], ir.Value]

    @cached_property
    def value(self) -> ir.Value:
        """[1], INT64."""
        return self.make()

    def __add__(self, other: Size) -> RunTimeSize:
        return self if other == 0 else self._with("Add", other)

    __radd__ = __add__

    def __sub__(self, other: Size) -> RunTimeSize:
        return self._with("Sub", other) if isinstance(other, RunTimeSize) else self + -other

    def __rsub__(self, other: int) -> RunTimeSize:
        return RunTimeSize(self.op, lambda: self.op.Sub(_one(self.op, other), self.value))

    def __mul__(self, other: Size) -> RunTimeSize:
        return self if other == 1 else self._with("Mul", other)

    __rmul__ = __mul__

    def __floordiv__(self, other: int) -> RunTimeSize:
        """Of a size that is not negative."""
        return self if other == 1 else self._with("Div", other)

    def _with(self, op_type: str, other: Size) -> RunTimeSize:
        return RunTimeSize(self.op, lambda: self.op.record(op_type, self.value, _one(self.op, other)))


Size: TypeAlias = int | RunTimeSize


def sizes_of(op: Tape, data: ir.Value) -> list[Size]:
    """The size of each axis. Raises Refusal when their number is not known."""
    shape = cache(lambda: op.Shape(data))

    def gather(axis: int) -> ir.Value:
        return op.Gather(shape(), op.constant([axis]))

    return [
        size if isinstance(size, int) else RunTimeSize(op, partial(gather, axis))
        for axis, size in enumerate(shape_of(data))
    ]


def known(sizes: Sequence[Size]) -> list[int] | None:
    """The sizes as numbers, None where one is computed."""
    numbers = [int(size) for size in sizes if not isinstance(size, RunTimeSize)]
    return numbers if len(numbers) == len(sizes) else None


def product(sizes: Iterable[Size]) -> Size:
    """Of all of them."""
    return reduce(mul, sizes, 1)


def to_a_multiple(size: Size, block: int) -> Size:
    """How many elements `size` lacks to be a multiple of `block`."""
    return (size + block - 1) // block * block - size


def as_tensor(op: Tape, sizes: Sequence[Size]) -> ir.Value:
    """The sizes as one tensor: a constant where all are known."""
    numbers = known(sizes)
    return op.constant(numbers) if numbers is not None else op.Concat(*(_one(op, size) for size in sizes), axis=0)


def reshape(op: Tape, data: ir.Value, sizes: Sequence[Size]) -> ir.Value:
    """`data` in that shape, of which 0 and −1 say what they say to Reshape."""
    return op.Reshape(data, as_tensor(op, sizes))


def _one(op: Tape, size: Size) -> ir.Value:
    """[1]"""
    return size.value if isinstance(size, RunTimeSize) else op.constant([size])
