"""Operators of a domain that is not ONNX's, which the model does not define either.

Why    only the runtime that brought them has them: ONNX Runtime's `com.microsoft` runs nowhere else, and no tool of the
       ONNX world infers a shape, a cost or a gradient of it. Its own optimiser writes such nodes into a saved model.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import onnx_ir as ir

from graphc import Problem, Subject, lint
from graphc_passes.lints.graph._graphs import STANDARD, is_local, is_unimported, nodes, one_node


@lint(
    category="graph",
    severity="warning",
    help="export without the runtime's own fusions, or define the operator as a function of the model",
)
def contrib_domain(subject: Subject) -> Iterator[Problem]:
    if (subject.settings.target or "").startswith("ort-"):
        return  # whether that runtime has them is for the lints of targets
    found: dict[str, list[ir.Node]] = defaultdict(list)
    for node, opsets in nodes(subject):
        if node.domain not in STANDARD and not is_local(subject.model, node) and not is_unimported(node, opsets):
            found[node.domain].append(node)
    for domain, those in found.items():
        counts = Counter(node.op_type for node in those)
        kinds = ", ".join(f"{count} {op_type}" for op_type, count in counts.most_common())
        yield Problem(f"the domain '{domain}' is not ONNX's: {kinds}", at=those[0], measured=len(those))


@contrib_domain.bad
def of_a_runtime(folder: Path) -> Path:
    return one_node(folder, "FastGelu", domain="com.microsoft")


@contrib_domain.good
def of_onnx(folder: Path) -> Path:
    return one_node(folder, "Gelu")
