"""What float16 cannot hold because it is too small: an epsilon that becomes 0, weights that lose their digits.

Why    below 6.1e-5 float16 has fewer digits the smaller a number is, and below 6e-8 none. An epsilon that becomes 0 no
       longer keeps a division from dividing by 0; weights that are mostly so small have kept a digit or two.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from graphc import CaseBuilder, Problem, Subject, View, lint

LEAST = float(np.finfo(np.float16).smallest_subnormal)
NORMS = ("BatchNormalization", "InstanceNormalization", "LayerNormalization", "GroupNormalization")


@lint(category="numerics", severity="warning", help="keep it in float32, or scale it")
def fp16_underflow(subject: Subject) -> Iterator[Problem]:
    for node, opset in subject.nodes(*NORMS):
        value = node.inputs[0] if node.inputs else None
        if value is None or value.dtype != ir.DataType.FLOAT16:
            continue
        epsilon = View(node, opset).attr("epsilon")
        if isinstance(epsilon, float) and 0 < epsilon < LEAST / 2:
            yield Problem(f"its epsilon {epsilon:g} is 0 in float16", at=node, measured=epsilon, limit=LEAST)
    for value, found in subject.weights.items():
        if value.dtype == ir.DataType.FLOAT16 and 2 * found.subnormal > found.size - found.zero:
            message = f"{found.subnormal:,} of its {found.size:,} elements are below what float16 holds in full"
            yield Problem(message, at=value, measured=found.subnormal)


def _norm(g: CaseBuilder, epsilon: float) -> object:
    half = ir.DataType.FLOAT16
    scale, shift = (g.constant(np.ones(3, np.float16), name=name) for name in "sb")
    return g.InstanceNormalization(g.input(1, 3, 8, 8, dtype=half), scale, shift, epsilon=epsilon)


def _product(g: CaseBuilder, scale: float) -> object:
    weights = (g.random.standard_normal((8, 4)) * scale).astype(np.float16)
    return g.MatMul(g.input(2, 8, dtype=ir.DataType.FLOAT16), g.constant(weights, name="w"))


@fp16_underflow.bad
def an_epsilon_that_is_0(g: CaseBuilder) -> object:
    return _norm(g, 1e-12)


@fp16_underflow.bad
def weights_of_a_digit(g: CaseBuilder) -> object:
    return _product(g, 1e-6)


@fp16_underflow.good
def the_usual_epsilon(g: CaseBuilder) -> object:
    return _norm(g, 1e-5)


@fp16_underflow.good
def the_usual_weights(g: CaseBuilder) -> object:
    return _product(g, 0.1)
