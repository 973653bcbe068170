"""Taps of a filter that never meet data, whatever the data is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphc import Axis, View
from graphc_passes.nodes.workload import of_one


def dead_taps(axis: Axis) -> int:
    """How many taps read an input for no output."""
    each = (replace(axis, taps=1, pad=axis.pad - axis.step * tap) for tap in range(axis.taps))
    return sum(one.effective_macs == 0 for one in each)


def with_dead_taps(conv: View) -> Iterator[tuple[int, Axis, int]]:
    """(index, axis, how many) of each spatial axis with taps that never meet data; none where sizes are not known.

    An axis without inputs or outputs has nothing to meet.
    """
    padded = conv.attr("auto_pad") in ("SAME_UPPER", "SAME_LOWER") or any(conv.attr("pads") or ())
    transposed = conv.op_type == "ConvTranspose"
    if not padded and not (transposed and conv.attr("output_shape")):
        return
    found = of_one(conv)
    for index, axis in enumerate(found.axes if found is not None else ()):
        dead = dead_taps(axis) if axis.input and axis.output else 0
        if dead:
            yield index, axis, dead
