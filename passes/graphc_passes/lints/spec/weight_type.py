"""A weight of another type than its parameter, and not one float type for another.

Why    converting integers to floats could lose digits unseen.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from graphc import reported
from graphc_passes.lints.spec._weights import SLOPES, with_weights

weight_type = reported("spec/weight-type", help="store it in the type of the parameter")


@weight_type.bad
def integers(folder: Path) -> Path:
    return with_weights(folder, y__slope=np.ones((4, 1, 1), np.int32))


@weight_type.good
def half_the_precision(folder: Path) -> Path:
    return with_weights(folder, y__slope=SLOPES.astype(np.float16))
