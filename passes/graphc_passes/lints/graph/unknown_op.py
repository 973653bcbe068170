"""An operator that ONNX does not have in the opset that the model imports, and the model does not define.

Why    nothing can run it. It is misspelt, of a later opset than the model says, or a function that was lost. Of a
       domain whose opset the model does not import, it does not even say which operator is meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import onnx
import onnx_ir as ir

from graphc import Problem, Subject, lint
from graphc_passes.lints.graph._graphs import STANDARD, is_local, is_unimported, nodes, one_node, schema_at


@lint(category="graph", severity="error", help="import the opset that has it, or mend its name")
def unknown_op(subject: Subject) -> Iterator[Problem]:
    for node, opsets in nodes(subject):
        if is_local(subject.model, node):
            continue
        if is_unimported(node, opsets):
            yield Problem(f"'{node.op_type}' is of '{node.domain}', of which the model imports no opset", at=node)
        elif node.domain in STANDARD and node.domain in opsets and schema_at(node, opsets) is None:
            yield Problem(_said(node, opsets), at=node, help=_nearest(node))


def _said(node: ir.Node, opsets: Mapping[str, int]) -> str:
    domain, opset = node.domain or "ai.onnx", opsets[node.domain]
    if onnx.defs.has(node.op_type, domain=node.domain):
        first = _first(node.op_type, node.domain)
        return f"'{node.op_type}' came with opset {first} of {domain}, and the model imports {opset}"
    return f"'{node.op_type}' is no operator of {domain}"


def _nearest(node: ir.Node) -> str:
    """What it may have been meant to be: no hint where another opset has it."""
    if onnx.defs.has(node.op_type, domain=node.domain):
        return ""
    close = get_close_matches(node.op_type, _names(node.domain), n=1)
    return f"did you mean '{close[0]}'?" if close else ""


@cache
def _first(op_type: str, domain: str) -> int:
    """The first opset that has an operator."""
    schemas = onnx.defs.get_all_schemas_with_history()
    return min(each.since_version for each in schemas if (each.name, each.domain) == (op_type, domain))


@cache
def _names(domain: str) -> frozenset[str]:
    return frozenset(each.name for each in onnx.defs.get_all_schemas() if each.domain == domain)


@unknown_op.bad
def misspelt(folder: Path) -> Path:
    return one_node(folder, "LeekyRelu")


@unknown_op.bad
def of_a_later_opset(folder: Path) -> Path:
    return one_node(folder, "Swish")


@unknown_op.bad
def of_a_domain_that_is_not_imported(folder: Path) -> Path:
    return one_node(folder, "Align", domain="com.example", imported=False)


@unknown_op.good
def spelt_right(folder: Path) -> Path:
    return one_node(folder, "LeakyRelu")


@unknown_op.good
def of_that_opset(folder: Path) -> Path:
    return one_node(folder, "Swish", opset=24)
