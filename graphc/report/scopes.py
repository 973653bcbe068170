"""A model as a tree of scopes: node names are paths, `body.3/residual/conv`, so their prefixes are layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import prod

import onnx_ir as ir

from graphc.analysis.binding import bind
from graphc.analysis.summary import is_parameter
from graphc.costs import Total
from graphc.ops import total


@dataclass(frozen=True)
class Leaf:
    """A node: `parameters` are elements of the parameters that it is the first to read.

    `outputs` have the shapes that the model gives, or else those at the dims' `opt` sizes.
    """

    label: str
    node: ir.Node
    outputs: tuple[ir.Value, ...]
    parameters: int
    cost: Total


@dataclass(frozen=True)
class Scope:
    """A path's last part, and what is below it in the order of the graph."""

    label: str
    children: dict[str, Scope | Leaf] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """Elements of the weights of everything below."""
        return sum(child.parameters for child in self.children.values())

    @property
    def cost(self) -> Total:
        """The cost of everything below."""
        return sum((child.cost for child in self.children.values()), Total())

    @property
    def leaves(self) -> Iterator[Leaf]:
        """Every node below, in the order in which scopes first appear."""
        for child in self.children.values():
            if isinstance(child, Leaf):
                yield child
            else:
                yield from child.leaves


def scopes(model: ir.Model) -> Scope:
    """The tree of a model's main graph, costed at its dims' `opt` sizes."""
    root = Scope(model.graph.name or "graph")
    bound = bind(model)
    opset = bound.opset_imports.get("", 1)
    seen: set[ir.Value] = set()
    for node, sized in zip(model.graph, bound.graph, strict=True):
        fresh = {x for x in node.inputs if x is not None and x.is_initializer()} - seen
        seen |= fresh
        outputs = tuple(x if x.shape is not None else y for x, y in zip(node.outputs, sized.outputs, strict=True))
        leaf = Leaf(node.op_type, node, outputs, sum(map(_parameters, fresh)), total([sized], opset))
        _insert(root, leaf)
    return root


def _parameters(initializer: ir.Value) -> int:
    """The elements of an initializer that is a parameter; its content need not be known."""
    if initializer.shape is None or not is_parameter(initializer):
        return 0
    return prod(initializer.shape.numpy())


def _insert(root: Scope, leaf: Leaf) -> None:
    """Put a node where its path says; where the path is a scope's too, inside that scope."""
    *path, last = (leaf.node.name or "").strip("/").split("/")
    scope = root
    for label in path:
        child = scope.children.get(label)
        if not isinstance(child, Scope):
            child = scope.children[label] = Scope(label, _inner(child))
        scope = child
    there = scope.children.get(last)
    if isinstance(there, Scope):
        scope, last = there, ""
    key = last
    while key in scope.children or not key:  # unnamed nodes, and names that are not unique
        key += "\0"
    scope.children[key] = replace(leaf, label=last or leaf.label)


def _inner(leaf: Leaf | Scope | None) -> dict[str, Scope | Leaf]:
    """What a new scope begins with: the node that had its name until now."""
    return {"\0": leaf} if isinstance(leaf, Leaf) else {}
