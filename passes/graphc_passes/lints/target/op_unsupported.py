"""An operator that the target does not have.

Why    the model does not run there. For ONNX Runtime the installed one is asked for its kernels; other targets list the
       operators that they allow, and what no rewrite of their pipeline lowers is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import onnx_ir as ir

from graphc import CaseBuilder, Pipeline, Problem, RewritePass, Subject, Target, lint
from graphc_passes.lints.graph._graphs import nodes
from graphc_passes.lints.target._target import file_target, grouped, lacking

PORTABLE = "portable"
TOLD = frozenset({"ConvTranspose", "a dilated convolution"})  # what the lints convolution/...-on-portable speak of


@lint(category="target", severity="error", help="write it by operators that the target has, or choose another target")
def op_unsupported(subject: Subject) -> Iterator[Problem]:
    yield from grouped((node, lack.what) for node, lack in lacking(subject, "op"))
    target = file_target(subject)
    if target is None:
        return
    lowered = _roots(target)
    for problem in grouped(_not_allowed(subject, target)):
        assert isinstance(problem.at, ir.Node)
        if problem.at.op_type not in lowered or problem.at.domain:
            yield problem
        elif subject.is_model:  # a spec is built with passes
            help = f"build the model for it, whose passes may lower it: graphc build MODEL --target {target.name}"
            yield replace(problem, help=help)


def _not_allowed(subject: Subject, target: Target) -> Iterator[tuple[ir.Node, str]]:
    """The nodes that a target forbids, each with what it is that is not allowed."""
    for node, opsets in nodes(subject):
        for _, what in target.forbids(node, opsets.get("", 1)):
            if target.name == PORTABLE and what in TOLD:
                continue
            yield node, f"{target.name} has no {what}" if what == node.op_type else f"{target.name} does not run {what}"


def _roots(target: Target) -> frozenset[str]:
    """The operators at which some rewrite of the target's pipeline starts."""
    rewrites = [each.rewrite for each in Pipeline(target.pipeline).passes if isinstance(each, RewritePass)]
    return frozenset(root for rewrite in rewrites for root in rewrite.roots)


@op_unsupported.bad(target="portable")
def the_largest_of_many(g: CaseBuilder) -> object:
    values, _ = g.record("TopK", g.input(1, 100), g.constant([5]), outputs=2)
    return g.Relu(values)


@op_unsupported.bad(target="portable")
def in_a_spec() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: CumSum, from: [x, 1]}
    """


@op_unsupported.bad(target="ort-cpu")
def no_kernel_at_all(g: CaseBuilder) -> object:
    return g.ImageDecoder(g.input("bytes", dtype=ir.DataType.UINT8))


@op_unsupported.good(target="portable")
def allowed(g: CaseBuilder) -> object:
    return g.ReduceMax(g.Relu(g.input(1, 100)), g.constant([1]))


@op_unsupported.good(target="portable")
def lowered_by_the_pipeline() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: InstanceNormalization, from: [x, [1, 1, 1, 1], [0, 0, 0, 0]]}
    """


@op_unsupported.good(target="ort-cpu")
def with_a_kernel(g: CaseBuilder) -> object:
    values, _ = g.record("TopK", g.input(1, 100), g.constant([5]), outputs=2)
    return g.Relu(values)
