"""A node that stands before one whose result it reads, or that reads what it makes itself.

Why    ONNX wants nodes in an order in which they can run: its checker refuses another, and what goes through the graph
       once, as shape inference does, finds values that are not there yet. A circle has no such order.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir

from graphc import Case, reported

unsorted = reported("graph/unsorted", help="sort the nodes, as `onnx_ir.passes.common.TopologicalSortPass` does")


def _written(folder: Path, *, turned: bool) -> Path:
    """A Neg of a Relu, in that order or the other way round."""
    model = ir.to_proto(Case("two nodes", lambda g: g.Neg(g.Relu(g.input(1, 3, 8, 8)))).model())
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(reversed(nodes) if turned else nodes)
    path = folder / "net.onnx"
    onnx.save(model, path)
    return path


@unsorted.bad
def the_wrong_way_round(folder: Path) -> Path:
    return _written(folder, turned=True)


@unsorted.good
def in_order(folder: Path) -> Path:
    return _written(folder, turned=False)
