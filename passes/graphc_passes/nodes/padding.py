"""Reading and making Pad nodes, at every opset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from graphc import Refusal, Tape, View
from graphc_passes.nodes.sizes import Size, as_tensor, known
from graphc_passes.nodes.stated import rank_of


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
        before, after = _widths(pad, rank_of(pad.required("data")))
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


def padded(op: Tape, data: ir.Value, before: Sequence[Size], after: Sequence[Size]) -> ir.Value:
    """`data` with that many zeros before and after each of its axes; itself where there are none."""
    return filled(op, data, before, after, mode=None)


def zero_padded(op: Tape, data: ir.Value, begin: Sequence[Size], end: Sequence[Size]) -> ir.Value:
    """`data` with that many zeros before and behind each spatial axis."""
    return padded(op, data, [0, 0, *begin], [0, 0, *end])


def filled(
    op: Tape,
    data: ir.Value,
    before: Sequence[Size],
    after: Sequence[Size],
    mode: str | None = "edge",
    value: float = 0.0,
) -> ir.Value:
    """`data` with that many elements before and after each of its axes, in that mode; itself where there are none.

    Raises Refusal for widths that are computed before opset 11.
    """
    widths = [*before, *after]
    if not any(widths):
        return data
    if op.opset >= 11:
        fill = op.constant(value, like=data, name="value") if value else None
        return op.Pad(data, as_tensor(op, widths), fill, mode=mode)
    numbers = known(widths)
    if numbers is None:
        raise Refusal(f"opset {op.opset} has no Pad by a size that is computed")
    return op.Pad(data, pads=numbers, mode=mode, value=value or None)


def without_zeros(root: View, value: ir.Value, axes: int) -> tuple[ir.Value, list[tuple[int, int]]]:
    """The data before the Pad that makes `value`, and the zeros (begin, end) that it adds to each spatial axis.

    The value itself and no zeros where nothing, or something else than a Pad of zeros around the image, makes it.
    """
    node, nothing = value.producer(), [(0, 0)] * axes
    if node is None or node.op_type != "Pad" or node.domain:
        return value, nothing
    try:
        padding = Padding.read(View(node, root.opset))
    except Refusal:
        return value, nothing
    if padding.mode != "constant" or padding.value != 0 or not padding.spatial_only or padding.crops:
        return value, nothing
    pad = root.made_by(value, "Pad")
    Padding.read(pad)
    return pad.required("data"), list(zip(padding.before[2:].tolist(), padding.after[2:].tolist(), strict=True))
