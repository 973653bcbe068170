"""Sliding windows: the arguments that convolutions and poolings share, resolved against an input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import onnx_ir as ir

from graphc.axis import Axis, extent, same_pads
from graphc.spec.layers import Field, PerAxis

if TYPE_CHECKING:
    from graphc.spec.emit import Emitter

MAX_SPATIAL_AXES = 3  # what ONNX Runtime computes

Kernel = Annotated[PerAxis, Field(alias="k", description="taps: one integer, or one per spatial axis")]
Stride = Annotated[PerAxis, Field(alias="s", description="step of the window: one integer, or one per axis")]
Dilation = Annotated[PerAxis, Field(alias="d", description="distance between taps: one integer, or one per axis")]
Pad = Annotated[
    Literal["same", "valid"] | int | list[int],
    Field(
        alias="p",
        description="'same' (d(k-1)/2 on each side), 'valid' (none), an integer, one per axis, "
        "or all begins then all ends",
    ),
]


@dataclass(frozen=True)
class Window:
    """A window over an input's spatial axes, one entry per axis; `begin` and `end` are the pads."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    begin: tuple[int, ...]
    end: tuple[int, ...]

    @property
    def pads(self) -> tuple[int, ...]:
        """The pads as ONNX lists them: all begins, then all ends."""
        return self.begin + self.end

    def axes(self, sizes: Sequence[int], *, ceil_mode: bool = False) -> tuple[Axis, ...]:
        """The axes of the window over an input of these spatial sizes."""
        pads = zip(self.begin, self.end, strict=True)
        each = zip(sizes, self.kernel, self.stride, self.dilation, pads, strict=True)
        return tuple(Axis.conv(*one, ceil_mode=ceil_mode) for one in each)


def window(
    g: Emitter,
    x: ir.Value,
    *,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    pad: str | int | list[int],
) -> Window:
    """The window over `x` [N, C, spatial...]. Fails where the kernel does not fit into the padded input."""
    rank = spatial_rank(g, x)
    kernel = per_axis(g, "kernel", kernel, rank)
    stride = per_axis(g, "stride", stride, rank)
    dilation = per_axis(g, "dilation", dilation, rank)
    extents = tuple(map(extent, kernel, dilation))
    begin, end = _same(g, extents) if pad == "same" else explicit_pads(g, pad, rank)
    view = Window(kernel, stride, dilation, begin, end)
    for sizes in g.sizes(x):
        if any(axis.output == 0 for axis in view.axes(sizes[2:])):
            padded = tuple(map(sum, zip(sizes[2:], begin, end, strict=True)))
            g.fail(
                f"a window of {extents} does not fit into the padded input of {padded}",
                code="spec/empty-output",
                hint="use a smaller kernel or dilation, or more padding",
            )
    return view


def spatial_rank(g: Emitter, x: ir.Value) -> int:
    """The number of spatial axes of `x` [N, C, spatial...]: 1, 2 or 3, else a shape error."""
    rank = g.rank(x) - 2
    if not 1 <= rank <= MAX_SPATIAL_AXES:
        g.fail(
            f"expected [N, C, spatial...] with 1 to {MAX_SPATIAL_AXES} spatial axes, was given {g.show(x)}",
            code="spec/shape-mismatch",
        )
    return rank


def per_axis(g: Emitter, name: str, value: Sequence[int], rank: int, *, least: int = 1) -> tuple[int, ...]:
    """`value` with one entry per spatial axis, none below `least`."""
    if len(value) not in (1, rank):
        g.fail(
            f"'{name}' has {len(value)} entries, but the input has {rank} spatial axes",
            hint=f"give one integer, or {rank}",
        )
    if min(value) < least:
        g.fail(f"'{name}' must be at least {least}, not {min(value)}")
    return tuple(value) * (rank // len(value))


def explicit_pads(g: Emitter, pad: str | int | list[int], rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(begin, end) pads from 'valid', an integer, one per axis, or all begins then all ends."""
    if pad == "valid":
        pad = 0
    given = [pad] if isinstance(pad, int) else list(map(int, pad))
    if len(given) not in (1, rank, 2 * rank):
        g.fail(
            f"'pad' has {len(given)} entries, but the input has {rank} spatial axes",
            hint=f"give one integer, {rank} (per axis), or {2 * rank} (all begins, then all ends)",
        )
    if min(given) < 0:
        g.fail(f"'pad' must not be negative, but is {pad}", hint="remove elements with 'crop' or 'slice'")
    if len(given) == 2 * rank:
        return tuple(given[:rank]), tuple(given[rank:])
    both = tuple(given) * (rank // len(given))
    return both, both


def pad_spatial(
    g: Emitter,
    x: ir.Value,
    begin: tuple[int, ...],
    end: tuple[int, ...],
    *,
    mode: str,
    value: ir.Value | None = None,
    name: str | None = None,
) -> ir.Value:
    """A Pad node over the spatial axes of `x`; a mirror image must fit inside the input."""
    for sizes in g.sizes(x) if mode == "reflect" else ():
        if any(pad >= size for pad, size in zip(begin + end, sizes[2:] * 2, strict=True)):
            g.fail(
                f"reflection mirrors inside the input, so pads {begin + end} need more than {sizes[2:]}",
                hint="repeat the edge instead, pad less, or use a larger input",
            )
    widths = g.constant([0, 0, *begin, 0, 0, *end])
    return g.op("Pad", x, widths, value, name=name, mode=mode)


def _same(g: Emitter, extents: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(begin, end) pads that keep the size at stride 1."""
    if any(length % 2 == 0 for length in extents):
        g.fail(
            f"pad 'same' is symmetric, so it needs a window of odd extent; this one spans {extents}",
            hint="use an odd kernel, or give 'pad' explicitly: an integer, or all begins then all ends",
        )
    return split_pads([length - 1 for length in extents])


def split_pads(totals: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(begin, end) pads that add up to these totals; the odd ones are at the end."""
    pads = [same_pads(total) for total in totals]
    return tuple(begin for begin, _ in pads), tuple(end for _, end in pads)
