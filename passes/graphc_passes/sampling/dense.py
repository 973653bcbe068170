"""Random fully connected layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import onnx_ir as ir

from graphc import CaseBuilder


@dataclass(frozen=True)
class DrawnGemm:
    """A Gemm, or a MatMul where there are no attributes, of constant weights."""

    rows: int | str
    inputs: int
    outputs: int
    bias: tuple[int, ...] | None
    attributes: Mapping[str, Any] | None

    def of(self, g: CaseBuilder, x: ir.Value | None = None) -> ir.Value:
        """The node over `x`, by default a new graph input."""
        data = g.input(self.rows, self.inputs) if x is None else x
        if self.attributes is None:
            made = g.MatMul(data, g.weight(self.inputs, self.outputs))
        else:
            shape = (self.outputs, self.inputs) if self.attributes["transB"] else (self.inputs, self.outputs)
            bias = g.weight(*self.bias) if self.bias is not None else None
            made = g.Gemm(data, g.weight(*shape), bias, **self.attributes)
        return made


def draw_gemm(random: Random, inputs: int | None = None, rows: Sequence[int | str] = (2, 5, "N")) -> DrawnGemm:
    """A Gemm of any attributes but `transA`, or a MatMul; the bias is of any shape that broadcasts."""
    chosen, outputs = random.choice(rows), random.randint(1, 8)
    width = random.randint(1, 6) if inputs is None else inputs
    if random.random() < 0.2:
        return DrawnGemm(chosen, width, outputs, None, None)
    biases: list[tuple[int, ...] | None] = [None, (outputs,), (1,), (), (1, outputs), (1, 1)]
    if isinstance(chosen, int):
        biases += [(chosen, 1), (chosen, outputs)]
    bias = random.choice(biases)
    attributes: dict[str, Any] = {"transB": random.choice((0, 1))}
    if random.random() < 0.5:
        attributes |= {"alpha": random.choice((0.5, -2.0, 0.0)), "beta": random.choice((0.25, -1.0, 3.0, 0.0))}
    return DrawnGemm(chosen, width, outputs, bias, attributes)
