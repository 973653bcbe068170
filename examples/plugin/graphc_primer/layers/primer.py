"""The activation of Primer."""

from __future__ import annotations

from typing import ClassVar

import onnx_ir as ir

from graphc import Emitter, Field, Layer


class SquaredRelu(Layer):
    """max(x, 0)^power, the activation that an architecture search found (So et al., Primer, NeurIPS 2021)."""

    primary: ClassVar = "power"
    power: float = Field(2.0, gt=0, description="the exponent")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return g.op("Pow", g.op("Relu", x, name="relu"), g.constant(self.power))
