"""Nodes without a name.

Why    findings, suppressions, baselines, profiles and diffs speak of a node by its name. Of one without, they can only
       say that it is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
import onnx_ir as ir

from graphc import Case, CaseBuilder, Problem, Subject, lint
from graphc_passes.lints.graph._graphs import nodes

FEWEST = 10  # a handful is told apart by operator and place


@lint(category="graph", severity="info", help="name them", fix="name-fix")
def unnamed_node(subject: Subject) -> Iterator[Problem]:
    named = [bool(node.name) for node, _ in nodes(subject)]
    count = named.count(False)
    if count >= FEWEST:
        yield Problem(f"{count} of {len(named)} nodes have no name", measured=count, limit=FEWEST)


def _written(folder: Path, *, named: bool) -> Path:
    model = ir.to_proto(Case("a chain", _chain).model())
    for node in model.graph.node:
        node.name = node.name if named else ""
    path = folder / "net.onnx"
    onnx.save(model, path)
    return path


def _chain(g: CaseBuilder) -> ir.Value:
    x = g.input(1, 3, 8, 8)
    for _ in range(FEWEST):
        x = g.Relu(g.Neg(x))
    return x


@unnamed_node.bad
def none_has_one(folder: Path) -> Path:
    return _written(folder, named=False)


@unnamed_node.good
def all_have_one(folder: Path) -> Path:
    return _written(folder, named=True)
