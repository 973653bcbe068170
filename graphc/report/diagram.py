"""A model as the text of a diagram, its scopes as boxes: Graphviz DOT, and Mermaid for Markdown pages.

Names come from untrusted files, so every label is cleaned and escaped for the language that it stands in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import onnx_ir as ir

from graphc.errors import clean
from graphc.report.drawing import macs, shown
from graphc.report.page import indented
from graphc.report.scopes import Leaf, Scope, scopes

MERMAID = str.maketrans({c: f"#{ord(c)};" for c in '"#&<>`|\\;'})


@dataclass(frozen=True)
class Edge:
    """From a node or graph input to a node or graph output, by id."""

    source: str
    target: str
    label: str


@dataclass
class Graph:
    """Ids for the nodes and for the ends of a model, and the edges between them."""

    model: ir.Model
    ids: dict[ir.Node, str] = field(default_factory=dict)
    ends: list[tuple[str, ir.Value]] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    def __post_init__(self) -> None:
        graph = self.model.graph
        self.ids = {node: f"n{index}" for index, node in enumerate(graph)}
        inputs = {x: f"x{index}" for index, x in enumerate(graph.inputs) if not x.is_initializer()}
        self.ends = [(key, value) for value, key in inputs.items()]
        for node in graph:
            self._connect(inputs, dict.fromkeys(node.inputs), self.ids[node])
        for index, value in enumerate(graph.outputs):
            self.ends.append((f"y{index}", value))
            self._connect(inputs, {value: None}, f"y{index}")

    def _connect(self, inputs: dict[ir.Value, str], values: dict[ir.Value | None, None], target: str) -> None:
        for value in values:
            if value is None:
                continue
            producer = value.producer()
            source = inputs.get(value) if producer is None else self.ids.get(producer)
            if source is not None:
                self.edges.append(Edge(source, target, shown(value)))


def dot(model: ir.Model) -> str:
    """Graphviz DOT: `dot -Tsvg`."""
    graph = Graph(model)

    def boxed(label: str, number: int, body: str) -> str:
        return f"subgraph cluster_{number} {{\n  label={_quoted(label)}\n{indented(body)}\n}}"

    def drawn(leaf: Leaf) -> str:
        return f"{graph.ids[leaf.node]} [label={_quoted(*_lines(leaf))}]"

    lines = ["rankdir=TB", 'node [shape=box, fontname="sans-serif"]', 'edge [fontname="sans-serif"]']
    lines += [f"{key} [shape=oval, label={_quoted(str(value.name))}]" for key, value in graph.ends]
    lines.append(_body(scopes(model), drawn, boxed))
    lines += [f"{edge.source} -> {edge.target} [label={_quoted(edge.label)}]" for edge in graph.edges]
    return f"digraph {_quoted(model.graph.name or 'graph')} {{\n{indented(chr(10).join(lines))}\n}}"


def mermaid(model: ir.Model) -> str:
    """A Mermaid flowchart, as GitHub and most Markdown viewers draw it."""
    graph = Graph(model)

    def boxed(label: str, number: int, body: str) -> str:
        return f"subgraph s{number}[{_escaped(label)}]\n{indented(body)}\nend"

    def drawn(leaf: Leaf) -> str:
        return f"{graph.ids[leaf.node]}[{_escaped(*_lines(leaf))}]"

    lines = [f"{key}([{_escaped(str(value.name))}])" for key, value in graph.ends]
    lines.append(_body(scopes(model), drawn, boxed))
    lines += [f"{edge.source} -->|{_escaped(edge.label)}| {edge.target}" for edge in graph.edges]
    return f"flowchart TB\n{indented(chr(10).join(lines))}"


def _body(root: Scope, drawn: Callable[[Leaf], str], boxed: Callable[[str, int, str], str]) -> str:
    """Every node, those of a scope inside its box; boxes are numbered in the order of their first lines."""
    count = 0

    def draw(scope: Scope) -> Iterator[str]:
        nonlocal count
        for child in scope.children.values():
            if isinstance(child, Leaf):
                yield drawn(child)
            else:
                count += 1
                number = count
                yield boxed(child.label, number, "\n".join(draw(child)))

    return "\n".join(draw(root))


def _lines(leaf: Leaf) -> list[str]:
    """What stands in a node's box."""
    parameters = f"{leaf.parameters:,} parameters" if leaf.parameters else ""
    label = leaf.label if leaf.label != leaf.node.op_type else ""
    return [line for line in (leaf.node.op_type, label, parameters, macs(leaf.cost)) if line]


def _quoted(*lines: str) -> str:
    escaped = (clean(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'


def _escaped(*lines: str) -> str:
    return '"' + "<br>".join(clean(line).translate(MERMAID) for line in lines) + '"'
