"""A node whose operands do not go together: a scale of other channels, an index beyond its axis, other elements.

Why    ONNX's checker and its inference of shapes let it through, and ONNX Runtime opens it: it fails in the first run.
       Surgery by script makes such models, pruning above all. What is not known before a run is not judged; what ONNX
       forbids and ONNX Runtime runs all the same is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from graphc import CaseBuilder, GraphcError, InferenceError, Problem, Refusal, Subject, View, bodies, lint
from graphc_passes.lints.graph import _indices, _operands, _regions, _sequences, _vectors
from graphc_passes.lints.graph._graphs import inferred
from graphc_passes.lints.graph._rules import Found, merged
from graphc_passes.lints.graph.conv_channel_mismatch import conv_channel_mismatch
from graphc_passes.lints.graph.unknown_mode import unknown_mode

RULES = merged(_vectors.RULES, _operands.RULES, _indices.RULES, _regions.RULES, _sequences.RULES)


@lint(category="graph", severity="error", help="give the node what its operator's definition asks for")
def operands_disagree(subject: Subject) -> Iterator[Problem]:
    if not subject.is_model:  # a spec's nodes are checked one by one where it states them
        return
    known = _told_elsewhere(subject)
    for node, opset in subject.nodes(*RULES):
        found = None if node in known else _judged(node, opset)
        if found is not None:
            yield replace(found, at=node) if isinstance(found, Problem) else Problem(found, at=node)


def _told_elsewhere(subject: Subject) -> set[object]:
    """The nodes that shape inference refuses, with those inside of them, and those of which other lints of this
    category speak: what the sizes would be is open there."""
    refused = [node for node, found in inferred(subject) if isinstance(found, InferenceError)]
    told = (problem for each in (unknown_mode, conv_channel_mismatch) for problem in each.problems(subject))
    known: set[object] = {problem.at for problem in told if not problem.unfinished}
    while refused:
        node = refused.pop()
        known.add(node)
        refused += [inner for graph in bodies(node) for inner in graph]
    return known


def _judged(node: ir.Node, opset: int) -> Found:
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


@operands_disagree.bad
def a_state_of_another_batch(g: CaseBuilder) -> object:
    weights = g.weight(1, 4, 3), g.weight(1, 4, 4), g.weight(1, 8)
    return g.RNN(g.input(5, 2, 3), *weights, None, g.weight(1, 1, 4), hidden_size=4, outputs=1)


@operands_disagree.bad
def boxes_of_another_batch(g: CaseBuilder) -> object:
    return g.NonMaxSuppression(g.input(2, 6, 4), g.weight(1, 1, 6))


@operands_disagree.bad
def factors_for_some_of_the_axes(g: CaseBuilder) -> object:
    return g.Resize(g.input(1, 3, 8, 8), None, g.input(2), mode="linear")


@operands_disagree.bad
def axes_that_are_no_list(g: CaseBuilder) -> object:
    return g.ReduceMean(g.input(1, 3, 8, 8), g.constant(np.array(1)))


@operands_disagree.bad
def a_letter_that_is_made_twice(g: CaseBuilder) -> object:
    return g.Einsum(g.input(3, 4), equation="ij->ijj")


@operands_disagree.bad
def a_slope_that_onnx_runtime_repeats_the_data_over(g: CaseBuilder) -> object:
    return g.PRelu(g.input(4, 1), g.weight(4, 3))


@operands_disagree.good
def they_go_together(g: CaseBuilder) -> object:
    normed = g.InstanceNormalization(g.input(1, 4, 8, 8), g.weight(4), g.weight(4))
    return g.Reshape(g.PRelu(normed, g.weight(4, 1, 1)), g.constant([0, -1]))


@operands_disagree.good
def sizes_that_only_the_data_knows(g: CaseBuilder) -> object:
    normed = g.InstanceNormalization(g.input("N", "C", "H", "W"), g.weight(4), g.weight(4))
    return g.Reshape(normed, g.constant([3, 4, 5, 6]))


@operands_disagree.good
def a_sum_of_products(g: CaseBuilder) -> object:
    return g.Einsum(g.input(2, 3, 4), g.weight(1, 4, 5), equation="...ij, ...jk -> ...ik")


@operands_disagree.good
def both_ways_through_a_sequence(g: CaseBuilder) -> object:
    weights = g.weight(2, 4, 3), g.weight(2, 4, 4), g.weight(2, 8)
    return g.RNN(
        g.input(5, 2, 3), *weights, None, g.weight(2, 2, 4), hidden_size=4, direction="bidirectional", outputs=1
    )


@operands_disagree.good
def the_last_row_from_both_ends(g: CaseBuilder) -> object:
    return g.Gather(g.input(4, 8), g.constant(np.array([3, -4])))
