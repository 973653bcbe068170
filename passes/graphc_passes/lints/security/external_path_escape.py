"""A tensor whose data lies outside the model's folder.

Why    whoever loads the model reads a file of the machine into a tensor, which an output of the model then gives away
       (CVE-2022-25882, CVE-2024-27318).
"""

from __future__ import annotations

from pathlib import Path

from graphc import reported
from graphc_passes.lints.security._models import external

external_path_escape = reported("security/external-path-escape", help="put the data beside the model")


@external_path_escape.bad
def through_the_parent(folder: Path) -> Path:
    return external(folder, "../secret")


@external_path_escape.bad
def there_and_back(folder: Path) -> Path:
    return external(folder, "sub/../../secret")


@external_path_escape.bad
def with_backslashes(folder: Path) -> Path:
    return external(folder, "..\\secret")


@external_path_escape.bad
def the_folder_itself(folder: Path) -> Path:
    return external(folder, ".")


@external_path_escape.good
def beside_the_model(folder: Path) -> Path:
    return external(folder, offset=0, length=24)
