"""Every node case of ONNX's own backend tests, forward and backward: costed, or uncosted for a reason, no crash."""

from __future__ import annotations

import warnings
from collections import Counter
from functools import cache

import numpy as np
import onnx_ir as ir
from onnx.backend.test.case.node import collect_testcases

from graphc.analysis.binding import bind
from graphc.ops import UNCOSTED, Scope, known, op_of
from graphc.view import Refusal, View

MAX_CONSTANT = 1024  # integers and booleans that a case feeds: axes, shapes, modes


@cache
def cases():
    """(name, bound model) of each; what is small and integer among its data is taken as constant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    return [(case.name, model_of(case)) for case in found]


def model_of(case):
    model = ir.from_proto(case.model)
    for value, array in zip(list(model.graph.inputs), case.data_sets[0][0] if case.data_sets else (), strict=False):
        whole = isinstance(array, np.ndarray | np.generic) and array.dtype.kind in "iub"
        if whole and array.size <= MAX_CONSTANT:
            value.const_value = ir.tensor(np.asarray(array), name=value.name)
            model.graph.inputs.remove(value)
            model.graph.initializers.add(value)
    return bind(model)


def outcomes():
    """(case, operator, "costed" or the reason why not, the same for backward) of every node of every case."""
    for name, model in cases():
        scope, opset = Scope(model.functions), model.opset_imports.get("", 1)
        for node in model.graph:
            yield name, node, *both(node, View(node, opset), scope)


def both(node, view, scope):
    try:
        op = op_of(node, scope)
        assert all(type(count) is int and count >= 0 for count in counts(op.forward(view)))
    except Refusal as refusal:
        return refusal.reason, refusal.reason
    try:
        wanted = [index for index in range(len(node.inputs)) if op.differentiable(view, index)]
        for cost in (op.shared(view), *(op.toward(view, index) for index in wanted)):
            assert all(type(count) is int and count >= 0 for count in counts(cost))
        assert all(saved.bytes >= 0 for saved in op.saved(view, frozenset(wanted)))
        assert op.alias(view) in (None, *node.inputs)
    except Refusal as refusal:
        return "costed", refusal.reason
    return "costed", "costed"


def counts(cost):
    own = (cost.mac, cost.add, cost.mul, cost.cmp, cost.div, cost.transcendental, cost.bytes_read, cost.bytes_written)
    return *own, cost.effective_mac, cost.zero_insertion_mac, cost.effective_flops


# what is known only at run time, by the words of the reason
AT_RUN_TIME = (
    "is not static",  # a shape that data decides
    "have no fixed size",  # the same, or strings
    "not a constant",
    "known only at run time",
    "is no part of its type",
    "is not an operator of the standard domain",
    "changes its shape from run to run",
    "before opset 9",
    *UNCOSTED.values(),
)


def test_every_node_is_costed_or_says_why_not():
    seen = Counter()
    for name, node, forward, backward in outcomes():
        for reason in (forward, backward):
            assert reason == "costed" or any(words in reason for words in AT_RUN_TIME), (name, node.op_type, reason)
        seen[forward == "costed"] += 1
    assert len(cases()) > 1800
    assert seen[True] > 0.95 * seen.total()


def test_the_operators_own_cases_are_costed():
    """Of the cases of one node, all but those of operators whose work is data."""
    uncosted = Counter()
    for name, node, forward, backward in outcomes():
        if (
            node.domain
            or node.op_type in UNCOSTED
            or name.endswith(("_expanded", "_expanded_ver18", "_expanded_ver26"))
        ):
            continue
        if (forward, backward) != ("costed", "costed"):
            uncosted[node.op_type, forward, backward] += 1
    # strings; a state that grows; a region in a tensor of floats; a Scan of opset 8
    assert {op_type for op_type, _, _ in uncosted} <= {"Equal", "Loop", "Resize", "Scan"}, uncosted


# ONNX has no case of these that a static analysis can cost; Loop has tests of its own
WITHOUT_A_CASE = {
    *("ConcatFromSequence", "Optional", "SequenceAt", "SequenceConstruct", "SequenceErase"),
    *("GlobalLpPool", "Loop", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform"),
}


def test_every_other_operator_is_costed_in_some_case():
    exercised = {node.op_type for _, node, forward, _ in outcomes() if forward == "costed"}
    assert known().keys() - exercised == WITHOUT_A_CASE
