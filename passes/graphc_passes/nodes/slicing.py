"""Reading and making Slice nodes, at every opset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from graphc import Refusal, Tape, View
from graphc_passes.nodes.stated import rank_of


@dataclass(frozen=True)
class Cut:
    """What a Slice takes of one axis: `start`, `start + step`, ... before `stop`, as Python's `slice` reads them.

    Starts and stops may be negative (counted from the end) or lie outside.
    """

    start: int
    stop: int
    step: int = 1

    def of(self, length: int) -> range:
        """The indices taken from an axis of that length."""
        stop = None if self.step < 0 and self.stop < -length else self.stop
        return range(*slice(self.start, stop, self.step).indices(length))

    @property
    def whole(self) -> bool:
        """Whether it takes every element of an axis of any length."""
        return self.start == 0 and self.stop >= np.iinfo(np.int32).max and self.step == 1


TO_THE_END = np.iinfo(np.int64).max


def sliced(op: Tape, data: ir.Value, cuts: Mapping[int, Cut]) -> ir.Value:
    """`data` with these cuts, axis -> Cut; itself where there are none.

    Raises Refusal for a step along batch or channels before opset 10.
    """
    if not cuts:
        return data
    axes = sorted(cuts)
    starts, stops, steps = ([getattr(cuts[axis], part) for axis in axes] for part in ("start", "stop", "step"))
    if op.opset >= 10:
        more = [op.constant(steps)] if set(steps) != {1} else []
        made = op.Slice(data, op.constant(starts), op.constant(stops), op.constant(axes), *more)
    else:
        made = _subsampled(
            op, op.Slice(data, starts=starts, ends=stops, axes=axes), dict(zip(axes, steps, strict=True))
        )
    return made


def _subsampled(op: Tape, data: ir.Value, steps: Mapping[int, int]) -> ir.Value:
    """Every step-th element along these axes without a Slice that has steps, which opset 10 brought: a pool of one."""
    if set(steps.values()) == {1}:
        return data
    rank = len(data.shape or ())
    if not all(axis >= 2 and step > 0 for axis, step in steps.items() if step != 1):
        raise Refusal(f"opset {op.opset} has no Slice with steps")
    strides = [steps.get(axis, 1) for axis in range(2, rank)]
    return op.MaxPool(data, kernel_shape=[1] * (rank - 2), strides=strides)


def parts_of(split: View) -> tuple[ir.Value, ...]:
    """The parts of a Split, for one who knows their sizes by their shapes: what the node says of them is read too."""
    split.attr("num_outputs")
    if split.opset < 13:
        split.attr("split")
    else:
        split.input("split")
    return split.outputs()


def read_slice(view: View) -> dict[int, Cut]:
    """Axis (from 0) -> Cut. Raises Refusal when the rank, starts, ends, axes or steps are not known."""
    rank = rank_of(view.required("data"))
    starts, stops, axes, steps = _parameters(view)
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    cuts = zip(axes, starts, stops, steps, strict=True)
    return {axis % rank: Cut(start, stop, step) for axis, start, stop, step in cuts}


def _parameters(view: View) -> tuple[list[int], list[int], list[int] | None, list[int] | None]:
    if view.opset < 10:
        axes = view.attr("axes")
        return list(view.attr("starts")), list(view.attr("ends")), None if axes is None else list(axes), None
    optional = [view.optional_constant(name) for name in ("axes", "steps")]
    return (
        view.constant("starts").tolist(),
        view.constant("ends").tolist(),
        *(None if content is None else content.tolist() for content in optional),
    )
