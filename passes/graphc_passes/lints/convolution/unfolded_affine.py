"""A Mul, Add, Sub or Div by a constant per channel that a convolution beside it could take up.

Why    a scale and a shift are what the convolution's weights and bias hold as well: one full read and write of the
       activation for nothing. Exporters leave biases and the normalisation of images behind in this form.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from graphc import CaseBuilder, Problem, Subject, lint
from graphc_passes.nodes.deployed import deployed, shown
from graphc_passes.rewrites.folding.fold_affine_into_conv import AFFINE, CONVOLUTIONS, fold_affine_into_conv


@lint(
    category="convolution",
    severity="info",
    help="fold it into the convolution's weights and bias",
    fix=fold_affine_into_conv.name,
)
def unfolded_affine(subject: Subject) -> Iterator[Problem]:
    for node, opset in deployed(subject, *AFFINE):
        if not any(value is not None and _is_constant(value) for value in node.inputs):
            continue
        if fold_affine_into_conv.would_fire(node, opset):
            data = next((value for value in node.inputs if value is not None and not _is_constant(value)), None)
            yield Problem(f"{shown(data)} before it could hold its constant", at=node)
            continue
        readers = (reader for value in node.outputs for reader in value.consumers())
        convs = (reader for reader in readers if reader.op_type in CONVOLUTIONS)
        held = next((conv for conv in convs if fold_affine_into_conv.would_fire(conv, opset)), None)
        if held is not None:
            yield Problem(f"{held.op_type} '{held.name}' behind it could hold its constant", at=node)


def _is_constant(value: ir.Value) -> bool:
    node = value.producer()
    return value.const_value is not None or (node is not None and node.op_type == "Constant")


@unfolded_affine.bad
def a_bias_left_behind(g: CaseBuilder) -> object:
    return g.Relu(g.Add(g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3)), g.weight(1, 4, 1, 1)))


@unfolded_affine.bad
def a_scale_before_a_convolution(g: CaseBuilder) -> object:
    return g.Conv(g.Mul(g.weight(3, 1, 1), g.input(1, 3, 8, 8)), g.weight(4, 3, 3, 3), pads=(1, 1, 1, 1))


@unfolded_affine.good
def behind_an_activation(g: CaseBuilder) -> object:
    return g.Mul(g.Relu(g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3))), g.weight(1, 4, 1, 1))


@unfolded_affine.good
def along_the_width(g: CaseBuilder) -> object:
    return g.Mul(g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3)), g.weight(6))
