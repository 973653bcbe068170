"""The memory of a step: what forward keeps for backward, and the most that is live at once, in the order of the graph.

A *storage* is what one tensor holds; views of it (`Op.alias`) hold the same. The peak is the largest sum of live
storages at any node of forward, then of backward, when its results stand beside its operands:

* every stored tensor, the optimizer's state and the graph inputs are live throughout; outputs and losses until the end;
* in forward a storage lives until the last node that reads it, and on if backward needs it;
* the gradient of the losses is made when backward begins; a gradient lives until its node has run, those of parameters
  to the end; where no work is done, the gradient of an input is that of the output, and takes no storage of its own;
  gradients of one value are added into a new storage;
* what is saved is freed when the first node (the last in backward) that saved it is done.

That is what PyTorch allocates for layers that are not in place, as long as no variable of the program keeps a value
longer. Outputs that nobody reads and the
workspace of kernels are not counted. For inference, `bound` is the largest sum of what one node reads and writes:
no order of the nodes gets below it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import onnx_ir as ir

from graphc.analysis.cost_report import Memory
from graphc.analysis.gradients import Wanted
from graphc.analysis.optimizers import state_bytes
from graphc.analysis.samples import Sample, at
from graphc.analysis.step import Step
from graphc.ops.op import size_in_bytes
from graphc.view import Refusal

Nodes = Mapping[ir.Node, Sample]


def memory(step: Step, nodes: Nodes, gradients: Wanted, optimizer: str | None) -> Memory:
    """The memory of a step. `nodes` are in graph order."""
    storages = Storages(step, nodes)
    saved = {node: storages.saved(node, gradients[node]) for node in nodes if node in gradients}
    weights = storages.total(step.model.graph.initializers.values())
    trained = storages.total(step.stored.trained)
    state = state_bytes(optimizer, trained)
    held = weights + storages.total(step.model.graph.inputs)
    inference, bound = inference_peak(step, storages)
    training = training_peak(step, storages, gradients, saved) if step.losses else 0
    kept = {root for each in saved.values() for root in each.roots}
    inputs = kept.intersection(step.model.graph.inputs)
    return Memory(
        weights=weights,
        gradients=trained if step.losses else 0,
        optimizer=state,
        saved_activations=storages.total(kept - inputs) + sum(each.buffers for each in saved.values()),
        saved_inputs=storages.total(inputs),
        peak_training=held + state + training if step.losses else 0,
        peak_inference=held + inference,
        bound_inference=held + bound,
        unknown=next(iter(storages.unknown), ""),
    )


@dataclass(frozen=True)
class Saved:
    """What one node saves: storages of activations and graph inputs, and the bytes of buffers of its own."""

    roots: frozenset[ir.Value] = frozenset()
    buffers: int = 0


NOTHING = Saved()


class Storages:
    """Who holds what: each value's storage and its bytes. `unknown` collects why some are not known; they count 0."""

    def __init__(self, step: Step, nodes: Nodes) -> None:
        self.step, self.nodes = step, nodes
        self.unknown: dict[str, None] = {}
        self._roots: dict[ir.Value, ir.Value] = {}
        self._bytes: dict[ir.Value, int] = {}
        self._stored = set(step.model.graph.initializers.values())
        for node, sample in nodes.items():
            if node.op_type == "Constant":
                self._stored.update(node.outputs)
            elif sample.alias is not None:
                self._roots.update(dict.fromkeys(node.outputs, self.root(at(node, sample.alias))))
        self._permanent = self._stored.union(step.model.graph.inputs)

    def root(self, value: ir.Value) -> ir.Value:
        """The value that made the storage."""
        return self._roots.get(value, value)

    def bytes(self, value: ir.Value) -> int:
        """The bytes of a value; 0 when they are not known."""
        if value not in self._bytes:
            try:
                self._bytes[value] = size_in_bytes([value])
            except Refusal as refusal:
                self.unknown[refusal.reason] = None
                self._bytes[value] = 0
        return self._bytes[value]

    def total(self, values: Iterable[ir.Value]) -> int:
        """The bytes of some values, each with a storage of its own."""
        return sum(map(self.bytes, values))

    @cached_property
    def read(self) -> dict[ir.Node, set[ir.Value]]:
        """The storages that each node reads, those that are always there left out."""
        roots, permanent = self._roots, self._permanent
        return {
            node: {roots.get(value, value) for value in (*node.inputs, *sample.captured) if value is not None}
            - permanent
            for node, sample in self.nodes.items()
        }

    def written(self, node: ir.Node) -> list[ir.Value]:
        """The storages that a node makes."""
        return [value for value in node.outputs if value not in self._roots and value not in self._permanent]

    def saved(self, node: ir.Node, wanted: tuple[int, ...]) -> Saved:
        """What a node saves when these gradients are wanted, stored tensors left out."""
        kept = self.nodes[node].saved(wanted)
        if isinstance(kept, str):
            self.unknown[kept] = None
            return NOTHING
        roots = frozenset(
            [self.root(v) for v in (*(at(node, position) for position in kept.positions), *kept.captured)]
        )
        return Saved(roots - self._stored, kept.buffers)


