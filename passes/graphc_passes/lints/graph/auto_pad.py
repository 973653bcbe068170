"""Pads that the model does not state but leaves to be computed: `auto_pad` of SAME_UPPER or SAME_LOWER.

Why    ONNX deprecates the attribute. What it means depends on the size of the data, and runtimes disagree: ONNX Runtime
       refuses it on dilated convolutions and computes other sizes for dilated pools and for transposed convolutions
       whose stride exceeds the kernel; converters know only pads that are stated.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from graphc import CaseBuilder, Problem, Subject, lint

PADDED = ("Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "AveragePool", "MaxPool", "LpPool")


@lint(category="graph", severity="info", help="state the pads", fix="replace-auto-pad-with-pads")
def auto_pad(subject: Subject) -> Iterator[Problem]:
    found = [node for node, _ in subject.nodes(*PADDED) if _mode(node).startswith("SAME")]
    if found:
        count = f", and {len(found) - 1} others are like it" if len(found) > 1 else ""
        yield Problem(f"its pads are {_mode(found[0])}, which depends on the data{count}", at=found[0])


def _mode(node: ir.Node) -> str:
    attribute = node.attributes.get("auto_pad")
    return "" if attribute is None or attribute.is_ref() else str(attribute.value)


@auto_pad.bad
def same(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3), auto_pad="SAME_UPPER")


@auto_pad.good
def stated(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3), pads=(1, 1, 1, 1))


@auto_pad.good
def none_at_all(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3), auto_pad="VALID")
