"""Permutations of channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import onnx_ir as ir

from graphc.spec.layers import Field, Layer

if TYPE_CHECKING:
    from graphc.spec.emit import Emitter


class ChannelShuffle(Layer):
    """Interleaves groups of channels: output channel i G + j is input channel j (C / G) + i, with G groups.

    [N, C, ...], same shape out (Zhang, Zhou, Lin and Sun, ShuffleNet, CVPR 2018).
    """

    primary: ClassVar = "groups"
    groups: int = Field(alias="g", gt=0, description="groups of channels to interleave")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return interleave(g, x, self.groups)


def interleave(g: Emitter, x: ir.Value, groups: int) -> ir.Value:
    """The nodes of `ChannelShuffle`: Reshape, Transpose, Reshape; any sizes behind the channels.

    Targets are constants where the sizes behind the channels are fixed; 0 copies the batch, even if empty.
    """
    if g.rank(x) < 2:
        g.fail(f"expected [N, C, ...], was given {g.show(x)}", code="spec/shape-mismatch")
    channels = g.size(x, 1)
    if channels % groups:
        g.fail(
            f"groups: {groups} does not divide the {channels} channels",
            code="spec/groups-do-not-divide",
            hint=f"use a divisor of {channels}",
        )
    rest = list(g.labels(x)[2:])
    fixed = all(isinstance(size, int) for size in rest)
    split = [0, groups, channels // groups, *(rest if fixed else [-1])]
    target = g.constant([0, channels, *rest]) if fixed else g.op("Shape", x, name="shape")
    grouped = g.op("Reshape", x, g.constant(split), name="split")
    turned = g.op("Transpose", grouped, name="transpose", perm=[0, 2, 1, *range(3, len(split))])
    return g.op("Reshape", turned, target)
