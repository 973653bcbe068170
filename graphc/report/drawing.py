"""A model drawn with text: a tree of scopes, or one line per node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx_ir as ir

from graphc.costs import Total
from graphc.report.page import Page, paragraphs
from graphc.report.quantity import plural, quantity
from graphc.report.scopes import Leaf, Scope, scopes
from graphc.report.table import table

Row = tuple[str, ...]
HEAD = ("", "operator", "output", "parameters", "compute")
SIDES = "<<<>>"
SHORT = {
    "FLOAT": "f32",
    "FLOAT16": "f16",
    "DOUBLE": "f64",
    "BFLOAT16": "bf16",
    "INT64": "i64",
    "INT32": "i32",
}


def tree(model: ir.Model, depth: int | None = None) -> Page:
    """The scopes of a model with shapes, parameters and MACs; those deeper than `depth` are one line each."""
    root = scopes(model)
    rows = [HEAD, _row(root.label, root), *_rows(root, "", depth)]
    return Page(paragraphs(_interface(model), table(rows, SIDES)), _value(root))


def flat(model: ir.Model) -> Page:
    """One line per node: its full path, and where in the spec it comes from."""
    leaves = list(scopes(model).leaves)
    known = any(_origin(leaf.node) for leaf in leaves)
    rows: list[Row] = [(*HEAD, "from" if known else "")]
    rows += [(*_row(leaf.node.name or "(unnamed)", leaf), _origin(leaf.node)) for leaf in leaves]
    value = [_value(leaf) | {"from": _origin(leaf.node)} for leaf in leaves]
    return Page(paragraphs(_interface(model), table(rows, SIDES + "<")), value)


def shown(value: ir.Value) -> str:
    """`f32[N, 3, H, W]`; `?` for what is not known."""
    dtype = SHORT.get(value.dtype.name, value.dtype.name.lower()) if value.dtype else "?"
    if value.shape is None:
        return f"{dtype}[?]"
    sizes = (str(d) if isinstance(d, int) else d.value or "?" for d in value.shape)
    return f"{dtype}[{', '.join(sizes)}]"


def macs(cost: Total) -> str:
    """`12.3 MMAC`, `≥` where something below is uncosted, `uncosted` where all of it is."""
    if cost.uncosted and not cost.cost.bytes:
        return "uncosted"
    if not cost.cost.mac:
        return ""
    return ("≥ " if cost.uncosted else "") + quantity(cost.cost.mac, "MAC")


def _interface(model: ir.Model) -> str:
    rows = [("input", str(value.name), shown(value)) for value in model.graph.inputs if not value.is_initializer()]
    rows += [("output", str(value.name), shown(value)) for value in model.graph.outputs]
    return table(rows, "<<<") if rows else ""


def _rows(scope: Scope, prefix: str, depth: int | None) -> Iterator[Row]:
    children = list(scope.children.values())
    for index, child in enumerate(children):
        last = index == len(children) - 1
        label = f"{prefix}{'└─ ' if last else '├─ '}{child.label}"
        if isinstance(child, Leaf) or depth != 1:
            yield _row(label, child)
        else:
            yield _row(f"{label}: {plural(sum(1 for _ in child.leaves), 'node')}", child)
            continue
        if isinstance(child, Scope):
            yield from _rows(child, prefix + ("   " if last else "│  "), None if depth is None else depth - 1)


def _row(label: str, part: Scope | Leaf) -> Row:
    leaf = part if isinstance(part, Leaf) else None
    parameters = f"{part.parameters:,}" if part.parameters else ""
    outputs = ", ".join(shown(value) for value in leaf.outputs if value.name) if leaf else ""
    return label, leaf.node.op_type if leaf else "", outputs, parameters, macs(part.cost)


def _origin(node: ir.Node) -> str:
    return (node.doc_string or "").partition("\n")[0]


def _value(part: Scope | Leaf) -> dict[str, Any]:
    shared = {
        "parameters": part.parameters,
        "macs": part.cost.cost.mac,
        "bytes": part.cost.cost.bytes,
        "uncosted": list(part.cost.uncosted),
    }
    if isinstance(part, Leaf):
        outputs = [{"name": value.name, "type": shown(value)} for value in part.outputs]
        return {"node": part.node.name, "operator": part.node.op_type, "outputs": outputs, **shared}
    return {"scope": part.label, **shared, "children": [_value(child) for child in part.children.values()]}
