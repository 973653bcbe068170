"""A weight file with pickled objects in it.

Why    unpickling runs what the file says (CVE-2019-6446). graphc does not unpickle, nor should whoever is next.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from graphc import reported
from graphc_passes.lints.security._specs import good_weights, npz, with_weights

pickled_weights = reported("security/pickled-weights", help="store arrays of numbers, as npz or safetensors")


@pickled_weights.bad
def an_array_of_objects(folder: Path) -> Path:
    return with_weights(folder, npz({"y/weight": np.array([{"a": 1}], dtype=object)}))


@pickled_weights.bad
def a_checkpoint_renamed(folder: Path) -> Path:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("data.pkl", b"cos\nsystem\n")
    return with_weights(folder, stream.getvalue())


@pickled_weights.good
def arrays_of_numbers(folder: Path) -> Path:
    return with_weights(folder, good_weights())
