"""A node whose result leads to no output.

Why    a runtime that does not look runs it in every step; one that does says nothing of what was forgotten: an output
       that was lost in the export, most often. In a spec, `spec/unused-value` says so where it was written.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from graphc import CaseBuilder, Problem, Subject, lint


@lint(
    category="graph",
    severity="warning",
    help="remove it, or make what it gives an output",
    fix="remove-unused-nodes",
)
def dead_node(subject: Subject) -> Iterator[Problem]:
    if subject.is_model and subject.model.graph.outputs:  # without any, everything is dead, and `no-output` says why
        for graph, _ in subject.graphs:
            yield from _dead(graph)


def _dead(graph: ir.Graph | ir.Function) -> Iterator[Problem]:
    """The ends of what is dead: nodes whose results nothing reads at all."""
    live = _live(graph)
    dead = [node for node in graph if node.outputs and node not in live and not _is_constant(node)]
    ends = [node for node in dead if not any(value.uses() for value in node.outputs)]
    for node in ends:
        others = len(dead) - len(ends)
        behind = f", and {others} nodes only lead to such" if others and node is ends[-1] else ""
        yield Problem(f"nothing reads what this {node.op_type} makes{behind}", at=node)


def _live(graph: ir.Graph | ir.Function) -> set[ir.Node]:
    """The nodes of a graph on which its outputs, or a graph inside of one of its nodes, depend."""
    pending = [node for node in graph if any(map(_is_wanted, node.outputs)) or _reach_inside(node)]
    live: set[ir.Node] = set()
    while pending:
        node = pending.pop()
        if node in live:
            continue
        live.add(node)
        producers = (value.producer() for value in node.inputs if value is not None)
        pending += [each for each in producers if each is not None and each.graph is node.graph]
    return live


def _is_constant(node: ir.Node) -> bool:
    """Whether a node computes nothing."""
    return node.op_type == "Constant" and not node.domain


def _is_wanted(value: ir.Value) -> bool:
    return value.is_graph_output()


def _reach_inside(node: ir.Node) -> bool:
    """Whether a node of another graph reads what this one makes."""
    return any(reader.graph is not node.graph for value in node.outputs for reader in value.consumers())


@dead_node.bad
def a_chain(g: CaseBuilder) -> object:
    x = g.input(1, 3, 8, 8)
    g.Neg(g.Exp(x))
    return g.Relu(x)


@dead_node.good
def both_are_outputs(g: CaseBuilder) -> object:
    x = g.input(1, 3, 8, 8)
    return g.Relu(x), g.Neg(g.Exp(x))


@dead_node.good
def a_second_output_that_is_left(g: CaseBuilder) -> object:
    values, _ = g.record("TopK", g.input(1, 100), g.constant([5]), outputs=2)
    return g.Relu(values)
