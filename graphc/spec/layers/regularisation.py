"""Layers that act in training only."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import onnx_ir as ir

from graphc.spec.layers import Field, Layer

if TYPE_CHECKING:
    from graphc.spec.emit import Emitter


class Dropout(Layer):
    """In training, each element is 0 with probability `rate`, else x / (1 - rate); in inference, x.

    Emitted as a Dropout in inference mode (Srivastava et al. 2014).
    """

    primary: ClassVar = "rate"
    rate: float = Field(0.5, ge=0, lt=1, description="probability of an element to be dropped")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Dropout", x, g.constant(self.rate))
