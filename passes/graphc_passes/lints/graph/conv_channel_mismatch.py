"""A convolution whose data, filter, groups, bias and stated kernel do not go together.

Why    the ONNX checker accepts it, shape inference does, and so does ONNX Runtime when it opens the model: it fails in
       the first run, or reads weights that are not there. A pruned or surgically changed network has one.
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from graphc import CaseBuilder, View, channel_conflict, lint
from graphc_passes.lints.graph._graphs import sizes

NAMES = {"ConvInteger": ("x", "w", None), "QLinearConv": ("x", "w", "B")}


@lint(
    *("Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "DeformConv"),
    category="graph",
    severity="error",
    help="Conv takes a filter [out, in/groups, *kernel], ConvTranspose [in, out/groups, *kernel]",
)
def conv_channel_mismatch(conv: View) -> str | None:
    data, filter_, bias = NAMES.get(conv.op_type, ("X", "W", "B"))
    weights = sizes(conv.input(filter_))
    if weights is None or len(weights) < 2:
        return None
    numbers = sizes(conv.input(bias)) if bias is not None else None
    conflict = channel_conflict(
        conv.op_type,
        _channels(conv.input(data), len(weights)),
        weights,
        conv.attr("group"),
        numbers[0] if numbers is not None and len(numbers) == 1 else None,
    )
    if conflict is None and numbers is not None and len(numbers) != 1:
        return f"the bias has {len(numbers)} axes, and is one number for each channel"
    return conflict or _stated(conv, weights[2:])


def _channels(data: ir.Value | None, rank: int) -> int | None:
    """The channels of the data; what has another rank than the filter, the checker tells."""
    found = sizes(data)
    return found[1] if found is not None and len(found) == rank else None


def _stated(conv: View, kernel: tuple[int | None, ...]) -> str | None:
    """Whether the node states another kernel than it has."""
    stated = conv.attr("kernel_shape")
    if not stated or None in kernel or tuple(stated) == kernel:
        return None
    return f"it states the kernel {list(stated)}, and its filter's is {list(kernel)}"


def _conv(g: CaseBuilder, op_type: str, data: int, filter_: tuple[int, ...], **attributes: Any) -> ir.Value:
    """A node that need not be valid."""
    x, w = g.input(1, data, 8, 8), g.weight(*filter_, 3, 3)
    node = ir.Node("", op_type, [x, w], ir.convenience.convert_attributes(attributes), num_outputs=1)
    node.outputs[0].type = x.type
    g.nodes.append(node)
    return node.outputs[0]


@conv_channel_mismatch.bad
def three_channels_and_five(g: CaseBuilder) -> object:
    return _conv(g, "Conv", 3, (64, 5))


@conv_channel_mismatch.bad
def groups_that_were_forgotten(g: CaseBuilder) -> object:
    return _conv(g, "Conv", 32, (32, 1))


@conv_channel_mismatch.bad
def groups_that_do_not_divide(g: CaseBuilder) -> object:
    return _conv(g, "Conv", 8, (6, 2), group=4)


@conv_channel_mismatch.bad
def a_filter_of_the_other_kind(g: CaseBuilder) -> object:
    return _conv(g, "ConvTranspose", 8, (16, 8))


@conv_channel_mismatch.bad
def a_bias_of_another_length(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3), g.weight(3))


@conv_channel_mismatch.bad
def another_kernel_is_stated(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3), kernel_shape=(5, 5))


@conv_channel_mismatch.good
def they_go_together(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 32, 8, 8), g.weight(32, 8, 3, 3), g.weight(32), group=4, kernel_shape=(3, 3))


@conv_channel_mismatch.good
def channels_only_the_data_knows(g: CaseBuilder) -> object:
    return g.Conv(g.input("N", "C", "H", "W"), g.weight(4, 3, 3, 3))
