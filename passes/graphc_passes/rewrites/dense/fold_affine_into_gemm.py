"""Fold a Mul, Add, Sub or Div by a constant per output, or a BatchNormalization, into the fully connected layer before.

Law    (x · Wᵀ + b)·s + t = x · (s·W)ᵀ + (b·s + t)      s and t along the last axis; a MatMul of more than two axes has
       no bias, so only s goes into it
Why    One read and write of the features less, and one node.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, constant, require, rewrite
from graphc_passes.nodes.broadcasting import per_output
from graphc_passes.nodes.dense import Dense
from graphc_passes.nodes.filters import survives
from graphc_passes.nodes.norms import batchnorm_affine, is_training
from graphc_passes.nodes.stated import rank_of
from graphc_passes.sampling.dense import draw_gemm

LAYERS = ("Gemm", "MatMul")


@rewrite("Mul", "Add", "Sub", "Div", "BatchNormalization", numerics="reassociates", improves=("bytes", "nodes"))
def fold_affine_into_gemm(root: View, op: Tape) -> ir.Value:
    dense, rank, scale, shift = _normalised(root) if root.op_type == "BatchNormalization" else _scaled(root)
    with np.errstate(invalid="ignore", over="ignore"):
        weight, bias = dense.weight * scale[:, None], dense.bias * scale + shift
    require(survives(weight, bias, dense.stored), "the folded weights would overflow or underflow")
    stored = op.constant(weight.T, like=dense.stored, name="weight")
    if dense.view.op_type == "MatMul" and not shift.any():
        made = op.MatMul(dense.data, stored)
    elif rank == 2:
        made = op.Gemm(dense.data, stored, op.constant(bias, like=dense.stored, name="bias"))
    else:
        raise Refusal("a product of more than two axes has no bias")
    return made


def _normalised(bn: View) -> tuple[Dense, int, np.ndarray, np.ndarray]:
    """The layer, the rank of what it makes, scale and shift."""
    dense = Dense.read(bn.producer("X", *LAYERS))
    require(not is_training(bn), "training mode: the statistics depend on the batch")
    rank = rank_of(bn.required("X"))
    require(rank == 2, "the channels are not the last axis")
    scale, shift = batchnorm_affine(bn)
    return dense, rank, scale, shift


def _scaled(root: View) -> tuple[Dense, int, np.ndarray, np.ndarray]:
    """The layer, the rank of what it makes, scale and shift."""
    first, second = root.required("A"), root.required("B")
    content, data = constant(second), first
    if content is None:
        content, data = constant(first), second
    if content is None:
        raise Refusal(f"neither operand of {root.op_type} is a constant")
    dense, rank = Dense.read(root.made_by(data, *LAYERS)), rank_of(data)
    scale, shift = _affine(root.op_type, per_output(content, rank, dense.outputs), constant_first=data is second)
    return dense, rank, scale, shift


def _affine(op_type: str, content: np.ndarray, *, constant_first: bool) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift per output that the operator applies to its data."""
    one, zero = np.ones_like(content), np.zeros_like(content)
    if op_type == "Mul":
        return content, zero
    if op_type == "Add":
        return one, content
    if op_type == "Sub":
        return (-one, content) if constant_first else (one, -content)
    require(not constant_first, "a constant divided by the data is not affine")
    with np.errstate(divide="ignore"):
        return one / content, zero


def _gemm(g: CaseBuilder) -> ir.Value:
    return g.Gemm(g.input("N", 3), g.weight(4, 3), g.weight(4), transB=1, alpha=0.5)


def _norm(g: CaseBuilder, x: ir.Value, channels: int, **attributes: object) -> ir.Value:
    statistics = g.weight(channels), g.weight(channels), g.weight(channels), g.weight(channels, low=0.5)
    made = g.record("BatchNormalization", x, *statistics, outputs=3 if attributes else 1, **attributes)
    return made[0] if isinstance(made, tuple) else made


@fold_affine_into_gemm.cases
def cases() -> Iterator[Case]:
    yield Case("Mul", lambda g: g.Mul(_gemm(g), g.weight(4)))
    yield Case("Add, constant first", lambda g: g.Add(g.weight(1, 4), _gemm(g)))
    yield Case("Sub, constant first", lambda g: g.Sub(g.weight(1), _gemm(g)))
    yield Case("Div", lambda g: g.Div(_gemm(g), g.weight(4, low=0.5)))
    yield Case("BatchNormalization", lambda g: _norm(g, _gemm(g), 4))
    yield Case(
        "Mul of a MatMul of three axes", lambda g: g.Mul(g.MatMul(g.input(2, 2, 3), g.weight(3, 4)), g.weight(4))
    )
    yield Case("Add to a MatMul", lambda g: g.Add(g.MatMul(g.input(2, 3), g.weight(3, 4)), g.weight(4)))
    yield Case(
        "Add to a MatMul of three axes",
        lambda g: g.Add(g.MatMul(g.input(2, 2, 3), g.weight(3, 4)), g.weight(4)),
        refuses="a product of more than two axes has no bias",
    )
    yield Case(
        "a constant per row where there are as many outputs",
        lambda g: g.Mul(g.Gemm(g.input(4, 3), g.weight(3, 4)), g.weight(4, 1)),
        refuses="the constant does not act per output",
    )
    yield Case(
        "a constant that makes the result larger",
        lambda g: g.Mul(g.Gemm(g.input(4, 3), g.weight(3, 1)), g.weight(4)),
        refuses="the constant has another number of outputs",
    )
    yield Case(
        "the data is the divisor",
        lambda g: g.Div(g.weight(4), _gemm(g)),
        refuses="a constant divided by the data is not affine",
    )
    yield Case(
        "training",
        lambda g: _norm(g, _gemm(g), 4, training_mode=1),
        refuses="training mode: the statistics depend on the batch",
    )
    yield Case(
        "normalised along another axis",
        _normalised_by_row,
        refuses="the channels are not the last axis",
    )
    yield Case(
        "division by zero",
        lambda g: g.Div(_gemm(g), g.constant(np.zeros(4, np.float32))),
        refuses="the folded weights would overflow or underflow",
    )


def _normalised_by_row(g: CaseBuilder) -> ir.Value:
    """Scales only, so that no bias is in the way."""
    zero = g.constant(np.zeros(4, np.float32))
    product = g.MatMul(g.input(2, 4, 3), g.weight(3, 4))
    return g.BatchNormalization(product, g.weight(4), zero, zero, g.weight(4, low=0.5))


@fold_affine_into_gemm.samples
def samples(random: Random) -> Case:
    drawn, kind = draw_gemm(random, rows=(2, "N")), random.choice(("Mul", "Add", "Sub", "Div", "BatchNormalization"))
    shape = random.choice(((drawn.outputs,), (1, drawn.outputs), (1,), (), (2, 1)))
    first = random.random() < 0.3

    def build(g: CaseBuilder) -> ir.Value:
        made = drawn.of(g)
        if kind == "BatchNormalization":
            return _norm(g, made, drawn.outputs)
        content = g.weight(*shape, low=0.5)
        return g.record(kind, content, made) if first else g.record(kind, made, content)

    return Case(f"{drawn} then {kind} {shape} {first=}", build, seed=random.getrandbits(32))
