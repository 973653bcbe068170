"""A tensor whose data lies at an absolute path.

Why    the model is good on one machine at most, and on any other it may read what it should not.
"""

from __future__ import annotations

from pathlib import Path

from graphc import reported
from graphc_passes.lints.security._models import external

absolute_path = reported("security/absolute-path", help="name the data file relative to the model")


@absolute_path.bad
def of_unix(folder: Path) -> Path:
    return external(folder, "/dev/zero")


@absolute_path.bad
def of_windows(folder: Path) -> Path:
    return external(folder, "C:/w.bin")


@absolute_path.good
def beside_the_model(folder: Path) -> Path:
    return external(folder, offset=0, length=24)
