"""Grouped convolutions, whether their weights are constants or computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from graphc import Refusal, Tape, View, constant, transpose_filter
from graphc_passes.nodes.slicing import Cut, sliced
from graphc_passes.nodes.stated import attributes_of, known_sizes


@dataclass(frozen=True)
class GroupedConv:
    """A Conv or ConvTranspose of `groups` groups, each from `inner` to `outer` channels, with `taps` on each axis."""

    view: View
    groups: int
    inner: int
    outer: int
    taps: tuple[int, ...]

    @classmethod
    def read(cls, view: View) -> GroupedConv:
        """Read the sizes of a convolution. Raises Refusal when the shape of its filter is not known."""
        sizes, groups = known_sizes(view.required("W")), view.attr("group")
        if len(sizes) < 2 or 0 in sizes or groups < 1 or sizes[0] % groups:
            raise Refusal("the filter is empty, or the groups do not divide it")
        first, second, *taps = sizes
        each = first // groups
        inner, outer = (each, second) if view.op_type == "ConvTranspose" else (second, each)
        return cls(view, groups, inner, outer, tuple(taps))

    @property
    def rank(self) -> int:
        """Axes of the data: batch, channels and the spatial ones."""
        return 2 + len(self.taps)

    @property
    def in_channels(self) -> int:
        """Cin."""
        return self.groups * self.inner

    @property
    def out_channels(self) -> int:
        """Cout."""
        return self.groups * self.outer

    def remade(self, op: Tape, data: ir.Value, filter_: ir.Value, bias: ir.Value | None, **changes: object) -> ir.Value:
        """The same convolution of `data` with other weights, and its attributes but for the `changes`."""
        return op.record(self.view.op_type, data, filter_, bias, **attributes_of(self.view) | changes)

    def with_wider_groups(self, op: Tape, merge: int) -> ir.Value:
        """The same convolution with `merge` groups made one: their filters lie on a diagonal of zeros.

        Raises Refusal when the filter is not a constant.
        """
        transposed, stored = self.view.op_type == "ConvTranspose", self.view.constant("W")
        filter_ = transpose_filter(stored, self.groups) if transposed else stored
        wide = np.zeros((self.out_channels, merge * self.inner, *self.taps), filter_.dtype)
        for group in range(self.groups):
            outputs, column = slice(group * self.outer, (group + 1) * self.outer), group % merge * self.inner
            wide[outputs, column : column + self.inner] = filter_[outputs]
        groups = self.groups // merge
        content = transpose_filter(wide, groups) if transposed else wide
        weights = op.constant(content, like=self.view.required("W"), name="weight")
        return self.remade(op, self.view.required("X"), weights, self.view.input("B"), group=groups)


def piece(op: Tape, value: ir.Value, cuts: Mapping[int, Cut], name: str = "weight") -> ir.Value:
    """`value` with these cuts, axis -> Cut: cut now when it is a constant, else by a Slice."""
    content = constant(value)
    if content is None:
        return sliced(op, value, cuts)
    taken = tuple(
        slice(cuts[a].start, cuts[a].stop, cuts[a].step) if a in cuts else slice(None) for a in range(content.ndim)
    )
    return op.constant(content[taken], like=value, name=name)


def rows(op: Tape, value: ir.Value, indices: Sequence[int], name: str = "weight") -> ir.Value:
    """`value` at these indices of its first axis: taken now when it is a constant, else by a Gather."""
    content = constant(value)
    if content is not None:
        return op.constant(content[list(indices)], like=value, name=name)
    return op.Gather(value, op.constant(list(indices)), axis=0)
