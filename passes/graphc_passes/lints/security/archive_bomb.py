"""A weight archive that unpacks to far more than it is, or says so.

Why    a few kilobytes that become gigabytes stop the machine that reads them.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from graphc import reported
from graphc_passes.lints.security._specs import good_weights, npz, with_weights

archive_bomb = reported("security/archive-bomb", help="store the weights without compression, or as safetensors")


@archive_bomb.bad
def zeros_by_the_hundred_megabytes(folder: Path) -> Path:
    return with_weights(folder, npz({"y/weight": np.zeros(100 << 18, np.float32)}, compressed=True))


@archive_bomb.bad
def a_header_of_gigabytes(folder: Path) -> Path:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("y/weight.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + bytes(100))
    return with_weights(folder, stream.getvalue())


@archive_bomb.good
def arrays_of_numbers(folder: Path) -> Path:
    return with_weights(folder, good_weights())
