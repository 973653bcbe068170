"""A derived value, an input or the output of an item that nothing reads.

Why    an item that leads to no output and no loss computes for nothing, an input has to be fed for nothing, and a value
       under `let` is most often one that an expression was meant to use.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import onnx_ir as ir

from graphc import Network, Problem, Subject, Where, lint
from graphc_passes.lints.spec._unused import unused


@lint(on="spec", category="spec", severity="warning", help="remove it, or read it where it was meant")
def unused_value(subject: Subject) -> Iterator[Problem]:
    yield from unused(subject, "value")
    yield from _inputs(subject)
    yield from _items(subject)


def _inputs(subject: Subject) -> Iterator[Problem]:
    """Inputs of the network that no node reads; one that only a dead item reads is told of there."""
    network = subject.expanded
    training = network.training
    read = {value for node in _nodes(network) for value in node.inputs}.union(network.outputs)
    for section, inputs in ((("inputs",), network.inputs), (("train", "inputs"), training.inputs if training else ())):
        for value in inputs:
            where = network.place(*section, value.name or "")
            if value not in read and where.file == subject.tree.where.file:
                yield Problem(f"nothing reads input '{value.name}'", at=where)


def _items(subject: Subject) -> Iterator[Problem]:
    """The items all of whose nodes are dead, wherever they are expanded; of a chain of them the last."""
    network = subject.expanded
    dead = {*network.dead()}
    if not dead:
        return
    items: dict[Where, list[ir.Node]] = defaultdict(list)
    for node in _nodes(network):
        if node.outputs[0] in network.origins:
            items[network.origins[node.outputs[0]]].append(node)
    read = {value for node in _nodes(network) for value in node.inputs}
    for where, nodes in items.items():
        ends = [node for node in nodes if read.isdisjoint(node.outputs)]
        if ends and dead.issuperset(nodes) and where.file == subject.tree.where.file:
            yield Problem(f"nothing reads what '{ends[0].name}' gives", at=where)


def _nodes(network: Network) -> list[ir.Node]:
    """The nodes of inference and of training."""
    return [*network.nodes, *(network.training.nodes if network.training else ())]


@unused_value.bad
def derived() -> str:
    return """
        graphc: 1
        params: {width: 8}
        let: {half: =width / 2, twice: =2 * width}
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, conv: =twice}
    """


@unused_value.bad
def derived_in_a_block() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        blocks:
          shrink:
            let: {channels: "=dim(x, 1)", height: "=dim(x, 2)"}
            do: [{scale: =1 / channels}]
        nodes:
          - {id: y, op: shrink}
    """


@unused_value.bad
def an_input() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]", mask: "f32[1, 1, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu, from: x}
    """


@unused_value.bad
def an_item_of_training() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: prelu}
        train:
          inputs: {target: "f32[1, 4, 8, 8]"}
          nodes:
            - {id: edges, op: abs, from: target}
          losses: [{op: mse, from: [y, target]}]
    """


@unused_value.good
def read_by_a_loss_alone() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: prelu}
        train:
          inputs: {target: "f32[1, 4, 8, 8]"}
          nodes:
            - {id: edges, op: abs, from: target}
          losses: [{op: mse, from: [y, edges]}]
    """


@unused_value.good
def an_id_that_only_names() -> str:
    return """
        graphc: 1
        params: {width: 8}
        let: {half: =width / 2}
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: features, op: relu}
          - {id: y, scale: =half}
    """
