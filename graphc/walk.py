"""Walks over a whole model: what stands in a subgraph or in a function is as much a part of it as the main graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx_ir as ir

GraphLike = ir.Graph | ir.Function
GRAPHS = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)


def scopes(model: ir.Model) -> Iterator[tuple[GraphLike, int]]:
    """The main graph and each function, with its opset: names are unique in a scope, its subgraphs included."""
    opset = model.opset_imports.get("", 1)
    yield model.graph, opset
    for function in model.functions.values():
        yield function, function.opset_imports.get("", opset)


def graphs(model: ir.Model) -> Iterator[tuple[GraphLike, int]]:
    """Every graph of a model with its opset: the main one, its subgraphs, functions and their subgraphs."""
    for scope, opset in scopes(model):
        yield scope, opset
        for graph in subgraphs(scope):
            yield graph, opset


def imports(model: ir.Model) -> Iterator[tuple[GraphLike, Mapping[str, int]]]:
    """As `graphs`, with the opset of every domain that each imports."""
    for scope, _ in scopes(model):
        opsets = model.opset_imports if isinstance(scope, ir.Graph) else scope.opset_imports
        yield scope, opsets
        for graph in subgraphs(scope):
            yield graph, opsets


def subgraphs(scope: GraphLike) -> Iterator[ir.Graph]:
    """The graphs inside a graph or function, at any depth: bodies of If, Loop and Scan."""
    for node in scope:
        for graph in bodies(node):
            yield graph
            yield from subgraphs(graph)


def bodies(node: ir.Node) -> list[ir.Graph]:
    """The graphs that a node holds itself."""
    return held(node.attributes)


def held(attributes: Mapping[str, ir.Attr]) -> list[ir.Graph]:
    """The graphs among the attributes of a node."""
    found: list[ir.Graph] = []
    for attribute in attributes.values():
        if attribute.is_ref() or attribute.type not in GRAPHS:
            continue
        found += [attribute.as_graph()] if attribute.type == ir.AttributeType.GRAPH else attribute.as_graphs()
    return found


def nodes(model: ir.Model) -> Iterator[ir.Node]:
    """Every node of every graph; a function's once, however often it is called."""
    for graph, _ in graphs(model):
        yield from graph


def initializers(model: ir.Model) -> Iterator[ir.Value]:
    """Every initializer of every graph. A function has none of its own, but its subgraphs may."""
    for graph, _ in graphs(model):
        if isinstance(graph, ir.Graph):
            yield from graph.initializers.values()
