"""Nodes that compute from constants alone, in every run.

Why    the result is the same each time: a weight normalisation, a transposed matrix, a table of positions. ONNX Runtime
       computes it when it loads the model, other runtimes and accelerators in every step.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import onnx_ir as ir

from graphc import CaseBuilder, Problem, Subject, lint
from graphc_passes.lints.graph._graphs import sizes
from graphc_passes.rewrites.folding.fold_constants import ARITHMETIC, MOVEMENT, fold_constants

FOLDABLE = frozenset({*ARITHMETIC, *MOVEMENT})
WORTH = 10_000  # elements read or written: some microseconds, about what starting one more node takes
SMALL = 1024  # elements of a result that is stored even if it is larger than what it is made of


@lint(
    category="graph",
    severity="info",
    help="compute it once and store the result",
    fix=fold_constants.name,
)
def foldable_subgraph(subject: Subject) -> Iterator[Problem]:
    if not subject.is_model:  # a spec is built with passes, which fold it
        return
    folded: dict[ir.Node, int] = {}  # each node, and the elements that it moves
    for graph, _ in subject.graphs:
        if isinstance(graph, ir.Graph):
            _fold(graph, folded)
    moved = sum(folded.values())
    if moved >= WORTH:
        largest = max(folded, key=lambda node: folded[node])
        others = f", and {len(folded) - 1} more nodes do" if len(folded) > 1 else ""
        message = f"this {largest.op_type} computes from constants alone{others}: {moved} elements in every run"
        yield Problem(message, at=largest, measured=moved, limit=WORTH)


def _fold(graph: ir.Graph, folded: dict[ir.Node, int]) -> None:
    for node in graph:
        if node.domain or node.op_type not in FOLDABLE or not node.inputs:
            continue
        read = [_elements(value) for value in node.inputs if value is not None and _is_constant(value, folded)]
        made = _elements(node.outputs[0]) if node.outputs else 0
        whole = len(read) == sum(value is not None for value in node.inputs)
        if whole and 0 < made <= max(SMALL, sum(read)):
            folded[node] = sum(read) + made


def _is_constant(value: ir.Value, folded: dict[ir.Node, int]) -> bool:
    producer = value.producer()
    if producer is None:
        return value.is_initializer() and not value.is_graph_input()
    return producer in folded or (producer.op_type == "Constant" and not producer.domain)


def _elements(value: ir.Value) -> int:
    """How many; 0 where it is not known."""
    found = sizes(value)
    known = [size for size in found or () if size is not None]
    return 0 if found is None or len(known) < len(found) else prod(known)


@foldable_subgraph.bad
def a_filter_that_is_scaled(g: CaseBuilder) -> object:
    scaled = g.Mul(g.weight(32, 1, 1, 1), g.weight(32, 32, 3, 3))
    return g.Conv(g.input(1, 32, 8, 8), scaled)


@foldable_subgraph.bad
def a_transposed_matrix(g: CaseBuilder) -> object:
    return g.MatMul(g.input(1, 128), g.Transpose(g.weight(64, 128), perm=[1, 0]))


@foldable_subgraph.good
def the_matrix_itself(g: CaseBuilder) -> object:
    return g.MatMul(g.input(1, 128), g.weight(128, 64))


@foldable_subgraph.good
def the_arithmetic_of_a_shape(g: CaseBuilder) -> object:
    target = g.Concat(g.constant([0]), g.Mul(g.constant([4]), g.constant([2])), axis=0)
    return g.Reshape(g.input("N", 2, 4), target)
