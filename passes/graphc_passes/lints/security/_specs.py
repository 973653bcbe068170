"""Specs with hostile weight files, for the cases of lints."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np

SPEC = """\
graphc: 1
inputs: {{x: "f32[1, 3, 8, 8]"}}
outputs: [y]
nodes:
  - {{id: y, conv: {{out: 2, k: 1}}}}
weights: {{npz: w.npz{pin}}}
"""


def with_weights(folder: Path, content: bytes, pin: str | None = None) -> Path:
    """A spec of one 1×1 convolution whose weights are this npz file, pinned by its SHA-256 unless `pin` is given."""
    (folder / "w.npz").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest() if pin is None else pin
    path = folder / "net.yaml"
    path.write_text(SPEC.format(pin=f', sha256: "{digest}"' if digest else ""), encoding="utf-8")
    return path


def npz(arrays: dict[str, Any], *, compressed: bool = False) -> bytes:
    """These arrays as numpy stores them."""
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, **arrays)
    return stream.getvalue()


def good_weights() -> bytes:
    """What the spec needs."""
    return npz({"y/weight": np.zeros((2, 3, 1, 1), np.float32), "y/bias": np.zeros(2, np.float32)})
