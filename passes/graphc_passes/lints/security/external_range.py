"""A tensor whose place in its data file is not there, or not of its size.

Why    a reader that trusts the numbers reads other tensors' bytes, or the end of the file and more; onnx_ir ignores the
       length, the ONNX checker all of it.
"""

from __future__ import annotations

from pathlib import Path

from graphc import reported
from graphc_passes.lints.security._models import external

external_range = reported("security/external-range", help="write the model and its data again, together")


@external_range.bad
def beyond_the_file(folder: Path) -> Path:
    return external(folder, offset=4096)


@external_range.bad
def a_negative_offset(folder: Path) -> Path:
    return external(folder, offset=-8)


@external_range.bad
def no_number(folder: Path) -> Path:
    return external(folder, offset="abc")


@external_range.bad
def longer_than_the_tensor(folder: Path) -> Path:
    return external(folder, length=10**12)


@external_range.good
def beside_the_model(folder: Path) -> Path:
    return external(folder, offset=0, length=24)
