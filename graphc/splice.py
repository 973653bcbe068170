"""Putting a proposal into a graph: what every rewrite is held to, whatever it does.

Types and shapes stay; graph inputs and outputs keep their names; names are fresh; shared initializers are never
overwritten; what a subgraph captures stays alive; node names survive on what replaces them; dead nodes go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import onnx_ir as ir

from graphc.metadata import REWRITES
from graphc.view import Refusal, shapes_agree
from graphc.walk import GraphLike, subgraphs


@dataclass(frozen=True)
class Proposal:
    """A replacement, built but not applied: `replaced` maps old values to new (or existing) ones."""

    root: ir.Node
    matched: tuple[ir.Node, ...]
    nodes: tuple[ir.Node, ...]
    initializers: tuple[ir.Value, ...]
    replaced: dict[ir.Value, ir.Value]

    @cached_property
    def dying(self) -> tuple[ir.Node, ...]:
        """The matched nodes that nothing uses once the replaced values are gone, root first."""
        dead: dict[ir.Node, None] = {}
        pending = [self.root, *(value.producer() for value in self.replaced)]
        while pending:
            node = pending.pop()
            if node is None or node in dead or not self._is_dead(node, dead):
                continue
            dead[node] = None
            pending += [value.producer() for value in node.inputs if value is not None]
        return tuple(dead)

    def _is_dead(self, node: ir.Node, dead: dict[ir.Node, None]) -> bool:
        if node.graph is not self.root.graph:  # not of this graph: recorded, or of one around it
            return False
        if node not in self.matched and not _is_constant_node(node):
            return False
        return all(value in self.replaced or self._is_unused(value, dead) for value in node.outputs)

    def _is_unused(self, value: ir.Value, dead: dict[ir.Node, None]) -> bool:
        kept_alive = any(value is new for new in self.replaced.values()) or value.is_graph_output()
        return not kept_alive and all(use.node in dead or use.node in self._unborn_leftovers for use in value.uses())

    @cached_property
    def _unborn_leftovers(self) -> frozenset[ir.Node]:
        """Recorded nodes that no result needs: they are never inserted, so their uses do not count."""
        needed: set[ir.Node] = set()
        pending = [value.producer() for value in self.replaced.values()]
        while pending:
            node = pending.pop()
            if node is None or node in needed or node not in self.nodes:
                continue
            needed.add(node)
            pending += [value.producer() for value in node.inputs if value is not None]
        return frozenset(self.nodes) - needed

    @cached_property
    def born(self) -> tuple[ir.Node, ...]:
        """The recorded nodes that the results need, in order."""
        return tuple(node for node in self.nodes if node not in self._unborn_leftovers)


class Names:
    """Names in use, so that new ones are fresh."""

    def __init__(self, used: Iterable[str | None]) -> None:
        self._used = Counter(used)

    def fresh(self, wanted: str) -> str:
        """`wanted`, or `wanted_2`, `wanted_3`, ... when it is taken."""
        name, count = wanted, 1
        while self._used[name] > 0:
            count += 1
            name = f"{wanted}_{count}"
        self._used[name] += 1
        return name

    def release(self, name: str | None) -> None:
        """One owner of the name is gone."""
        self._used[name] -= 1


class Taken:
    """The names in use in one scope of names: the main graph or a function, with every graph inside it.

    A name that is fresh in a subgraph alone could hide a value of an outer graph that the subgraph captures.
    """

    def __init__(self, graph: GraphLike) -> None:
        self._graph = graph

    @cached_property
    def nodes(self) -> Names:
        """The names of nodes."""
        return Names(node.name for scope in self._scopes for node in scope)

    @cached_property
    def values(self) -> Names:
        """The names of inputs, initializers and what nodes make."""
        values = [value.name for scope in self._scopes for value in scope.inputs]
        values += [name for scope in self._scopes if isinstance(scope, ir.Graph) for name in scope.initializers]
        values += [value.name for scope in self._scopes for node in scope for value in node.outputs]
        return Names(values)

    @property
    def _scopes(self) -> list[GraphLike]:
        return [self._graph, *subgraphs(self._graph)]


def check(proposal: Proposal) -> None:
    """Raise Refusal when the replacement changes a type or shape, or could not keep a graph output's name."""
    for old, new in proposal.replaced.items():
        if new.type is not None and old.type is not None and new.dtype != old.dtype:
            raise Refusal(f"the type would change from {old.dtype} to {new.dtype}")
        if not shapes_agree(old.shape, new.shape):
            raise Refusal(f"the shape would change from {old.shape} to {new.shape}")
        if old.is_graph_output() and new.producer() not in proposal.nodes and not _can_take_name(old, new):
            raise Refusal(f"'{new.name}' cannot take the name of the graph's output '{old.name}'")


