"""What graphc knows of the ONNX operators: one file per family, found by walking this package.

An operator without an entry, or a node whose shapes are not known, is *uncosted*: it never counts as zero.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache

import onnx_ir as ir

from graphc.costs import ZERO, Cost, Total
from graphc.ops.op import OPS, Op
from graphc.view import Refusal, View

__all__ = ["cost_of", "known", "total"]


@cache
def known() -> Mapping[str, Op]:
    """Every operator of the standard domain that has an entry, by op_type."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return OPS


def cost_of(node: ir.Node, opset: int | None = None) -> Cost | None:
    """What running `node` once costs; None when it is uncosted.

    `opset` is needed for a node that is in no graph yet. Raises GraphcError when a node contradicts itself.
    """
    if node.domain or node.op_type not in known():
        return None
    try:
        return known()[node.op_type].forward(View(node, opset))
    except Refusal:  # a shape, a type or an attribute that the count depends on is not known
        return None


def total(nodes: Iterable[ir.Node], opset: int | None = None) -> Total:
    """The cost of a graph, or of some nodes, run once. If, Loop and Scan are uncosted, bodies and all."""
    counted, uncosted = ZERO, []
    for node in nodes:
        cost = cost_of(node, opset)
        if cost is None:
            uncosted.append(f"{node.op_type} '{node.name}'")
        else:
            counted += cost
    return Total(counted, tuple(uncosted))
