"""Pointwise activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import onnx_ir as ir

from graphc.spec.layers import Field, Layer

if TYPE_CHECKING:
    from graphc.spec.emit import Emitter


class Relu(Layer):
    """max(x, 0)."""

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Relu", x)


class LeakyRelu(Layer):
    """x where x >= 0, else alpha x (Maas et al. 2013)."""

    primary: ClassVar = "alpha"
    alpha: float = Field(0.01, description="slope below zero")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("LeakyRelu", x, alpha=self.alpha)
