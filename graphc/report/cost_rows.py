"""The rows of a cost report's tables: nodes one by one, by scope, or by operator, in one convention."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from graphc.analysis.conventions import Convention
from graphc.analysis.cost_report import DIRECTIONS, CostReport, NodeCost
from graphc.report.quantity import plural

By: TypeAlias = Literal["node", "block", "op"]
Sort: TypeAlias = Literal["total", "forward", "filter_grad", "input_grad", "bytes", "name", "order"]


@dataclass(frozen=True)
class Row:
    """One node, or several together; `what` says which. `counts` are in the convention's unit, by direction."""

    name: str
    what: str
    nodes: tuple[NodeCost, ...]
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """All directions together."""
        return sum(self.counts.values())

    @property
    def bytes(self) -> int:
        """Bytes read and written in all directions."""
        return sum(node.total.bytes for node in self.nodes)

    @property
    def reasons(self) -> str:
        """Why a part is unknown, so that the counts are lower bounds; "" when nothing is."""
        return "; ".join(dict.fromkeys(node.uncosted for node in self.nodes if node.uncosted))


def rows(report: CostReport, convention: Convention, by: By, depth: int = 1) -> list[Row]:
    """One row per node, per scope at that depth of the paths, or per operator, in the order of the graph."""
    if by == "node":
        return [_row(node.name, node.op_type, [node], convention) for node in report.nodes]
    grouped: dict[str, list[NodeCost]] = {}
    key = _scope_of(report.nodes, depth) if by == "block" else lambda node: node.op_type
    for node in report.nodes:
        grouped.setdefault(key(node), []).append(node)
    return [_row(name, _what(name, nodes), nodes, convention) for name, nodes in grouped.items()]


def arranged(found: Sequence[Row], sort: Sort, top: int | None) -> tuple[list[Row], list[Row]]:
    """The rows in that order, the costliest first where it is one of costs: the first `top`, and what is left."""
    ordered = _ordered(found, sort)
    cut = len(ordered) if top is None else top
    return ordered[:cut], ordered[cut:]


def together(found: Sequence[Row], what: str) -> Row:
    """Many rows as one without a name."""
    counts = {direction: sum(row.counts[direction] for row in found) for direction in DIRECTIONS}
    return Row("", what, tuple(node for row in found for node in row.nodes), counts)


def _ordered(found: Sequence[Row], sort: Sort) -> list[Row]:
    if sort == "order":
        return list(found)
    if sort == "name":
        return sorted(found, key=lambda row: row.name)
    if sort in DIRECTIONS:
        return sorted(found, key=lambda row: row.counts[sort], reverse=True)
    return sorted(found, key=lambda row: row.bytes if sort == "bytes" else row.total, reverse=True)


def _row(name: str, what: str, nodes: Sequence[NodeCost], convention: Convention) -> Row:
    counts = {direction: sum(convention.of(node, direction) for node in nodes) for direction in DIRECTIONS}
    return Row(name, what, tuple(nodes), counts)


def _what(name: str, nodes: Sequence[NodeCost]) -> str:
    return nodes[0].op_type if [node.name for node in nodes] == [name] else plural(len(nodes), "node")


def _scope_of(nodes: Iterable[NodeCost], depth: int) -> Callable[[NodeCost], str]:
    """The path of a node's scope, at most so deep: what a layer ends with may have the layer's own name."""
    scopes: set[str] = set()
    for block in {node.block for node in nodes}:
        parts = block.split("/")
        scopes.update("/".join(parts[: end + 1]) for end in range(len(parts)))

    def scope(node: NodeCost) -> str:
        name = node.name.strip("/")
        path = node.block if node.block and name not in scopes else name
        return "/".join(path.split("/")[:depth])

    return scope
