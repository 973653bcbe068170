"""A trainable or fixed tensor of a network: what the layer that made it says of its content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

Role = Literal["weight", "bias", "scale", "shift", "mean", "variance", "recurrent", "embedding", "scalar"]


@dataclass(frozen=True)
class Parameter:
    """One initializer that a layer asked for.

    `path` is its name in the model (`body.3/residual/conv/weight`), which weight files are matched against.
    `init` names an initialisation ("he_normal", "zeros", {"constant": 0.5}, ...); None lets the spec's `weights:`
    choose. Fans are elements per output and per input unit: Cin/groups x taps and Cout/groups x taps for a
    convolution. `trainable` is False for running statistics and for everything under `frozen`.
    """

    path: str
    value: ir.Value
    shape: tuple[int, ...]
    role: Role
    init: str | dict[str, float] | None
    fan_in: int
    fan_out: int
    trainable: bool
