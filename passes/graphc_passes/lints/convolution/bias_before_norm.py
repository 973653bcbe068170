"""A convolution with a bias in front of a normalisation that has a shift of its own.

Why    the mean that the normalisation subtracts holds the bias: in training the two cancel, the bias has no gradient,
       in inference the shift can say the same: one parameter per channel for nothing (Ioffe and Szegedy 2015,
       section 3.2).
"""

from __future__ import annotations

from graphc import CaseBuilder, View, lint

NORMS = ("BatchNormalization", "InstanceNormalization")  # both subtract one mean per channel


@lint(
    "Conv",
    "ConvTranspose",
    category="convolution",
    severity="info",
    help="give the convolution no bias; the norm's shift does its work",
)
def bias_before_norm(conv: View) -> str | None:
    out = conv.output("Y")
    if conv.input("B") is None or out is None or out.is_graph_output():
        return None
    readers = out.consumers()
    if not readers or any(reader.op_type not in NORMS or reader.inputs[0] is not out for reader in readers):
        return None
    return f"the bias is cancelled by the mean of {readers[0].op_type} '{readers[0].name}'"


@bias_before_norm.bad
def with_bias(g: CaseBuilder) -> object:
    conv = g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3), g.weight(4))
    return g.InstanceNormalization(conv, g.weight(4), g.weight(4))


@bias_before_norm.good
def without_bias(g: CaseBuilder) -> object:
    conv = g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3))
    return g.InstanceNormalization(conv, g.weight(4), g.weight(4))


@bias_before_norm.good
def read_by_another_node_too(g: CaseBuilder) -> object:
    conv = g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3), g.weight(4))
    return g.Add(conv, g.InstanceNormalization(conv, g.weight(4), g.weight(4)))
