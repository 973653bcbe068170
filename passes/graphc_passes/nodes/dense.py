"""Reading a fully connected layer: a Gemm or MatMul of data with constant weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from graphc import Refusal, View
from graphc_passes.nodes.broadcasting import per_output


@dataclass(frozen=True)
class Dense:
    """y[..., m] = Σ_k weight[m, k]·x[..., k] + bias[m], float64 so that folding rounds once, at the end.

    `stored` is the value of the weights, whose type new ones take.
    """

    view: View
    data: ir.Value
    stored: ir.Value
    weight: np.ndarray
    bias: np.ndarray
    has_bias: bool

    @classmethod
    def read(cls, view: View) -> Dense:
        """Read all of a Gemm or MatMul. Raises Refusal when the weights or the bias are no constants."""
        weight = view.constant("B").astype(np.float64)
        if weight.ndim != 2 or 0 in weight.shape:
            raise Refusal("the weights are not a matrix")
        if view.op_type == "MatMul":
            return cls(view, view.required("A"), view.required("B"), weight.T, np.zeros(weight.shape[1]), False)
        if view.attr("transA"):
            raise Refusal("the data is transposed")
        weight = view.attr("alpha") * (weight if view.attr("transB") else weight.T)
        given = view.optional_constant("C")
        bias = np.zeros(len(weight))
        if given is not None:
            bias = view.attr("beta") * per_output(given, 2, len(weight))
        view.attr("beta")  # of nothing, where there is no C
        return cls(view, view.required("A"), view.required("B"), weight, bias, given is not None)

    @property
    def outputs(self) -> int:
        """The number of output features."""
        return len(self.weight)

    @property
    def inputs(self) -> int:
        """The number of input features."""
        return int(self.weight.shape[1])
