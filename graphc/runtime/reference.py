"""What a model computes by the ONNX specification, in float64: `onnx.reference`, mended where it is wrong.

It shares no code with ONNX Runtime, nor with any rewrite. Convolutions run on the executable nest
(`Convolution.run`): `onnx.reference` crashes on some transposed ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from graphc.convolution import read_convolution, transpose_filter
from graphc.errors import GraphcError

Arrays = dict[str, np.ndarray]


def evaluate(model: ir.Model, inputs: Mapping[str, np.ndarray]) -> Arrays:
    """Every output by name. `inputs` are used as they are: give float64 to a model in float64.

    Raises GraphcError (run/not-analysed) for what `onnx.reference` does not know.
    """
    new_ops: list[type[OpRun]] = [Conv, ConvTranspose]
    new_ops += [BatchNormalization] * (model.opset_imports.get("", 1) < 14)
    names = [str(value.name) for value in model.graph.outputs]
    try:
        evaluator = ReferenceEvaluator(ir.to_proto(model), new_ops=new_ops)
        with np.errstate(all="ignore"):
            found: list[Any] = evaluator.run(names, dict(inputs))  # type: ignore[assignment] # a list for a list
    except Exception as error:  # it has no exception of its own: an operator raises whatever numpy raises
        raise GraphcError(
            f"the reference does not run the model: {type(error).__name__}: {error}", code="run/not-analysed"
        ) from error
    return dict(zip(names, (np.asarray(array) for array in found), strict=True))


def widened(inputs: Mapping[str, np.ndarray]) -> Arrays:
    """The same inputs, floats in float64."""
    return {name: array.astype(np.float64) if array.dtype.kind == "f" else array for name, array in inputs.items()}


class Conv(OpRun):
    """Conv by the executable nest."""

    def _run(self, x: np.ndarray, w: np.ndarray, b: np.ndarray | None = None, **attributes: Any) -> tuple[np.ndarray]:
        return (_nest("Conv", x, w, b, attributes),)


class ConvTranspose(OpRun):
    """ConvTranspose by the executable nest."""

    def _run(self, x: np.ndarray, w: np.ndarray, b: np.ndarray | None = None, **attributes: Any) -> tuple[np.ndarray]:
        return (_nest("ConvTranspose", x, w, b, attributes),)


class BatchNormalization(OpRun):
    """Inference, as opset 9 to 13 define it: there `onnx.reference` takes the batch's own statistics."""

    def _run(self, x: np.ndarray, *per_channel: np.ndarray, epsilon: float, **_: Any) -> tuple[np.ndarray]:
        scale, shift, mean, variance = (p.reshape(-1, *[1] * (x.ndim - 2)) for p in per_channel)
        return ((x - mean) / np.sqrt(variance + epsilon) * scale + shift,)


def _nest(
    op_type: str, x: np.ndarray, w: np.ndarray, b: np.ndarray | None, attributes: Mapping[str, Any]
) -> np.ndarray:
    given = {name: value for name, value in attributes.items() if value is not None}
    node = ir.node(op_type, [ir.val("x"), ir.val("w")], given)
    nest = read_convolution(node, x.shape, w.shape)
    filter_ = transpose_filter(w, nest.groups) if op_type == "ConvTranspose" else w
    return nest.run(x, filter_, b).astype(x.dtype)
