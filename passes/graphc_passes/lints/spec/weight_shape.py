"""A weight of another shape than its parameter, or one that is shared by uses of different shapes.

Why    the file is of another variant of the network, or 'map' pairs the wrong names.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from graphc import reported
from graphc_passes.lints.spec._weights import SLOPES, with_weights

weight_shape = reported("spec/weight-shape", help="take the file of this variant, or pair the right names in 'map'")


@weight_shape.bad
def of_a_wider_network(folder: Path) -> Path:
    return with_weights(folder, y__slope=np.ones((8, 1, 1), np.float32))


@weight_shape.good
def as_wanted(folder: Path) -> Path:
    return with_weights(folder, y__slope=SLOPES)
