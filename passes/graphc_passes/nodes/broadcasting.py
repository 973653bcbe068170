"""What broadcasts against data: constants that keep its shape, that act per channel or per output."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from graphc import Refusal, Tape


def keeps_shape(content: np.ndarray, data: ir.Value) -> bool:
    """Whether an operator of the two surely has the shape of `data`: the constant broadcasts to it, not the reverse."""
    if data.shape is None or content.ndim > len(data.shape):
        return False
    last = list(data.shape)[len(data.shape) - content.ndim :]
    return all(size in (1, of) for size, of in zip(content.shape, last, strict=True))


def per_channel(content: np.ndarray, rank: int, channels: int) -> np.ndarray:
    """A constant that broadcasts against [N, C, ...] of that rank as C numbers, float64.

    Raises Refusal when it differs along any other axis: `[W]` acts along the last axis, even where W = C.
    """
    if content.ndim > rank:
        raise Refusal("the constant has more axes than the data")
    shape = (1,) * (rank - content.ndim) + content.shape
    if any(size != 1 for axis, size in enumerate(shape) if axis != 1):
        raise Refusal("the constant does not act per channel")
    if shape[1] not in (1, channels):
        raise Refusal("the constant has another number of channels")
    return np.broadcast_to(content.reshape(-1).astype(np.float64), (channels,)).copy()


def per_output(content: np.ndarray, rank: int, outputs: int) -> np.ndarray:
    """A constant that broadcasts against [..., M] of that rank as M numbers, float64.

    Raises Refusal when it differs along another axis, or would make the result larger.
    """
    if content.ndim > rank or any(size != 1 for size in content.shape[:-1]):
        raise Refusal("the constant does not act per output")
    if content.size not in (1, outputs):
        raise Refusal("the constant has another number of outputs")
    return np.broadcast_to(content.reshape(-1).astype(np.float64), (outputs,)).copy()


def is_per_channel(value: ir.Value, rank: int) -> bool:
    """Whether a value that broadcasts against [N, C, ...] of that rank differs along the channels at most."""
    if value.shape is None or len(value.shape) > rank:
        return False
    missing = rank - len(value.shape)
    return all(size == 1 for axis, size in enumerate(value.shape, missing) if axis != 1)


def per_channel_shape(op: Tape, values: ir.Value, rank: int) -> ir.Value:
    """[C] as [C, 1, ...], which acts per channel on [N, C, ...] data of that rank."""
    return op.Reshape(values, op.constant([-1, *[1] * (rank - 2)]))
