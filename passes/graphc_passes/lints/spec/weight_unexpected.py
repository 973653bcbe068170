"""A tensor of the weight file that is no parameter of the network.

Why    trained weights that nothing reads: the file is of another network, or a layer has been forgotten.
"""

from __future__ import annotations

from pathlib import Path

from graphc import reported
from graphc_passes.lints.spec._weights import SLOPES, with_weights

weight_unexpected = reported("spec/weight-unexpected", help="pair it in 'map', or allow it with 'strict: false'")


@weight_unexpected.bad
def one_too_many(folder: Path) -> Path:
    return with_weights(folder, y__slope=SLOPES, y__bias=SLOPES)


@weight_unexpected.good
def as_wanted(folder: Path) -> Path:
    return with_weights(folder, y__slope=SLOPES)
