"""What the rewrites of transposed convolutions share: reading one at any size, and stating one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import (
    Axis,
    Phases,
    Refusal,
    Tape,
    View,
    constant,
    transpose_filter,
)
from graphc_passes.nodes.nests import both_sides
from graphc_passes.nodes.rearranging import crop

# ---------------------------------------------------------------- as convolutions of stride 1


@dataclass(frozen=True)
class Residue:
    """One output phase of a transposed axis: the taps that reach it, in the order of `axis`, a Conv axis of stride 1.

    No tap reaches the phase of a kernel that is smaller than the stride.
    """

    taps: tuple[int, ...]
    axis: Axis

    @classmethod
    def of(cls, phases: Phases, phase: int) -> Residue:
        """Output phase `phase` of an axis with one input phase; its taps are equally far apart."""
        row, low = phases.table[phase, 0], phases.axis
        places = np.flatnonzero(row >= 0)
        if not places.size:
            return cls((), replace(low, taps=0))
        step = int(places[1] - places[0]) if places.size > 1 else 1
        axis = replace(low, taps=places.size, pad=low.pad - int(places[0]), step=step)
        return cls(tuple(row[places].tolist()), axis)


def conv_of_residues(op: Tape, root: View, data: ir.Value, residues: Sequence[Residue]) -> ir.Value:
    """The Conv of `data` with those taps of the ConvTranspose `root`: one residue for each spatial axis."""
    pads = [residue.axis.pads for residue in residues]
    made = op.Conv(
        data,
        gathered_filter(op, root.required("W"), root.attr("group"), [residue.taps for residue in residues]),
        root.input("B"),
        dilations=[residue.axis.step for residue in residues],
        group=root.attr("group"),
        pads=both_sides([(max(0, begin), max(0, end)) for begin, end in pads]),
    )
    return crop(op, made, [max(0, -begin) for begin, _ in pads], [max(0, -end) for _, end in pads])


def gathered_filter(op: Tape, stored: ir.Value, groups: int, taps: Sequence[Sequence[int]]) -> ir.Value:
    """The filter of a ConvTranspose as a Conv has it, or back, with these taps of each axis, in this order."""
    content = constant(stored)
    if content is not None:
        gathered = transpose_filter(content, groups)
        for axis, chosen in enumerate(taps):
            gathered = gathered.take(chosen, axis=2 + axis)
        return op.constant(gathered, like=stored, name="weight")
    value = _transposed(op, stored, groups)
    for axis, chosen in enumerate(taps):
        value = op.Gather(value, op.constant(list(chosen)), axis=2 + axis)
    return value


def _transposed(op: Tape, filter_: ir.Value, groups: int) -> ir.Value:
    """`transpose_filter` of a computed filter of known shape."""
    assert filter_.shape is not None
    outer, inner, *taps = filter_.shape.numpy()
    apart = op.Reshape(filter_, op.constant([groups, outer // groups, inner, *taps]))
    swapped = op.Transpose(apart, perm=[0, 2, 1, *range(3, 3 + len(taps))])
    return op.Reshape(swapped, op.constant([groups * inner, outer // groups, *taps]))


# ---------------------------------------------------------------- as a node


def transposed_attributes(axes: Sequence[Axis], groups: int) -> dict[str, Any]:
    """The attributes with which a ConvTranspose node says these axes.

    Where output padding can make both pads of an axis equal it does, as frameworks write it; else there is as little of
    it as can be. Raises Refusal where a pad would be negative or the output padding too large.
    """
    pads = [_stated_pads(axis) for axis in axes]
    return {
        "strides": [axis.up for axis in axes],
        "dilations": [-axis.step for axis in axes],
        "pads": both_sides([(begin, end) for begin, end, _ in pads]),
        "output_padding": [padding for *_, padding in pads],
        "group": groups,
    }


def _stated_pads(axis: Axis) -> tuple[int, int, int]:
    """(begin pad, end pad, output padding) of a ConvTranspose axis."""
    if not axis.input:
        raise Refusal("the data is empty")
    begin, end = axis.pads
    if 0 <= begin - end < axis.up:
        end, padding = begin, begin - end
    else:
        end, padding = max(0, end), max(0, -end)
    if begin < 0 or padding >= axis.up:  # ONNX Runtime refuses more than that, though ONNX does not
        raise Refusal("outputs that no tap reaches: a ConvTranspose does not say so many")
    return begin, end, padding
