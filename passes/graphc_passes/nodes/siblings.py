"""Convolutions that read one value in the same way: all their outputs are those of one convolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx_ir as ir

from graphc import Refusal, Tape, View, constant
from graphc_passes.nodes.stated import attributes_of


@dataclass(frozen=True)
class Sibling:
    """A dense Conv with constant weights.

    `windows` are kernel, strides, dilations and pads: equal where two convolutions read the same elements of `data`.
    """

    view: View
    data: ir.Value
    filter: np.ndarray
    bias: np.ndarray | None
    windows: tuple[object, ...]

    @classmethod
    def read(cls, view: View) -> Sibling:
        """Read all of a Conv. Raises Refusal when it has groups, or weights that are not constants."""
        if view.attr("group") != 1:
            raise Refusal("the convolution has groups")
        filter_ = view.constant("W")
        windows = _windows(view, filter_.shape[2:])
        return cls(view, view.required("X"), filter_, view.optional_constant("B"), windows)

    @property
    def out_channels(self) -> int:
        """Cout."""
        return len(self.filter)

    @property
    def read_for_one(self) -> int:
        """How many elements it has to read for one position of its output, strides apart."""
        return self.filter.shape[1] * prod(self.view.attr("strides") or (1,))

    def is_like(self, other: Sibling) -> bool:
        """Whether both read the same elements of one value."""
        return self.data is other.data and self.windows == other.windows


def _windows(view: View, kernel: tuple[int, ...]) -> tuple[object, ...]:
    rank, attr = len(kernel), view.attr
    pads, mode = attr("pads") or (0,) * (2 * rank), attr("auto_pad")
    steps = (attr(name) or (1,) * rank for name in ("strides", "dilations"))
    attr("kernel_shape")  # the filter says it, too
    return kernel, *steps, pads, "NOTSET" if mode == "VALID" else mode


def is_sibling(node: ir.Node | None, of: Sibling) -> bool:
    """Whether this node is a Conv like that one, and in its graph; nothing is matched by asking."""
    if node is None or node.op_type != "Conv" or node.domain or node.graph is not of.view.node.graph:
        return False
    if node.inputs[0] is not of.data or any(value is not None and constant(value) is None for value in node.inputs[1:]):
        return False
    try:
        return Sibling.read(View(node, of.view.opset)).is_like(of)
    except Refusal:
        return False


def merged(op: Tape, siblings: Sequence[Sibling]) -> ir.Value:
    """One Conv that makes the outputs of all of them, one behind the other in the channels."""
    first = siblings[0]
    weights = first.view.required("W")
    biases = [np.zeros(each.out_channels) if each.bias is None else each.bias for each in siblings]
    some = any(each.bias is not None for each in siblings)
    return op.Conv(
        first.data,
        op.constant(np.concatenate([each.filter for each in siblings]), like=weights, name="weight"),
        op.constant(np.concatenate(biases), like=weights, name="bias") if some else None,
        **attributes_of(first.view),
    )
