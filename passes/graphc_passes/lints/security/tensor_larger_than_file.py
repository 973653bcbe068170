"""A tensor that declares more, or less, than the file holds.

Why    a few bytes ask for terabytes: readers that allocate what is declared die before they find that it is not there.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import onnx

from graphc import reported
from graphc_passes.lints.security._models import SUM, VALUES, write
from graphc_passes.lints.security._specs import good_weights, with_weights

tensor_larger_than_file = reported("security/tensor-larger-than-file", help="write the file again, whole")


def _tensor(*shape: int) -> onnx.TensorProto:
    return onnx.TensorProto(name="w", dims=shape, data_type=onnx.TensorProto.FLOAT, raw_data=VALUES.tobytes())


@tensor_larger_than_file.bad
def terabytes_in_a_model(folder: Path) -> Path:
    return write(folder, SUM, _tensor(1 << 20, 1 << 20))


@tensor_larger_than_file.bad
def hidden_bytes_in_a_model(folder: Path) -> Path:
    return write(folder, SUM, _tensor(1, 3))


@tensor_larger_than_file.bad
def terabytes_in_an_archive(folder: Path) -> Path:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}\n"
        archive.writestr("y/weight.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
    return with_weights(folder, stream.getvalue())


@tensor_larger_than_file.good
def as_declared(folder: Path) -> Path:
    return write(folder, SUM, _tensor(2, 3))


@tensor_larger_than_file.good
def as_declared_in_an_archive(folder: Path) -> Path:
    return with_weights(folder, good_weights())
