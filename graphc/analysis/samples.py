"""What graphc knows of each node of a graph, asked once for all nodes that look alike: networks repeat themselves.

Two nodes look alike when operator, attributes, types, shapes and the layout of views agree, and the content of small
constants does. The answers name inputs and outputs by position, so they hold for each of the nodes. A reason instead of
a count says why it is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import onnx_ir as ir

from graphc import walk
from graphc.costs import ZERO, Cost
from graphc.ops import Op, Saved, op_of
from graphc.ops.layout import VIEWS, strides_of
from graphc.ops.op import floating
from graphc.view import Refusal, View, constant_tensor

MAX_WHOLE, MAX_REAL = 1024, 16  # elements of constants that operators may look into: integers and booleans; floats

Answer: TypeAlias = Cost | str  # a count, or why there is none
Position: TypeAlias = int  # of an input; of an output −1, −2, ...


class Unknown(Op):
    """An operator that graphc does not count, and why; gradients through it exist all the same."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal

    def forward(self, view: View) -> Cost:
        raise self.refusal

    def toward(self, view: View, index: int) -> Cost:
        raise self.refusal


@dataclass(frozen=True)
class Kept:
    """What a node saves: values of its own by position, those that its subgraphs capture, bytes of further buffers."""

    positions: tuple[Position, ...] = ()
    captured: tuple[ir.Value, ...] = ()
    buffers: int = 0


class Sample:
    """One of the nodes that look alike."""

    def __init__(self, node: ir.Node, opset: int) -> None:
        self._view = View(node, opset)
        try:
            self._op = op_of(node)
        except Refusal as refusal:
            self._op = Unknown(refusal)
        self._toward: dict[int, Answer] = {}
        self._saved: dict[tuple[int, ...], Kept | str] = {}

    @cached_property
    def forward(self) -> Answer:
        """One run of the node."""
        try:
            return self._op.forward(self._view)
        except Refusal as refusal:
            return refusal.reason

    @cached_property
    def shared(self) -> Answer:
        """What the backward pass needs once."""
        try:
            return self._op.shared(self._view)
        except Refusal as refusal:
            return refusal.reason

    def toward(self, index: int) -> Answer:
        """The gradient towards that input."""
        if index not in self._toward:
            try:
                self._toward[index] = self._op.toward(self._view, index)
            except Refusal as refusal:
                self._toward[index] = refusal.reason
        return self._toward[index]

    def passes_on(self, index: int) -> bool:
        """Whether the gradient towards that input is that of the output, without any work."""
        return self.toward(index) == ZERO

    @cached_property
    def differentiable(self) -> frozenset[int]:
        """The inputs towards which a gradient can exist."""
        inputs = self._view.node.inputs
        return frozenset(
            index
            for index, value in enumerate(inputs)
            if floating(value) and self._op.differentiable(self._view, index)
        )

    @cached_property
    def alias(self) -> Position | None:
        """The input whose storage the outputs share."""
        try:
            value = self._op.alias(self._view)
        except Refusal:
            return None
        return None if value is None else self._position(value)

    @cached_property
    def captured(self) -> frozenset[ir.Value]:
        """What its subgraphs read from outside."""
        return captured(self._view.node)

    def saved(self, wanted: tuple[int, ...]) -> Kept | str:
        """What forward keeps when these gradients are wanted."""
        if wanted not in self._saved:
            try:
                found = self._op.saved(self._view, frozenset(wanted))
            except Refusal as refusal:
                self._saved[wanted] = refusal.reason
            else:
                self._saved[wanted] = self._kept(found)
        return self._saved[wanted]

    def _kept(self, found: Iterable[Saved]) -> Kept:
        values = [each.value for each in found if each.value is not None]
        own = {*self._view.node.inputs, *self._view.node.outputs}
        return Kept(
            tuple(self._position(value) for value in values if value in own),
            tuple(value for value in values if value not in own),
            sum(each.bytes for each in found if each.value is None),
        )

    def _position(self, value: ir.Value) -> Position:
        node = self._view.node
        return node.inputs.index(value) if value in node.inputs else -1 - node.outputs.index(value)


def at(node: ir.Node, position: Position) -> ir.Value:
    """The input or output of a node at a position that a sample of it gave."""
    value = node.inputs[position] if position >= 0 else node.outputs[-1 - position]
    assert value is not None  # the sample had it, so a node that looks alike has it too
    return value


def captured(node: ir.Node) -> frozenset[ir.Value]:
    """The values that the subgraphs of a node read from outside."""
    read: set[ir.Value | None] = set()
    own: set[ir.Value | None] = {None}
    for graph in walk.bodies(node):
        for each in (graph, *graph.subgraphs()):
            own.update((*each.inputs, *each.initializers.values()))
            read.update(each.outputs)
        for inner in graph.all_nodes():
            own.update(inner.outputs)
            read.update(inner.inputs)
    return frozenset(value for value in read - own if value is not None)


def samples(nodes: Iterable[ir.Node], opset: int, weights: Iterable[ir.Value]) -> dict[ir.Node, Sample]:
    """The sample of each node. Nodes with subgraphs are alike to none; the content of `weights` is not looked at."""
    found: dict[object, Sample] = {}
    given: dict[ir.Node, Sample] = {}
    contents: dict[ir.Value, bytes | None] = dict.fromkeys(weights)
    for node in nodes:
        key = _look(node, contents)
        if key not in found:
            found[key] = Sample(node, opset)
        given[node] = found[key]
    return given


def _look(node: ir.Node, contents: dict[ir.Value, bytes | None]) -> object:
    if any(attribute.type in walk.GRAPHS for attribute in node.attributes.values()):
        return node
    inputs = node.inputs
    again = tuple(map(inputs.index, inputs)) if len(set(inputs)) < len(inputs) else ()  # which inputs are the same
    return (
        node.op_type,
        node.domain,
        _attributes(node.attributes),
        tuple([None if value is None else (_type(value), _content(value, contents)) for value in inputs]),
        tuple([(_type(value), bool(value.name)) for value in node.outputs]),
        again,
        tuple(map(_layout, inputs)),
    )


def _layout(value: ir.Value | None) -> tuple[int, ...] | None:
    """Where the elements of a view lie in the storage that it shares: what is kept of it depends on that."""
    node = None if value is None else value.producer()
    if value is None or node is None or node.op_type not in VIEWS:
        return None
    try:
        return strides_of(value)
    except Refusal:
        return None


def _attributes(attributes: Mapping[str, ir.Attr]) -> tuple[object, ...]:
    found: list[object] = []
    for name, attribute in attributes.items():
        value = attribute.value
        if isinstance(value, Sequence) and not isinstance(value, str | bytes):
            value = tuple(value)
        found += (name, attribute.ref_attr_name, value)
    return tuple(found)


def _type(value: ir.Value) -> object:
    shape = value.shape
    return value.type, None if shape is None else shape.dims


def _content(value: ir.Value, contents: dict[ir.Value, bytes | None]) -> bytes | None:
    if value not in contents:
        tensor = constant_tensor(value)
        most = MAX_REAL if floating(value) else MAX_WHOLE
        small = tensor is not None and tensor.size <= most and tensor.dtype != ir.DataType.STRING
        contents[value] = tensor.numpy().tobytes() if tensor is not None and small else None
    return contents[value]
