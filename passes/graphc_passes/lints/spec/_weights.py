"""Spec cases whose weights are in a file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

SLOPES = np.full((4, 1, 1), 0.25, np.float32)  # what the network needs, as y/slope


def with_weights(folder: Path, content: bytes | None = None, **arrays: Any) -> Path:
    """A PReLU whose slopes are in an npz of these arrays (`__` for `/`), or of that content; the file is pinned."""
    file = folder / "net.npz"
    if content is None:
        np.savez(file, **{name.replace("__", "/"): array for name, array in arrays.items()})
    else:
        file.write_bytes(content)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return network(folder, f"{{npz: net.npz, sha256: {digest}}}")


def network(folder: Path, weights: str) -> Path:
    """A PReLU with this under `weights:`."""
    spec = folder / "net.yaml"
    spec.write_text(
        'graphc: 1\ninputs: {x: "f32[1, 4, 8, 8]"}\noutputs: [y]\n'
        f"nodes:\n  - {{id: y, op: prelu}}\nweights: {weights}\n"
    )
    return spec
