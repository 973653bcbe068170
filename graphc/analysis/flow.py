"""Where the gradients of a spec's losses go, without making the training graph: which parameters none of them reaches.

A parameter is *reached* when a loss depends on it through nodes that each have a gradient. Where a loss depends on it
only through a node that has none (ArgMax, Round, a Cast to integers), that node *blocks* it. Where not even that is so,
or `stop_gradient` stands on every way, nothing *uses* it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import onnx_ir as ir

from graphc.analysis.samples import captured
from graphc.collector import uncollected
from graphc.metadata import STOP_GRADIENT
from graphc.ops import op_of
from graphc.ops.op import floating
from graphc.spec.emit import Emitter
from graphc.spec.network import Network
from graphc.view import Refusal, View

MAY_BLOCK = 64  # nodes of which it is told what they block


@dataclass(frozen=True)
class Flow:
    """The parameters that train by the spec's words and get no gradient, by path.

    `unused` are those that no loss depends on, or only behind `stop_gradient`: those are `stopped`. `blocking` are the
    nodes without a gradient that stand on the way to the others, each with the parameters behind it.
    """

    unused: Mapping[str, ir.Value]
    stopped: frozenset[str]
    blocking: Mapping[ir.Node, tuple[str, ...]]


_known: WeakKeyDictionary[Emitter, Flow] = WeakKeyDictionary()


def gradient_flow(network: Network) -> Flow:
    """Follow the gradients of the losses of a network back, once. Nothing is told of one without losses."""
    if network.emitter not in _known:
        _known[network.emitter] = _flow(network)
    return _known[network.emitter]


@uncollected()
def _flow(network: Network) -> Flow:
    training = network.training
    if training is None or not training.losses:
        return Flow({}, frozenset(), {})
    nodes, losses = [*network.nodes, *training.nodes], [loss.value for loss in training.losses]
    used = {value for node in nodes for value in node.inputs}
    trained = {path: each.value for path, each in network.trainable.items() if each.value in used}
    ways = _Ways(nodes, network.emitter.opset)
    reached = ways.back(losses, ways.gradients)
    lost = {path: value for path, value in trained.items() if value not in reached}
    touched = ways.back(losses, ways.data) if lost else set()
    unused = {path: value for path, value in lost.items() if value not in touched}
    ever = ways.back(losses, ways.everything) if unused else set()
    stopped = frozenset(path for path, value in unused.items() if value in ever)
    behind = {value: path for path, value in lost.items() if value in touched}
    return Flow(unused, stopped, ways.blocking(behind, touched))


class _Ways:
    """The nodes, in order, and through which of their inputs what flows back."""

    def __init__(self, nodes: list[ir.Node], opset: int) -> None:
        self._nodes, self._opset = nodes, opset
        self._gradients: dict[ir.Node, list[ir.Value]] = {}

    def back(self, losses: Iterable[ir.Value], through: Callable[[ir.Node], list[ir.Value]]) -> set[ir.Value]:
        """All that the losses depend on, through these inputs of each node."""
        found = set(losses)
        for node in reversed(self._nodes):
            if not found.isdisjoint(node.outputs):
                found.update(through(node))
        return found

    def gradients(self, node: ir.Node) -> list[ir.Value]:
        """The inputs that get a gradient."""
        if node not in self._gradients:
            self._gradients[node] = [] if STOP_GRADIENT in node.metadata_props else self._differentiable(node)
        return self._gradients[node]

    def _differentiable(self, node: ir.Node) -> list[ir.Value]:
        inner = [value for value in captured(node) if floating(value)]
        if not any(map(floating, node.outputs)):
            return []
        try:
            op, view = op_of(node), View(node, self._opset)
        except Refusal:  # an operator that graphc does not know: as the costs have it, its gradients exist
            return [value for value in node.inputs if value is not None and floating(value)] + inner
        return [v for i, v in enumerate(node.inputs) if v is not None and op.differentiable(view, i)] + inner

    def data(self, node: ir.Node) -> list[ir.Value]:
        """The inputs that it computes with, where no gradient is stopped by the spec's words."""
        return [] if STOP_GRADIENT in node.metadata_props else self.everything(node)

    def everything(self, node: ir.Node) -> list[ir.Value]:
        """All inputs, but for those of which only the shape matters."""
        if node.op_type in ("Shape", "Size"):
            return []
        return [*(value for value in node.inputs if value is not None), *captured(node)]

    def blocking(self, behind: Mapping[ir.Value, str], touched: set[ir.Value]) -> dict[ir.Node, tuple[str, ...]]:
        """The nodes through which a loss depends on these values and no gradient flows, each with what is behind it."""
        if not behind:
            return {}
        carried = set(behind)
        edges: dict[ir.Node, list[ir.Value]] = {}
        for node in self._nodes:
            flowing = self.gradients(node)
            if not carried.isdisjoint(flowing):
                carried.update(filter(floating, node.outputs))
            stuck = [value for value in self.data(node) if value in carried and value not in flowing]
            if stuck and not touched.isdisjoint(node.outputs):
                edges[node] = stuck
        found = {}
        for node, stuck in list(edges.items())[:MAY_BLOCK]:
            sources = self.back(stuck, self.gradients)
            found[node] = tuple(path for value, path in behind.items() if value in sources)
        return found
