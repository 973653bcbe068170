"""Which gradients a training step computes: those on a path from something that trains to the loss.

A value *requires* a gradient when it trains, or when a node makes it of one that does. A gradient is *computed* towards
an input of a node when that input requires one and the loss depends on an output of the node. So the first layer has
no input gradient, nor has anything behind a frozen prefix, and nothing flows back through a node that is marked
`graphc.stop_gradient`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import TypeAlias

import onnx_ir as ir

from graphc.analysis.samples import Sample
from graphc.metadata import STOP_GRADIENT
from graphc.ops.op import floating

Wanted: TypeAlias = Mapping[ir.Node, tuple[int, ...]]  # inputs towards which a node computes gradients, last node first
Edge: TypeAlias = tuple[ir.Node, int]  # a node and the index of one of its inputs


def wanted(nodes: Mapping[ir.Node, Sample], trained: Iterable[ir.Value], losses: Iterable[ir.Value]) -> Wanted:
    """The gradients of the sum of `losses`. `nodes` are in graph order.

    A node may run backward for what its subgraphs capture alone, and so towards none of its inputs.
    """
    carried, requires = _required(nodes, trained)
    reached = requires.intersection(losses)
    found: dict[ir.Node, tuple[int, ...]] = {}
    for node in reversed(carried):
        if not reached.isdisjoint(node.outputs):
            found[node] = carried[node]
            reached.update(node.inputs[index] for index in carried[node])
            reached.update(nodes[node].captured & requires)
    return found


def _required(
    nodes: Mapping[ir.Node, Sample], trained: Iterable[ir.Value]
) -> tuple[dict[ir.Node, tuple[int, ...]], set[ir.Value | None]]:
    """Per node the inputs through which a gradient may flow back, and every value that requires one."""
    requires: set[ir.Value | None] = set(trained)
    carried: dict[ir.Node, tuple[int, ...]] = {}
    for node, sample in nodes.items():
        within = sample.captured and not requires.isdisjoint(sample.captured)
        if STOP_GRADIENT in node.metadata_props or not (within or not requires.isdisjoint(node.inputs)):
            continue
        can = sample.differentiable
        through = tuple(index for index, value in enumerate(node.inputs) if value in requires and index in can)
        if through or within:
            carried[node] = through
            requires.update(filter(floating, node.outputs))
    return carried, requires


def additions(gradients: Wanted, losses: Iterable[ir.Value]) -> AbstractSet[Edge]:
    """The gradients that are added to one that is there already: a value used u times adds u − 1 times.

    That a value is a loss counts as a use.
    """
    there: set[ir.Value | None] = set(losses)
    found = set()
    for node, indices in gradients.items():
        for index in indices:
            if node.inputs[index] in there:
                found.add((node, index))
            there.add(node.inputs[index])
    return found


def derived(nodes: Iterable[ir.Node], initializers: Iterable[ir.Value]) -> AbstractSet[ir.Value | None]:
    """The initializers and all that nodes compute from nothing else: gradients towards these are of filters."""
    found: set[ir.Value | None] = {None, *initializers}
    for node in nodes:
        if found.issuperset(node.inputs):
            found.update(node.outputs)
    return found
