"""Two nodes of one graph that have the same name.

Why    ONNX Runtime refuses the model, though ONNX's checker does not. Suppressions, baselines and profiles, which know
       a node by its name, would take one for the other. Two models that were merged have such names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import onnx
import onnx_ir as ir

from graphc import Case, Problem, Subject, lint


@lint(category="graph", severity="error", help="name each of them otherwise", fix="name-fix")
def duplicate_name(subject: Subject) -> Iterator[Problem]:
    if not subject.is_model:  # nodes of a spec are named by where they stand
        return
    for graph, _ in subject.graphs:
        counts = Counter(node.name for node in graph if node.name)
        last = {node.name: node for node in graph if node.name and counts[node.name] > 1}
        for name, node in last.items():
            yield Problem(f"{counts[name or '']} nodes are called '{name}', this {node.op_type} the last", at=node)


def _written(folder: Path, *names: str) -> Path:
    """A Neg of a Relu of these names."""
    model = ir.to_proto(Case("two nodes", lambda g: g.Neg(g.Relu(g.input(1, 3, 8, 8)))).model())
    for node, name in zip(model.graph.node, names, strict=True):
        node.name = name
    path = folder / "net.onnx"
    onnx.save(model, path)
    return path


@duplicate_name.bad
def of_two_models_that_were_merged(folder: Path) -> Path:
    return _written(folder, "act", "act")


@duplicate_name.good
def names_of_their_own(folder: Path) -> Path:
    return _written(folder, "act", "neg")
