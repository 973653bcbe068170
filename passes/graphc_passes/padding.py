"""Reading a Pad node, at every opset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphc import Refusal, View


@dataclass(frozen=True)
class Padding:
    """What a Pad adds to each axis of its data: `before` and `after` [rank] elements (negative: it crops).

    `mode` is constant, reflect, edge or wrap; `value` what a constant one is filled with.
    """

    before: np.ndarray
    after: np.ndarray
    mode: str
    value: float

    @classmethod
    def read(cls, pad: View) -> Padding:
        """Read all of a Pad. Raises Refusal when the rank, the widths or the value is not known."""
        data = pad.required("data")
        if data.shape is None:
            raise Refusal("the number of axes is not known")
        before, after = _widths(pad, len(data.shape))
        return cls(before, after, pad.attr("mode"), _value(pad))

    @property
    def rank(self) -> int:
        """The number of axes of the data."""
        return len(self.before)

    @property
    def spatial_only(self) -> bool:
        """Whether batch and channels are left as they are."""
        return not (self.before[:2].any() or self.after[:2].any())

    @property
    def crops(self) -> bool:
        """Whether some width is negative."""
        return min(*self.before, *self.after, 0) < 0


def _widths(pad: View, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Widths before and after each axis. Raises Refusal when they are not constants."""
    if pad.opset < 2:
        raise Refusal("Pad of opset 1 says it otherwise")
    widths = np.asarray(pad.attr("pads") if pad.opset < 11 else pad.constant("pads"), np.int64).reshape(2, -1)
    axes = pad.optional_constant("axes") if pad.opset >= 18 else None
    full = np.zeros((2, rank), np.int64)
    full[:, np.arange(rank) if axes is None else axes.reshape(-1)] = widths
    return full[0], full[1]


def _value(pad: View) -> float:
    if pad.opset < 11:
        return float(pad.attr("value"))
    content = pad.optional_constant("constant_value")
    return 0.0 if content is None else float(content.reshape(-1)[0])
