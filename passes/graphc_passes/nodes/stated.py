"""What a graph states: the attributes of a node, the shape of a value as far as it is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from graphc import Refusal, View, constant

ANY_SIZE = 1 << 12  # stands for a size known at run time only, where what follows does not depend on it


def attributes_of(view: View) -> dict[str, Any]:
    """Every attribute that the node sets."""
    return {name: view.attr(name) for name in view.node.attributes}


def shape_of(value: ir.Value) -> ir.Shape:
    """Raises Refusal when the number of axes is not known."""
    if value.shape is None:
        raise Refusal("the number of axes is not known")
    return value.shape


def rank_of(value: ir.Value) -> int:
    """The number of axes. Raises Refusal when it is not known."""
    return len(shape_of(value))


def spatial_sizes(data: ir.Value, any_size: int = ANY_SIZE) -> list[int]:
    """The sizes of [N, C, ...] from the third on; one that is not known stands at `any_size`."""
    return [size if isinstance(size, int) else any_size for size in shape_of(data)[2:]]


def static_spatial(data: ir.Value) -> Sequence[int]:
    """The sizes of [N, C, ...] from the third on. Raises Refusal when one of them is not known, or 0."""
    sizes = [size for size in (data.shape or ())[2:] if isinstance(size, int) and size]
    if data.shape is None or len(sizes) < max(1, len(data.shape) - 2):
        raise Refusal("a spatial size is not known, or 0")
    return sizes


def static_channels(data: ir.Value) -> int:
    """The channels of [N, C, ...]. Raises Refusal when their number is not known, or 0."""
    channels = data.shape[1] if data.shape is not None and len(data.shape) > 1 else None
    if not isinstance(channels, int) or channels == 0:
        raise Refusal("the number of channels is not known, or 0")
    return channels


def known_sizes(value: ir.Value) -> tuple[int, ...]:
    """The sizes of weights. Raises Refusal when one is not known."""
    if value.shape is not None and value.shape.is_static():
        return tuple(value.shape.numpy())
    content = constant(value)
    if content is None:
        raise Refusal(f"the shape of '{value.name}' is not known")
    return content.shape


def only_user(value: ir.Value) -> bool:
    """Whether one node reads the value, once, and nobody else."""
    return len(value.uses()) == 1 and not value.is_graph_output()
