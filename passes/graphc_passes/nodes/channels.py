"""Reading a Gather that selects or permutes channels."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from graphc import Refusal, View


def read_channel_gather(gather: View) -> tuple[ir.Value, int, np.ndarray]:
    """(data, its number of channels, the index of each channel taken). Raises Refusal for any other Gather."""
    data, indices = gather.required("data"), gather.constant("indices")
    if data.shape is None or len(data.shape) < 2:
        raise Refusal("the number of axes is not known")
    channels = data.shape[1]
    if gather.attr("axis") % len(data.shape) != 1 or indices.ndim != 1:
        raise Refusal("the Gather is not one of channels")
    if not isinstance(channels, int):
        raise Refusal("the number of channels is not known")
    if not indices.size or (indices < -channels).any() or (indices >= channels).any():
        raise Refusal("the Gather takes no channels, or some that are not there")
    return data, channels, indices.astype(np.int64) % channels
