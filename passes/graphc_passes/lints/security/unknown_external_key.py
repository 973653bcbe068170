"""A tensor's external data with a key that ONNX does not define.

Why    readers have set attributes of their own objects from it (CVE-2026-34445).
"""

from __future__ import annotations

from pathlib import Path

from graphc import reported
from graphc_passes.lints.security._models import external

unknown_external_key = reported("security/unknown-external-key", help="write location, offset, length, checksum only")


@unknown_external_key.bad
def an_attribute_of_python(folder: Path) -> Path:
    return external(folder, __class__="x")


@unknown_external_key.bad
def a_base_path(folder: Path) -> Path:
    return external(folder, basepath="/")


@unknown_external_key.good
def beside_the_model(folder: Path) -> Path:
    return external(folder, offset=0, length=24)
