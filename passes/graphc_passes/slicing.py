"""Reading a Slice node, at every opset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphc import Refusal, View


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


def read_slice(view: View) -> dict[int, Cut]:
    """Axis (from 0) -> Cut. Raises Refusal when the rank, starts, ends, axes or steps are not known."""
    data = view.required("data")
    if data.shape is None:
        raise Refusal("the number of axes is not known")
    starts, stops, axes, steps = _parameters(view)
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    cuts = zip(axes, starts, stops, steps, strict=True)
    return {axis % len(data.shape): Cut(start, stop, step) for axis, start, stop, step in cuts}


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