def apply(graph: GraphLike, proposal: Proposal, name: str, taken: Taken) -> None:
    """Splice a checked proposal into `graph`."""
    dying, born = proposal.dying, proposal.born
    _name_nodes(proposal, name, taken)
    for old, new in proposal.replaced.items():
        if new.producer() in born or old.is_graph_output():
            old.name, new.name = taken.values.fresh(f"{old.name}.replaced"), old.name
    made = _add_initializers(graph, proposal, taken.values)
    graph.insert_before(proposal.root, born)
    for old, new in proposal.replaced.items():
        new = made.get(new, new)
        _describe(old, new)
        ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    for node in proposal.nodes:
        if node not in born:
            _detach(node)
    fed = [value for node in dying for value in node.inputs if value is not None]
    for node in dying:
        _detach(node)
        graph.remove(node)
    _drop_unused_initializers(graph, fed)


def discard(proposal: Proposal) -> None:
    """Throw a proposal away: its nodes no longer count among the users of what they read."""
    for node in proposal.nodes:
        _detach(node)


def _describe(old: ir.Value, new: ir.Value) -> None:
    """Carry over what is known of the old value; what the interface declares stays as it is."""
    if old.is_graph_output():
        new.type, new.shape = old.type or new.type, new.shape if old.shape is None else old.shape
    elif not (new.is_graph_input() or new.is_graph_output()):
        new.type, new.shape = new.type or old.type, _merged(old.shape, new.shape)


def _name_nodes(proposal: Proposal, name: str, taken: Taken) -> None:
    """The successor of a dying node (same operator, or the new result of the root) takes its name."""
    root = proposal.root
    results = {value.producer() for value in proposal.replaced.values()}
    heirs = [node for node in proposal.dying if node is not root]
    history = [node.metadata_props.get(REWRITES) for node in reversed(proposal.dying)]
    tag = ",".join(dict.fromkeys([*filter(None, history), name]))
    root_inherited = False  # by one node alone, where several are results
    for node in proposal.born:
        heir = next((dead for dead in heirs if dead.op_type == node.op_type), None)
        if heir is not None:
            heirs.remove(heir)
            taken.nodes.release(heir.name)
        inherited = heir.name if heir is not None else root.name if node in results else None
        if inherited is root.name and not root_inherited:
            taken.nodes.release(root.name)
            root_inherited = True
        node.name = taken.nodes.fresh(inherited or f"{root.name or name}/{node.op_type.lower()}")
        node.doc_string = (heir or root).doc_string
        node.metadata_props[REWRITES] = tag
        for index, value in enumerate(node.outputs):
            if value not in proposal.replaced.values():
                value.name = taken.values.fresh(node.name if len(node.outputs) == 1 else f"{node.name}.{index}")


def _add_initializers(graph: GraphLike, proposal: Proposal, names: Names) -> dict[ir.Value, ir.Value]:
    """Add those that a born node reads or that are results; a function has nodes instead: initializer -> output."""
    made: dict[ir.Value, ir.Value] = {}
    for value in proposal.initializers:
        is_result = any(value is new for new in proposal.replaced.values())
        users = [use.node for use in value.uses() if use.node in proposal.born]
        if not users and not is_result:
            continue
        value.name = names.fresh(f"{users[0].name if users else proposal.root.name}/{value.name}")
        if isinstance(graph, ir.Graph):
            graph.register_initializer(value)
            continue
        node = ir.node("Constant", [], {"value": value.const_value}, name=value.name)
        node.outputs[0].name, node.outputs[0].type, node.outputs[0].shape = (
            value.name,
            value.type,
            value.shape,
        )
        ir.convenience.replace_all_uses_with(value, node.outputs[0])
        graph.insert_before(proposal.root, node)
        made[value] = node.outputs[0]
    return made


def _detach(node: ir.Node) -> None:
    for index in range(len(node.inputs)):
        node.replace_input_with(index, None)


def _drop_unused_initializers(graph: GraphLike, candidates: list[ir.Value]) -> None:
    for value in candidates:
        if value.uses() or value.is_graph_input() or value.is_graph_output() or not value.is_initializer():
            continue
        if isinstance(graph, ir.Graph) and graph.initializers.get(value.name or "") is value:
            del graph.initializers[value.name or ""]


def _is_constant_node(node: ir.Node) -> bool:
    return node.op_type == "Constant" and not node.domain


def _can_take_name(old: ir.Value, new: ir.Value) -> bool:
    if new.is_graph_input() or new.is_graph_output() or new.is_initializer():
        return False
    maker, old_maker = new.producer(), old.producer()
    return maker is not None and old_maker is not None and maker.graph is old_maker.graph


def _merged(old: ir.Shape | None, new: ir.Shape | None) -> ir.Shape | None:
    """What is known from either side: static sizes first, then the old names."""
    if old is None or new is None:
        return old or new
    return ir.Shape([b if isinstance(b, int) else a for a, b in zip(old, new, strict=True)])
