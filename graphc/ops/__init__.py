"""What graphc knows of the ONNX operators: one file per family, found by walking this package.

An operator without an entry, or a node whose shapes are not known, is *uncosted*: it never counts as zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx_ir as ir

from graphc.costs import ZERO, Cost, Total
from graphc.ops.bodies import Scope
from graphc.ops.lookup import UNCOSTED, known, op_of
from graphc.ops.op import Op, Saved
from graphc.view import Refusal, View

__all__ = ["UNCOSTED", "Op", "Saved", "Scope", "cost_of", "known", "op_of", "total"]

Functions = Mapping[ir.OperatorIdentifier, ir.Function]


def cost_of(node: ir.Node, opset: int | None = None, functions: Functions | None = None) -> Cost | None:
    """What running `node` once costs; None when it is uncosted.

    `opset` is needed for a node that is in no graph yet, `functions` (a model's) where it calls one, itself or in a
    body. Raises GraphcError when a node contradicts itself.
    """
    try:
        return op_of(node, Scope(functions) if functions else None).forward(View(node, opset))
    except Refusal:  # a shape, a type or an attribute that the count depends on is not known
        return None


def total(nodes: Iterable[ir.Node], opset: int | None = None, functions: Functions | None = None) -> Total:
    """The cost of a graph, or of some nodes, run once."""
    counted, uncosted = ZERO, []
    for node in nodes:
        cost = cost_of(node, opset, functions)
        if cost is None:
            uncosted.append(f"{node.op_type} '{node.name}'")
        else:
            counted += cost
    return Total(counted, tuple(uncosted))
