"""Where in a model file a rewrite would fire: what lints say of models that are run as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx_ir as ir

from graphc import Rewrite, Subject, View
from graphc_passes.nodes.workload import macs_of


def sites(subject: Subject, rewrite: Rewrite, *, worth: int = 0, **options: Any) -> Iterator[ir.Node]:
    """The roots at which it would, of convolutions those of at least `worth` multiply-adds.

    None of a spec: it is built with passes, and to write what they fold, a norm for one, is no defect of it.
    """
    for node, opset in deployed(subject, *rewrite.roots):
        if rewrite.would_fire(node, opset, **options) and (not worth or macs_of(View(node, opset)) >= worth):
            yield node


def deployed(subject: Subject, *op_types: str) -> Iterator[tuple[ir.Node, int]]:
    """The nodes of these operators in a model file, each with its opset; none of a spec."""
    if subject.is_model:
        yield from subject.nodes(*op_types)


def shown(value: ir.Value | None) -> str:
    """The node that makes a value, for a message."""
    node = value.producer() if value is not None else None
    return f"{node.op_type} '{node.name}'" if node is not None else "nothing"
