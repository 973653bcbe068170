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
from onnx.reference.ops import op_resize

from graphc.convolution import read_convolution, transpose_filter
from graphc.errors import GraphcError
from graphc.runtime.definitions import (
    AveragePool,
    ConvInteger,
    DeformConv,
    Flatten,
    GlobalAveragePool,
    LpPool,
    MaxPool,
    RoiAlign,
    described,
)

Arrays = dict[str, np.ndarray]


def evaluate(model: ir.Model, inputs: Mapping[str, np.ndarray]) -> Arrays:
    """Every output by name. `inputs` are used as they are: give float64 to a model in float64.

    Raises GraphcError (run/not-analysed) for what `onnx.reference` does not know.
    """
    new_ops: list[type[OpRun]] = [Conv, ConvTranspose, LRN, Resize]
    new_ops += [AveragePool, ConvInteger, DeformConv, Flatten, GlobalAveragePool, LpPool, MaxPool]
    new_ops += [BatchNormalization] * (model.opset_imports.get("", 1) < 14)
    new_ops += [RoiAlign] * (model.opset_imports.get("", 1) < 16)
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


class Reference:
    """A model ready to run on the reference, with the interface of a `Session`."""

    def __init__(self, model: ir.Model) -> None:
        self._model = ir.external_data.load_to_model(model.clone())

    def run(self, feeds: Mapping[str, np.ndarray]) -> Arrays:
        """Every output by name. Raises GraphcError (run/not-analysed) for what the reference does not know."""
        return evaluate(self._model, feeds)

    def __enter__(self) -> Reference:
        return self

    def __exit__(self, *error: object) -> None:
        pass


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


class LRN(OpRun):
    """LRN over all channels: `onnx.reference` sums over as many as the batch has images."""

    def _run(self, x: np.ndarray, *, alpha: float, beta: float, bias: float, size: int) -> tuple[np.ndarray]:
        before = (size - 1) // 2
        padded = np.pad(x * x, [(0, 0), (before, size - 1 - before), *[(0, 0)] * (x.ndim - 2)])
        total = sum(padded[:, shift : shift + x.shape[1]] for shift in range(size))
        return (x / (float(bias) + float(alpha) / size * total) ** float(beta),)


class Resize(op_resize.Resize):
    """Resize in 64 bits: with a region and a cubic coefficient of 32, places and weights would be 32 bits wide.

    And of axes that count from the back, on which `onnx.reference` crashes.
    """

    def _run(self, x: np.ndarray, *stated: np.ndarray | None, **attributes: Any) -> Any:  # type: ignore[override]
        wide = [
            array.astype(np.float64) if array is not None and array.dtype.kind == "f" else array for array in stated
        ]
        if attributes.get("cubic_coeff_a") is not None:
            attributes["cubic_coeff_a"] = float(attributes["cubic_coeff_a"])
        if attributes.get("axes") is not None:
            attributes["axes"] = [axis % x.ndim for axis in attributes["axes"]]
        return super()._run(x, *wide, **attributes)  # type: ignore[arg-type]


class BatchNormalization(OpRun):
    """Inference, as opset 9 to 13 define it: there `onnx.reference` takes the batch's own statistics."""

    def _run(self, x: np.ndarray, *per_channel: np.ndarray, epsilon: float, **_: Any) -> tuple[np.ndarray]:
        scale, shift, mean, variance = (p.reshape(-1, *[1] * (x.ndim - 2)) for p in per_channel)
        return ((x - mean) / np.sqrt(variance + epsilon) * scale + shift,)


def _nest(
    op_type: str, x: np.ndarray, w: np.ndarray, b: np.ndarray | None, attributes: Mapping[str, Any]
) -> np.ndarray:
    nest = read_convolution(described(op_type, attributes), x.shape, w.shape)
    filter_ = transpose_filter(w, nest.groups) if op_type == "ConvTranspose" else w
    return nest.run(x, filter_, b).astype(x.dtype)
