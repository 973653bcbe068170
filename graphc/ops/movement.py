"""Operators that compute nothing: only bytes. Another view of the same storage moves none.

Back, what was copied is summed, what was picked is scattered (one add for each element), the rest just moves back.
"""

from __future__ import annotations

import onnx_ir as ir

from graphc.convolution import static_shape
from graphc.costs import ZERO, Cost
from graphc.ops.layout import is_selection, reshaped
from graphc.ops.op import (
    Op,
    Saved,
    broadcast_adds,
    elements,
    gradient_traffic,
    keep,
    op,
    operand,
    size_in_bytes,
    traffic,
    written,
)
from graphc.view import View

DATA = frozenset({0})
NONE: frozenset[int] = frozenset()


@op("Identity")
class Renamed(Op):
    """The same storage under another name."""

    gradients = DATA

    def forward(self, view: View) -> Cost:
        return ZERO

    def toward(self, view: View, index: int) -> Cost:
        return ZERO

    def alias(self, view: View) -> ir.Value | None:
        return operand(view, 0)


@op("Flatten", "Reshape", "Squeeze", "Unsqueeze")
class Reshaped(Renamed):
    """The same storage under another shape, as long as the layout allows."""

    def alias(self, view: View) -> ir.Value | None:
        """The data, unless its layout makes PyTorch copy it."""
        data = operand(view, 0)
        return data if reshaped(data, static_shape(view.node.outputs[0])) else None


@op("BitCast")
class Reinterpreted(Renamed):
    """The same bits as another type: numbers lose their meaning, and gradients theirs."""

    gradients = NONE


@op("OneHot")
class OneHot(Op):
    """Indices and two values in, all positions out."""

    gradients = NONE

    def forward(self, view: View) -> Cost:
        return traffic(view)


@op("CastLike", "CenterCropPad", "Compress", "DepthToSpace", "ReverseSequence", "SpaceToDepth", "Trilu")
class Copied(Op):
    """Every operand once; back the same way."""

    gradients = DATA

    def forward(self, view: View) -> Cost:
        return traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        return gradient_traffic(view, index)


@op("Cast")
class Cast(Copied):
    """To another type; to the same one it is the same storage."""

    def alias(self, view: View) -> ir.Value | None:
        data = operand(view, 0)
        return data if data.dtype == view.node.outputs[0].dtype else None

    def differentiable(self, view: View, index: int) -> bool:
        out = view.node.outputs[0].dtype
        return out is not None and out.is_floating_point() and super().differentiable(view, index)


@op("Transpose")
class Transpose(Copied):
    """A copy in another order; for memory the same storage, read with other strides."""

    def alias(self, view: View) -> ir.Value | None:
        return operand(view, 0)


@op("Tile")
class Repeated(Copied):
    """Copies, whose gradients are summed."""

    def toward(self, view: View, index: int) -> Cost:
        return broadcast_adds(view, index) + gradient_traffic(view, index)


@op("Expand")
class Expand(Repeated):
    """Copies; for memory the same storage, read again and again."""

    def alias(self, view: View) -> ir.Value | None:
        return operand(view, 0)


@op("Pad")
class Pad(Copied):
    """With a constant, or with copies of the data, whose gradients are summed."""

    def toward(self, view: View, index: int) -> Cost:
        if view.attr("mode") != "constant":
            return broadcast_adds(view, index) + gradient_traffic(view, index)
        own = size_in_bytes([operand(view, index)])
        return Cost(bytes_read=own, bytes_written=own)

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        return keep(operand(view, 0), "data") if wanted and view.attr("mode") != "constant" else ()


@op("Concat")
class Concat(Op):
    """Back, each operand takes its part."""

    def forward(self, view: View) -> Cost:
        return traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        own = size_in_bytes([operand(view, index)])
        return Cost(bytes_read=own, bytes_written=own)


@op("Slice", "Split")
class Cut(Op):
    """Of the data only what is written, and the operands that say which; back, the rest is zero."""

    gradients = DATA

    def forward(self, view: View) -> Cost:
        out = written(view)
        return out + Cost(bytes_read=out.bytes_written + size_in_bytes(view.inputs()[1:]))

    def toward(self, view: View, index: int) -> Cost:
        return gradient_traffic(view, index, *view.node.outputs[1:])

    def alias(self, view: View) -> ir.Value | None:
        return operand(view, 0)


@op("Gather", "GatherElements", "GatherND")
class Gather(Cut):
    """Back, each element is added to the place it came from."""

    def toward(self, view: View, index: int) -> Cost:
        adds = Cost(add=elements(view.node.outputs[0]))
        return adds + gradient_traffic(view, index, operand(view, 1))

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        return keep(operand(view, 1), "indices") if wanted and not self.alias(view) else ()

    def alias(self, view: View) -> ir.Value | None:
        return operand(view, 0) if view.op_type == "Gather" and is_selection(view) else None


@op("Scatter", "ScatterElements", "ScatterND")
class Scatter(Op):
    """The data with some elements replaced or, with a `reduction`, combined: one step per update."""

    gradients = frozenset({0, 2})

    def forward(self, view: View) -> Cost:
        return self._steps(view) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        """Of the data what was not replaced, of the updates what they reached; a product or a choice is one step."""
        kind, indices = self._kind(view), operand(view, 1)
        if index == 0:
            return ZERO if kind == "add" else self._steps(view) + gradient_traffic(view, index, indices)
        own = size_in_bytes([operand(view, index)])
        steps = ZERO if kind == "add" else self._steps(view)
        return steps + Cost(bytes_read=own + size_in_bytes([indices]), bytes_written=own)

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """The indices; for a product or a choice also what went into it."""
        indices = keep(operand(view, 1), "indices") if wanted else ()
        if self._kind(view) in ("none", "add"):
            return indices
        return indices + keep(operand(view, 0), "data") + keep(operand(view, 2), "updates")

    def _kind(self, view: View) -> str:
        return "none" if view.op_type == "Scatter" else view.attr("reduction") or "none"

    def _steps(self, view: View) -> Cost:
        step = {"add": Cost(add=1), "mul": Cost(mul=1), "max": Cost(cmp=1), "min": Cost(cmp=1)}
        return step.get(self._kind(view), ZERO) * elements(operand(view, 2))


@op("TensorScatter")
class TensorScatter(Op):
    """A cache with an update written into it."""

    gradients = frozenset({0, 1})

    def forward(self, view: View) -> Cost:
        return traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        own = size_in_bytes([operand(view, index)])
        return Cost(bytes_read=own, bytes_written=own)


@op("Dropout")
class Dropout(Op):
    """In inference the data itself; in training a comparison and a multiplication per element."""

    gradients = DATA

    def forward(self, view: View) -> Cost:
        if not trains(view):
            return ZERO
        size = elements(view.node.outputs[0])
        return Cost(cmp=size, mul=size) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        if not trains(view):
            return ZERO
        mask = Cost(bytes_read=size_in_bytes([operand(view, 0)]))
        return Cost(mul=elements(operand(view, 0))) + mask + gradient_traffic(view, index)

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """A mask of the data's own type."""
        return (Saved(None, size_in_bytes([operand(view, 0)]), "mask"),) if wanted and trains(view) else ()

    def alias(self, view: View) -> ir.Value | None:
        return None if trains(view) else operand(view, 0)


def trains(view: View) -> bool:
    """Whether a Dropout drops. Raises Refusal when that is known only at run time."""
    if view.opset < 12:
        return False
    mode = view.optional_constant("training_mode")
    return mode is not None and bool(mode)
