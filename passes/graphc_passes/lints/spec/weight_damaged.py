"""A weight file that is truncated, or of another format than its key says.

Why    what can still be read of it is not to be trusted.
"""

from __future__ import annotations

from pathlib import Path

from graphc import reported
from graphc_passes.lints.spec._weights import SLOPES, with_weights

weight_damaged = reported("spec/weight-damaged", help="write the file again, with numpy.savez or safetensors")


@weight_damaged.bad
def no_archive(folder: Path) -> Path:
    return with_weights(folder, b"not an archive" * 8)


@weight_damaged.bad
def truncated(folder: Path) -> Path:
    with_weights(folder, y__slope=SLOPES)
    return with_weights(folder, (folder / "net.npz").read_bytes()[:-30])


@weight_damaged.good
def as_wanted(folder: Path) -> Path:
    return with_weights(folder, y__slope=SLOPES)
