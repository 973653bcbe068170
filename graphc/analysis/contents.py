"""What the elements of a tensor of floats are like: how many are no numbers, how many too small to be precise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import ml_dtypes
import numpy as np
import onnx_ir as ir

BLOCK = 1 << 20  # elements that are looked at together
READ = (ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)


@dataclass(frozen=True)
class Contents:
    """Counts of elements: `size` in all; those that are nan, infinite, subnormal (not 0, and below the least number of
    full precision of the type), and 0; and the largest finite magnitude."""

    size: int
    nan: int = 0
    infinite: int = 0
    subnormal: int = 0
    zero: int = 0
    largest: float = 0.0


def is_floating(tensor: ir.TensorProtocol) -> bool:
    """Whether `contents` can read it."""
    return tensor.dtype in READ


def contents(tensor: ir.TensorProtocol) -> Contents:
    """Counts over all elements of a tensor of float, double, float16 or bfloat16."""
    found = Contents(tensor.size)
    bounds = ml_dtypes.finfo(tensor.dtype.numpy())  # type: ignore[no-untyped-call] # ml_dtypes ships no types for it
    least = float(bounds.smallest_normal)
    for block in _blocks(tensor):
        magnitudes = np.abs(block)
        finite = magnitudes[np.isfinite(magnitudes)]
        found = Contents(
            found.size,
            found.nan + int(np.isnan(magnitudes).sum()),
            found.infinite + int(np.isinf(magnitudes).sum()),
            found.subnormal + int(((finite > 0) & (finite < least)).sum()),
            found.zero + int((finite == 0).sum()),
            max(found.largest, float(finite.max(initial=0.0))),
        )
    return found


def _blocks(tensor: ir.TensorProtocol) -> Iterator[np.ndarray]:
    flat = tensor.numpy().reshape(-1)
    for start in range(0, flat.size, BLOCK):
        block = flat[start : start + BLOCK]
        yield block if block.dtype == np.float64 else block.astype(np.float32)
