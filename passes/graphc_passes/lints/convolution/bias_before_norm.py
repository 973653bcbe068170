"""A convolution with a bias in front of a normalisation that has a shift of its own.

Why    the mean that the normalisation subtracts holds the bias: in training the two cancel, the bias has no gradient,
       in inference the shift can say the same: one parameter per channel for nothing (Ioffe and Szegedy 2015,
       section 3.2). In a model file the mean of a BatchNormalization is settled: there another lint wants it folded.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from graphc import CaseBuilder, Fix, Problem, Refusal, Subject, View, lint
from graphc_passes.nodes.norms import is_training
from graphc_passes.rewrites.dropping.drop_bias_before_instance_norm import drop_bias_before_instance_norm

NORMS = ("BatchNormalization", "InstanceNormalization")  # both subtract one mean per channel
DROPPED = Fix(  # whose rounding may show where a channel hardly varies
    f"run {drop_bias_before_instance_norm.name}", safe=False, passes=(drop_bias_before_instance_norm.name,)
)


@lint(
    category="convolution",
    severity="info",
    help="give the convolution no bias; the norm's shift does its work",
)
def bias_before_norm(subject: Subject) -> Iterator[Problem]:
    for node, opset in subject.nodes("Conv", "ConvTranspose"):
        norm = _norm_of(View(node, opset))
        try:
            if norm is None or (subject.is_model and _is_settled(View(norm, opset))):
                continue
        except Refusal as unreadable:
            yield Problem(str(unreadable), at=norm, unfinished=True)
            continue
        fix = DROPPED if subject.is_model and drop_bias_before_instance_norm.would_fire(norm, opset) else None
        yield Problem(f"the bias is cancelled by the mean of {norm.op_type} '{norm.name}'", at=node, fix=fix)


def _norm_of(conv: View) -> ir.Node | None:
    """The norm behind a convolution with a bias that nothing but norms sees."""
    out = conv.output("Y")
    if conv.input("B") is None or out is None or out.is_graph_output():
        return None
    readers = out.consumers()
    if not readers or any(reader.op_type not in NORMS or reader.inputs[0] is not out for reader in readers):
        return None
    return readers[0]


def _is_settled(norm: View) -> bool:
    """Whether its mean is a constant, and cancels nothing: folded into the convolution it takes the bias along."""
    return norm.op_type == "BatchNormalization" and not is_training(norm)


@bias_before_norm.bad
def with_bias(g: CaseBuilder) -> object:
    conv = g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3), g.weight(4))
    return g.InstanceNormalization(conv, g.weight(4), g.weight(4))


@bias_before_norm.bad
def in_a_spec() -> str:
    return """
        graphc: 1
        name: net
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, conv: {out: 4, k: 3, norm: batch_norm, act: relu}}
    """


@bias_before_norm.good
def without_bias(g: CaseBuilder) -> object:
    conv = g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3))
    return g.InstanceNormalization(conv, g.weight(4), g.weight(4))


@bias_before_norm.good
def read_by_another_node_too(g: CaseBuilder) -> object:
    conv = g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3), g.weight(4))
    return g.Add(conv, g.InstanceNormalization(conv, g.weight(4), g.weight(4)))
