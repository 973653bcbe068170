"""A parameter that is not in the weight file.

Why    its values would be drawn at random beside trained ones, and the model runs and is wrong.
"""

from __future__ import annotations

from pathlib import Path

from graphc import reported
from graphc_passes.lints.spec._weights import SLOPES, with_weights

weight_missing = reported("spec/weight-missing", help="pair it in 'map', or allow it with 'strict: false'")


@weight_missing.bad
def another_name(folder: Path) -> Path:
    return with_weights(folder)


@weight_missing.good
def as_wanted(folder: Path) -> Path:
    return with_weights(folder, y__slope=SLOPES)
