"""A type of elements that the target does not compute with.

Why    it does not run there, or not in that type: ONNX Runtime's CPU provider has few kernels of float16, and puts
       Casts around the others, so that the model runs in float32, and slower than one of float32. Many operators of
       float64 it does not run at all, and hardly any of bfloat16.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from graphc import CaseBuilder, Problem, Subject, Target, lint
from graphc_passes.lints.graph._graphs import nodes
from graphc_passes.lints.target._target import file_target, grouped, lacking, mended, parted
from graphc_passes.rewrites.legal.replace_double_conv_with_matmul import replace_double_conv_with_matmul


@lint(category="target", severity="error", help="convert the model to a type that the target has, float32 most often")
def dtype_unsupported(subject: Subject) -> Iterator[Problem]:
    for problem in grouped((node, lack.what) for node, lack in lacking(subject, "type")):
        yield mended(problem, subject.model.opset_imports, replace_double_conv_with_matmul)
    found, target = parted(subject), file_target(subject)
    if found is not None and found.cast:
        kinds = sorted({node.op_type for node, _ in found.cast})
        message = f"{len(found.cast)} nodes of float16 run in float32 between Casts: {', '.join(kinds)}"
        yield Problem(message, at=found.cast[0][0], severity="warning", measured=len(found.cast))
    if target is not None and target.types:
        yield from grouped(_unknown(subject, target))


def _unknown(subject: Subject, target: Target) -> Iterator[tuple[ir.Node, str]]:
    """The nodes that make a type that the target does not list."""
    for node, _ in nodes(subject):
        for value in node.outputs:
            name = "" if value.dtype is None else value.dtype.numpy().name if value.dtype.name != "STRING" else "string"
            if name and name not in target.types:
                yield node, f"{target.name} has no {name}"


@dtype_unsupported.bad(target="portable")
def doubles(g: CaseBuilder) -> object:
    return g.Relu(g.input(1, 8, dtype=ir.DataType.DOUBLE))


@dtype_unsupported.bad(target="ort-cpu")
def a_convolution_of_doubles(g: CaseBuilder) -> object:
    g.dtype = ir.DataType.DOUBLE
    return g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3))


@dtype_unsupported.bad(target="ort-cpu")
def a_convolution_of_halves(g: CaseBuilder) -> object:
    g.dtype = ir.DataType.FLOAT16
    return g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3))


@dtype_unsupported.good(target="portable")
def floats(g: CaseBuilder) -> object:
    return g.Relu(g.input(1, 8))


@dtype_unsupported.good(target="ort-cpu")
def a_convolution_of_floats(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3))
