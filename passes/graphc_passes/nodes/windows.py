"""A Conv read as windows along each axis, also where a size is only known at run time."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from graphc import Axis, Refusal, View
from graphc_passes.nodes.nests import read_nest
from graphc_passes.nodes.sizes import Size
from graphc_passes.nodes.slicing import TO_THE_END, Cut
from graphc_passes.nodes.stated import known_sizes, shape_of


@dataclass(frozen=True)
class Window:
    """One axis of a Conv: `axis` in the one equation, over ANY_SIZE elements where `known` is false.

    `end` is the end pad that the node states; `axis.pads` has the one that the last window needs.
    """

    axis: Axis
    known: bool
    end: int

    @property
    def taps(self) -> int:
        """The kernel size."""
        return self.axis.taps

    @property
    def stride(self) -> int:
        """The stride."""
        return self.axis.down

    @property
    def dilation(self) -> int:
        """The dilation."""
        return self.axis.step

    @property
    def begin(self) -> int:
        """The begin pad."""
        return self.axis.pad

    @property
    def pads(self) -> tuple[int, int]:
        """(begin, end) that an operator without `auto_pad` needs; the end of a known size is the smallest."""
        return self.begin, max(0, self.axis.pads[1]) if self.known else self.end

    @property
    def reach(self) -> int:
        """How far the last tap lies behind the first."""
        return self.dilation * (self.taps - 1)

    def reads(self, tap: int) -> Cut:
        """What a tap reads of the padded axis, one element for each output, whatever its size."""
        first = self.dilation * tap
        return Cut(first, first - self.reach or TO_THE_END, self.stride)

    def outputs(self, size: Size) -> Size:
        """How many outputs there are over `size` elements."""
        if self.known:
            return self.axis.output
        return (size + (self.begin + self.end - self.reach - 1)) // self.stride + 1


@dataclass(frozen=True)
class WindowedConv:
    """A Conv of `groups` groups whose weights may be computed."""

    view: View
    windows: tuple[Window, ...]
    groups: int
    in_channels: int
    out_channels: int

    @classmethod
    def read(cls, view: View) -> WindowedConv:
        """Read all of a Conv but its weights.

        Raises Refusal where the rank, the size of the filter, or a size that the pads depend on is not known, and where
        the data or the output is empty.
        """
        shape = shape_of(view.required("X"))
        if 0 in shape or 0 in known_sizes(view.required("W")):
            raise Refusal("the data is empty")
        nest = read_nest(view)
        known = [isinstance(size, int) for size in shape[2:]]
        if not all(axis.output for axis in nest.axes):
            raise Refusal("the output is empty")
        windows = map(Window, nest.axes, known, _stated_ends(view, nest.axes, known))
        return cls(view, tuple(windows), nest.groups, nest.in_channels, nest.out_channels)

    @property
    def data(self) -> ir.Value:
        """X."""
        return self.view.required("X")

    @property
    def filter(self) -> ir.Value:
        """W."""
        return self.view.required("W")

    @property
    def bias(self) -> ir.Value | None:
        """B."""
        return self.view.input("B")


def _stated_ends(view: View, axes: tuple[Axis, ...], known: list[bool]) -> list[int]:
    mode, rank = view.attr("auto_pad"), len(axes)
    if not mode.startswith("SAME"):
        return [0] * rank if mode == "VALID" else list(view.attr("pads") or [0] * (2 * rank))[rank:]
    if any(axis.down > 1 and not is_known for axis, is_known in zip(axes, known, strict=True)):
        raise Refusal("auto_pad with a stride over a size that is not known")
    return [max(0, axis.pads[1]) for axis in axes]
