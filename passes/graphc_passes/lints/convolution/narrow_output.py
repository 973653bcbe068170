"""A large convolution to few channels.

Why    kernels compute outputs in lanes of 8 or 16: three outputs leave most of them idle. With the rows of the filter
       kept apart and added after, 9×9 to 3 channels takes a third of the time, 3×3 half (the last layer of most
       networks that make images).
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from graphc import CaseBuilder, Problem, Subject, View, lint
from graphc_passes.nodes.deployed import deployed
from graphc_passes.nodes.workload import WORTH, macs_of
from graphc_passes.rewrites.blocked.replace_narrow_conv_with_row_split import replace_narrow_conv_with_row_split


@lint(
    category="convolution",
    severity="info",
    help="keep the rows of the filter apart, and add them after",
    fix=replace_narrow_conv_with_row_split.name,
)
def narrow_output(subject: Subject) -> Iterator[Problem]:
    most = replace_narrow_conv_with_row_split.options["most_outputs"]
    for node, opset in deployed(subject, "Conv"):
        outputs = _outputs(node)
        if outputs is None or outputs > most or macs_of(View(node, opset)) < WORTH:
            continue
        if replace_narrow_conv_with_row_split.would_fire(node, opset):
            yield Problem(f"its {outputs} channels fill few of the lanes that compute them", at=node)


def _outputs(conv: ir.Node) -> int | None:
    """The channels that it makes, where its filter says so."""
    filter_ = conv.inputs[1] if len(conv.inputs) > 1 else None
    if filter_ is None or filter_.shape is None or not len(filter_.shape):
        return None
    return filter_.shape[0] if isinstance(filter_.shape[0], int) else None


@narrow_output.bad
def three_channels(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 32, 128, 128), g.weight(3, 32, 9, 9), g.weight(3), pads=(4, 4, 4, 4))


@narrow_output.bad
def one_channel_of_any_size(g: CaseBuilder) -> object:
    return g.Conv(g.input("N", 64, "H", "W"), g.weight(1, 64, 5, 5), pads=(2, 2, 2, 2))


@narrow_output.good
def sixteen_channels(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 32, 128, 128), g.weight(16, 32, 3, 3), g.weight(16), pads=(1, 1, 1, 1))


@narrow_output.good
def of_a_small_map(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 32, 16, 16), g.weight(3, 32, 3, 3), g.weight(3), pads=(1, 1, 1, 1))
