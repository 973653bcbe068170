"""An inference-mode BatchNormalization that a convolution beside it could take up.

Why    with constant statistics it is a scale and a shift per channel, which the convolution's weights and bias hold as
       well: one full read and write of the activation for nothing (Jacob et al., CVPR 2018, section 3.2).
       A spec is no model yet: there it is the right way to write a network, and the passes fold it.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from graphc import CaseBuilder, Problem, Subject, lint
from graphc_passes.nodes.deployed import deployed, shown
from graphc_passes.rewrites.folding.fold_batchnorm_into_conv import fold_batchnorm_into_conv
from graphc_passes.rewrites.folding.fold_batchnorm_into_next_conv import fold_batchnorm_into_next_conv


@lint(
    category="convolution",
    severity="warning",
    help="fold it into the convolution's weights",
    fix=(fold_batchnorm_into_conv.name, fold_batchnorm_into_next_conv.name),
)
def unfolded_batchnorm(subject: Subject) -> Iterator[Problem]:
    for node, opset in deployed(subject, "BatchNormalization"):
        if not node.inputs or not node.outputs:
            continue
        if fold_batchnorm_into_conv.would_fire(node, opset):
            yield Problem(f"it could be folded into {shown(node.inputs[0])} before it", at=node)
            continue
        for reader in node.outputs[0].consumers():
            if fold_batchnorm_into_next_conv.would_fire(reader, opset):
                yield Problem(f"it could be folded into {reader.op_type} '{reader.name}' behind it", at=node)
                break


def _norm(g: CaseBuilder, x: ir.Value, channels: int) -> ir.Value:
    scale, shift, mean = (g.weight(channels) for _ in range(3))
    normed: ir.Value = g.BatchNormalization(x, scale, shift, mean, g.weight(channels, low=0.5))
    return normed


@unfolded_batchnorm.bad
def behind_a_convolution(g: CaseBuilder) -> object:
    return g.Relu(_norm(g, g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3)), 4))


@unfolded_batchnorm.bad
def behind_a_transposed_one(g: CaseBuilder) -> object:
    return g.Relu(_norm(g, g.ConvTranspose(g.input(1, 3, 8, 8), g.weight(3, 4, 2, 2), strides=(2, 2)), 4))


@unfolded_batchnorm.bad
def before_a_convolution_that_is_not_padded(g: CaseBuilder) -> object:
    return g.Conv(_norm(g, g.input(1, 3, 8, 8), 3), g.weight(4, 3, 3, 3))


@unfolded_batchnorm.good
def before_an_activation(g: CaseBuilder) -> object:
    return g.Conv(g.Relu(_norm(g, g.input(1, 3, 8, 8), 3)), g.weight(4, 3, 3, 3))


@unfolded_batchnorm.good
def of_what_another_node_reads_too(g: CaseBuilder) -> object:
    conv = g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3))
    return g.Concat(g.Relu(_norm(g, conv, 4)), g.Sigmoid(conv), axis=1)


@unfolded_batchnorm.good
def in_a_spec() -> str:
    return """
        graphc: 1
        name: net
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, conv: {out: 4, k: 3, bias: false, norm: batch_norm, act: relu}}
    """
