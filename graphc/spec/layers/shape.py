"""Shape operations: rearrange, join, cut and grow values without computing."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import onnx_ir as ir

from graphc.spec.layers import Field, Layer, PerAxis
from graphc.spec.layers._axes import axis_of, difference, number
from graphc.spec.layers._window import explicit_pads, pad_spatial

if TYPE_CHECKING:
    from graphc.spec.emit import Emitter

Axis = Annotated[int, Field(description="the axis, counted from the end when negative")]
TO_THE_END = 2**63 - 1  # ONNX's Slice clamps it to the size


class Reshape(Layer):
    """The same elements in another shape: 0 copies the size of that axis, one -1 takes what is left."""

    primary: ClassVar = "shape"
    shape: list[int] = Field(description="the new sizes, 0 and -1 as in ONNX")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        if self.shape.count(-1) > 1 or min(self.shape, default=0) < -1:
            g.fail(f"'shape' has sizes, zeros and at most one -1, not {self.shape}")
        y = g.op("Reshape", x, g.constant(self.shape, ir.DataType.INT64))
        if any(prod(old) != prod(new) for old, new in zip(g.sizes(x), g.sizes(y), strict=True)):
            g.fail(f"{g.show(x)} does not have the elements of {self.shape}", code="spec/shape-mismatch")
        return y


class Transpose(Layer):
    """Permutes axes: axis i of the output is axis perm[i] of the input."""

    primary: ClassVar = "perm"
    perm: list[int] | None = Field(None, description="the order of the axes; default: reversed")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        rank = g.rank(x)
        perm = list(range(rank))[::-1] if self.perm is None else self.perm
        if sorted(perm) != list(range(rank)):
            g.fail(
                f"'perm' must order the axes 0..{rank - 1} of {g.show(x)}, not {perm}",
                code="spec/shape-mismatch",
            )
        return g.op("Transpose", x, perm=perm)


class Concat(Layer):
    """Joins values along an axis; every other size is equal."""

    primary: ClassVar = "axis"
    axis: Axis = 1

    def emit(self, g: Emitter, *values: ir.Value) -> ir.Value:
        axis = axis_of(g, values[0], self.axis)
        if differing := difference(g, values, axis):
            g.fail(
                f"concat along axis {axis} of {', '.join(differing.shown)}: other sizes differ{differing.at}",
                code="spec/shape-mismatch",
                hint=differing.hint,
            )
        return g.op("Concat", *values, axis=axis)


class Split(Layer):
    """Cuts an axis into parts, which the node's id gives as members: `half.0`, `half.1`."""

    primary: ClassVar = "sections"
    sections: int | None = Field(None, gt=0, description="number of equal parts")
    sizes: list[int] | None = Field(None, description="size of each part, instead of 'sections'")
    axis: Axis = 1

    def emit(self, g: Emitter, x: ir.Value) -> tuple[ir.Value, ...]:
        if (self.sections is None) == (self.sizes is None):
            g.fail("give exactly one of 'sections' and 'sizes'", hint="split: 2, or split: {sizes: [16, 48]}")
        axis = axis_of(g, x, self.axis)
        size = g.size(x, axis)
        if self.sections and size % self.sections:
            g.fail(f"{self.sections} equal parts do not make up {size}", code="spec/shape-mismatch")
        parts = [size // self.sections] * self.sections if self.sections else list(self.sizes or ())
        if sum(parts) != size or min(parts) < 1:
            g.fail(
                f"parts {parts} do not make up axis {axis} of {g.show(x)}",
                code="spec/shape-mismatch",
                hint=f"positive sizes that add up to {size}",
            )
        if len(parts) == 1:
            return (g.op("Identity", x),)
        return g.op("Split", x, g.constant(parts), outputs=len(parts), axis=axis)


class Slice(Layer):
    """Elements start, start + step, ... before end of one axis; negative ends count from the end."""

    axis: Axis = 1
    start: int | None = Field(None, description="first element; default: the first in the direction of step")
    end: int | None = Field(None, description="where to stop, exclusive; default: behind the last")
    step: int = Field(1, description="distance between elements; negative walks backwards")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        axis = axis_of(g, x, self.axis)
        if self.step == 0:
            g.fail("'step' must not be 0")
        for sizes in g.sizes(x):
            if not range(sizes[axis])[self.start : self.end : self.step]:
                g.fail(
                    f"nothing of axis {axis} of {g.show(x)} lies in {self.start}:{self.end}:{self.step}",
                    code="spec/empty-output",
                )
        first, last = (0, TO_THE_END) if self.step > 0 else (TO_THE_END, -TO_THE_END)
        start, end = first if self.start is None else self.start, last if self.end is None else self.end
        bounds = (g.constant([value]) for value in (start, end, axis, self.step))
        return g.op("Slice", x, *bounds)


class Pad(Layer):
    """Grows the spatial axes of [N, C, spatial...] by a constant, a mirror image or the border repeated."""

    primary: ClassVar = "amount"
    amount: int | list[int] = Field(description="an integer, one per axis, or all begins then all ends")
    mode: Literal["constant", "reflect", "edge"] = Field("constant", description="what the padding holds")
    value: float = Field(0.0, description="the constant")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        rank = g.rank(x) - 2
        if rank < 1:
            g.fail(f"expected [N, C, spatial...], was given {g.show(x)}", code="spec/shape-mismatch")
        begin, end = explicit_pads(g, self.amount, rank)
        value = number(g, x, self.value) if self.mode == "constant" and self.value else None
        return pad_spatial(g, x, begin, end, mode=self.mode, value=value)


class Squeeze(Layer):
    """Removes axes of size 1."""

    primary: ClassVar = "axes"
    axes: PerAxis = Field(description="the axes to remove")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        axes = [axis_of(g, x, axis) for axis in self.axes]
        if any(g.size(x, axis) != 1 for axis in axes):
            g.fail(f"axes {axes} of {g.show(x)} are not all of size 1", code="spec/shape-mismatch")
        return g.op("Squeeze", x, g.constant(axes))


class Unsqueeze(Layer):
    """Inserts axes of size 1 at positions counted in the output."""

    primary: ClassVar = "axes"
    axes: PerAxis = Field(description="positions of the new axes in the output")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        rank = g.rank(x) + len(self.axes)
        distinct = len({axis % rank for axis in self.axes}) == len(self.axes)
        if not distinct or any(not -rank <= axis < rank for axis in self.axes):
            g.fail(f"positions {list(self.axes)} are not distinct axes of an output with {rank} axes")
        return g.op("Unsqueeze", x, g.constant([axis % rank for axis in self.axes]))


class Expand(Layer):
    """Repeats axes of size 1 up to `shape`, which broadcasts with the input's from the last axis."""

    primary: ClassVar = "shape"
    shape: list[int] = Field(description="the sizes to reach; 1 keeps the input's")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        for sizes in g.sizes(x):
            pairs = zip(reversed(sizes), reversed(self.shape), strict=False)
            if min(self.shape, default=1) < 1 or any(1 not in (a, b) and a != b for a, b in pairs):
                g.fail(f"{g.show(x)} does not expand to {self.shape}", code="spec/shape-mismatch")
        return g.op("Expand", x, g.constant(self.shape, ir.DataType.INT64))


class Gather(Layer):
    """The entries of one axis that `indices` names; a single integer removes the axis."""

    primary: ClassVar = "indices"
    indices: int | Annotated[list[int], Field(min_length=1)] = Field(
        description="which entries, counted from the end when negative"
    )
    axis: Axis = 1

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        axis = axis_of(g, x, self.axis)
        named = [self.indices] if isinstance(self.indices, int) else self.indices
        for sizes in g.sizes(x):
            if any(not -sizes[axis] <= index < sizes[axis] for index in named):
                g.fail(f"axis {axis} of {g.show(x)} has no entry {named}", code="spec/shape-mismatch")
        return g.op("Gather", x, g.constant(self.indices), axis=axis)


class Crop(Layer):
    """The centre of the first input, of the second's spatial sizes; of an odd rest the end loses more.

    [N, C, spatial...] and a second input of the same rank. Both sizes may be symbolic if they differ by a fixed amount.
    """

    def emit(self, g: Emitter, x: ir.Value, like: ir.Value) -> ir.Value:
        if g.rank(x) != g.rank(like) or g.rank(x) < 3:
            g.fail(
                f"expected two [N, C, spatial...] of one rank, was given {g.show(x)} and {g.show(like)}",
                code="spec/shape-mismatch",
            )
        shapes = zip(g.sizes(x), g.sizes(like), strict=True)
        surplus = {tuple(a - b for a, b in zip(big[2:], small[2:], strict=True)) for big, small in shapes}
        if min(map(min, surplus)) < 0:
            g.fail(f"{g.show(x)} is smaller than {g.show(like)}", code="spec/shape-mismatch")
        if len(surplus) > 1:
            g.fail(
                f"{g.show(x)} exceeds {g.show(like)} by an amount that varies with the input size",
                code="spec/dim-not-fixed",
                hint="give that dimension one value in 'dims:'",
            )
        rest = surplus.pop()
        starts = [amount // 2 for amount in rest]
        ends = [start - amount or TO_THE_END for start, amount in zip(starts, rest, strict=True)]
        axes = list(range(2, g.rank(x)))
        return g.op("Slice", x, g.constant(starts), g.constant(ends), g.constant(axes))