@dataclass
class Live:
    """Storages that are live now, with their bytes, and the most there ever were."""

    now: int = 0
    peak: int = 0
    held: dict[object, int] = field(default_factory=dict)

    def hold(self, key: object, size: int) -> None:
        """From now on that much more is live."""
        self.held[key] = size
        self.now += size

    def free(self, key: object) -> None:
        """What was held under that key no longer is; nothing happens for what never was."""
        self.now -= self.held.pop(key, 0)

    def look(self) -> None:
        """Remember the peak."""
        self.peak = max(self.peak, self.now)


def inference_peak(step: Step, storages: Storages) -> tuple[int, int]:
    """(peak in the graph's order, bound on any order), without what is always there."""
    live = Live()
    _forward(live, step, storages, {})
    nodes = ({*storages.read[node], *storages.written(node)} for node in step.nodes)
    return live.peak, max((storages.total(each) for each in nodes), default=0)


def training_peak(step: Step, storages: Storages, gradients: Wanted, saved: Mapping[ir.Node, Saved]) -> int:
    """The peak over forward and backward, without what is always there."""
    live = Live()
    _forward(live, step, storages, saved)
    flow = _Gradients(live, storages)
    for loss in step.losses:
        flow.receive(loss, flow.make(loss))
    live.look()
    holders = Counter(root for each in saved.values() for root in each.roots)
    outputs = {storages.root(value) for value in step.model.graph.outputs}
    for node, indices in gradients.items():
        flow.back(node, indices)
        live.free(node)
        holders.subtract(saved[node].roots)
        for root in saved[node].roots:
            if not holders[root] and root not in outputs:
                live.free(root)
    return live.peak


def _forward(live: Live, step: Step, storages: Storages, saved: Mapping[ir.Node, Saved]) -> None:
    """Run the nodes in order. Buffers are held under their node, storages under the value that made them."""
    reads = storages.read
    readers = Counter(root for read in reads.values() for root in read)
    kept = {storages.root(value) for value in step.model.graph.outputs}
    kept.update(root for each in saved.values() for root in each.roots)
    for node in step.nodes:
        for value in storages.written(node):
            if readers[value] or value in kept:
                live.hold(value, storages.bytes(value))
        live.hold(node, saved.get(node, NOTHING).buffers)
        live.look()
        readers.subtract(reads[node])
        for root in reads[node]:
            if not readers[root] and root not in kept:
                live.free(root)


class _Gradients:
    """The gradients on their way back. A token stands for a storage, which values may share."""

    def __init__(self, live: Live, storages: Storages) -> None:
        self._live, self._storages = live, storages
        self._tokens: dict[ir.Value, object] = {}
        self._holders: Counter[object] = Counter()

    def make(self, value: ir.Value) -> object:
        """A storage as large as the value, with one holder."""
        token = object()
        self._live.hold(token, self._storages.bytes(value))
        self._holders[token] = 1
        return token

    def receive(self, value: ir.Value, token: object) -> None:
        """A gradient of a value: its first, or one to be added to that, into a storage of its own."""
        there = self._tokens.get(value)
        self._tokens[value] = token
        if there is not None:
            self._tokens[value] = self.make(value)
            self._live.look()
            self._drop(there)
            self._drop(token)

    def back(self, node: ir.Node, indices: Sequence[int]) -> None:
        """One node: its gradients are made beside those of its outputs, which are then freed."""
        given = next((self._tokens[value] for value in node.outputs if value in self._tokens), None)
        sample, made = self._storages.nodes[node], []
        for index in indices:
            value = at(node, index)
            if given is not None and sample.passes_on(index):
                self._holders[given] += 1
                made.append((value, given))
            else:
                made.append((value, self.make(value)))
        self._live.look()
        for value in node.outputs:
            if value in self._tokens:
                self._drop(self._tokens.pop(value))
        for value, token in made:
            self.receive(value, token)

    def _drop(self, token: object) -> None:
        self._holders[token] -= 1
        if not self._holders[token]:
            self._live.free(token)
