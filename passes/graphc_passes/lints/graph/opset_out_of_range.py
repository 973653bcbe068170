"""A domain's opset that is missing, unknown to the installed onnx, or older than runtimes still read.

Why    the opset says what a node means. One that is not imported leaves that open, one that is too new may have changed
       it; of opsets before 7 ONNX Runtime promises nothing (its documentation, "ONNX versions and compatibility").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx
import onnx_ir as ir

from graphc import CaseBuilder, Problem, Subject, lint
from graphc_passes.lints.graph._graphs import STANDARD, is_local, nodes, some

OLDEST = 7


@lint(category="graph", severity="error", help="convert the model, or upgrade onnx")
def opset_out_of_range(subject: Subject) -> Iterator[Problem]:
    yield from _of_domain(subject.model.opset_imports)
    missing: dict[str, list[ir.Node]] = {}
    for node, opsets in nodes(subject):
        if node.domain in STANDARD and node.domain not in opsets and not is_local(subject.model, node):
            missing.setdefault(node.domain, []).append(node)
    for domain, found in missing.items():
        message = f"no opset of the domain '{domain or 'ai.onnx'}' is imported, of which {_shown(found)} is"
        yield Problem(message, at=found[0], help="say which opset the nodes were written for")


def _of_domain(opsets: Mapping[str, int]) -> Iterator[Problem]:
    """What is wrong with the opset of ONNX's own operators."""
    opset, newest = opsets.get(""), onnx.defs.onnx_opset_version()
    if opset is not None and opset > newest:
        yield Problem(f"opset {opset}, and the installed onnx knows {newest}", measured=opset, limit=newest)
    if opset is not None and opset < OLDEST:
        message = f"opset {opset} is older than {OLDEST}, the oldest that ONNX Runtime promises to read"
        yield Problem(message, severity="warning", measured=opset, limit=OLDEST)


def _shown(found: list[ir.Node]) -> str:
    return some([node.op_type for node in found])


@opset_out_of_range.bad
def of_tomorrow(g: CaseBuilder) -> object:
    g.opset = onnx.defs.onnx_opset_version() + 1
    return g.Relu(g.input(1, 3, 8, 8))


@opset_out_of_range.bad
def of_long_ago(g: CaseBuilder) -> object:
    g.opset = 6
    return g.Relu(g.input(1, 3, 8, 8))


@opset_out_of_range.good
def of_today(g: CaseBuilder) -> object:
    g.opset = onnx.defs.onnx_opset_version()
    return g.Relu(g.input(1, 3, 8, 8))
