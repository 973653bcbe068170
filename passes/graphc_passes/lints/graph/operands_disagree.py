"""A node whose operands do not go together: a scale of other channels, an index beyond its axis, other elements.

Why    ONNX's checker and its inference of shapes let it through, and ONNX Runtime opens it: it fails in the first run.
       Surgery by script makes such models, pruning above all. What is not known before a run is not judged.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from graphc import CaseBuilder, GraphcError, Problem, Refusal, Subject, View, lint
from graphc_passes.lints.graph import _indices, _operands

RULES = {**_operands.RULES, **_indices.RULES}


@lint(category="graph", severity="error", help="give the node what its operator's definition asks for")
def operands_disagree(subject: Subject) -> Iterator[Problem]:
    if not subject.is_model:  # a spec's nodes are checked one by one where it states them
        return
    for node, opset in subject.nodes(*RULES):
        problem = _judged(node, opset)
        if problem is not None:
            yield Problem(problem, at=node)


def _judged(node: ir.Node, opset: int) -> str | None:
    """What its rule says; nothing of a node that cannot be read, of which the checker tells."""
    try:
        return RULES[node.op_type](View(node, opset))
    except (Refusal, GraphcError):
        return None


@operands_disagree.bad
def a_scale_of_other_channels(g: CaseBuilder) -> object:
    return g.InstanceNormalization(g.input(1, 4, 8, 8), g.weight(5), g.weight(5))


@operands_disagree.bad
def an_index_beyond_its_axis(g: CaseBuilder) -> object:
    return g.Gather(g.input(4, 8), g.constant(np.array([4])))


@operands_disagree.bad
def a_target_of_another_size(g: CaseBuilder) -> object:
    return g.Reshape(g.input(2, 6), g.constant([3, 5]))


@operands_disagree.bad
def a_filter_larger_than_its_data(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 4, 8, 8), g.weight(4, 4, 9, 9))


@operands_disagree.bad
def gates_of_another_cell(g: CaseBuilder) -> object:
    return g.RNN(g.input(5, 1, 3), g.weight(1, 5, 3), g.weight(1, 4, 4), hidden_size=4, outputs=1)


@operands_disagree.bad
def a_scale_for_each_of_other_channels(g: CaseBuilder) -> object:
    return g.QuantizeLinear(g.input(1, 4, 8, 8), g.weight(5, low=0.5), axis=1)


@operands_disagree.good
def they_go_together(g: CaseBuilder) -> object:
    normed = g.InstanceNormalization(g.input(1, 4, 8, 8), g.weight(4), g.weight(4))
    return g.Reshape(g.PRelu(normed, g.weight(4, 1, 1)), g.constant([0, -1]))


@operands_disagree.good
def sizes_that_only_the_data_knows(g: CaseBuilder) -> object:
    normed = g.InstanceNormalization(g.input("N", "C", "H", "W"), g.weight(4), g.weight(4))
    return g.Reshape(normed, g.constant([3, 4, 5, 6]))


@operands_disagree.good
def the_last_row_from_both_ends(g: CaseBuilder) -> object:
    return g.Gather(g.input(4, 8), g.constant(np.array([3, -4])))
