"""Opens the files that weights come in: npz, safetensors and ONNX, all of them untrusted.

Every size that a file declares is held against what the file has and against the limits before memory is
asked for. Nothing is unpickled. Opening reads the table of contents; a tensor is read when it is asked for,
once its shape and type are known to be wanted.
"""

from __future__ import annotations

import ast
import math
import os
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO, Any, NoReturn, TypeAlias

import numpy as np
import onnx_ir as ir
from safetensors import SafetensorError, safe_open

from graphc import model
from graphc.errors import GraphcError
from graphc.limits import DEFAULT, Limits

MAX_DIRECTORY = 8 << 20  # bytes of a table of contents: parsed, it takes some ten times as much memory
MAX_NPY_HEADER = 10_000  # bytes; what numpy itself takes as safe to parse
RATIO_EXEMPT = 64 << 20  # bytes: below, any compression ratio will do
NPY_VERSIONS = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}  # version: bytes of the header's length
NPY_TYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")
END_OF_ZIP, END_SIZE = b"PK\x05\x06", 22  # the last record, when no comment follows
ZIP64_LOCATOR, LOCATOR_SIZE = b"PK\x06\x07", 20  # stands before it when there are 64-bit sizes
SAFETENSORS_TYPES = {
    "BOOL": ir.DataType.BOOL,
    **{f"I{bits}": ir.DataType[f"INT{bits}"] for bits in (8, 16, 32, 64)},
    **{f"U{bits}": ir.DataType[f"UINT{bits}"] for bits in (8, 16, 32, 64)},
    "F16": ir.DataType.FLOAT16,
    "BF16": ir.DataType.BFLOAT16,
    "F32": ir.DataType.FLOAT,
    "F64": ir.DataType.DOUBLE,
}

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"


@dataclass(frozen=True)
class Stored:
    """A tensor of a file. `read` gives its content, in the machine's byte order; it may raise GraphcError."""

    shape: tuple[int, ...]
    dtype: ir.DataType
    read: Callable[[], Array]


def open_weights(kind: str, path: Path, limits: Limits = DEFAULT) -> AbstractContextManager[dict[str, Stored]]:
    """The tensors of a file by name; `kind` is one of `READERS`.

    Raises GraphcError: spec/limit-exceeded, spec/weight-damaged for what is not such a file,
    security/pickled-weights, security/archive-bomb, security/tensor-larger-than-file,
    security/external-path-escape for what may be an attack, and for ONNX what `model.load` raises.
    """
    size = path.stat().st_size
    if size > limits.weight_bytes:
        _refuse(path, f"has {size} bytes, more than the limit of {limits.weight_bytes}", "spec/limit-exceeded")
    return READERS[kind](path, limits)


def _refuse(path: Path, message: str, code: str = "spec/weight-damaged", hint: str = "") -> NoReturn:
    raise GraphcError(f"{path.name}: {message}", code=code, hint=hint)


@contextmanager
def _damage(path: Path, *kinds: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kinds as error:
        _refuse(
            path,
            f"cannot be read: {str(error) or type(error).__name__}",
            hint="it is truncated or of another format; write it again",
        )


# ---------------------------------------------------------------- npz

ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)


@contextmanager
def _npz(path: Path, limits: Limits) -> Iterator[dict[str, Stored]]:
    with ExitStack() as stack:
        with _damage(path, *ZIP_ERRORS):
            _check_directory_size(path)
            archive = stack.enter_context(zipfile.ZipFile(path))
            _check_members(path, archive.infolist(), limits)
            tensors = {info.filename.removesuffix(".npy"): _npy(path, archive, info) for info in archive.infolist()}
        yield tensors


def _check_directory_size(path: Path) -> None:
    """Bound the table of contents before zipfile reads it. Only numpy's plain kind of end record will do."""
    with path.open("rb") as stream:
        stream.seek(-min(END_SIZE + LOCATOR_SIZE, path.stat().st_size), os.SEEK_END)
        tail = stream.read()
    end = tail[-END_SIZE:]
    if not end.startswith(END_OF_ZIP) or end[-2:] != b"\0\0":
        _refuse(path, "is no npz file", hint="write it with numpy.savez")
    if tail.startswith(ZIP64_LOCATOR):
        _refuse(path, "is a zip64 archive", "spec/limit-exceeded", "use safetensors for this many tensors")
    if int.from_bytes(end[12:16], "little") > MAX_DIRECTORY:
        _refuse(path, f"has a table of contents above {MAX_DIRECTORY} bytes", "security/archive-bomb")


def _check_members(path: Path, members: list[zipfile.ZipInfo], limits: Limits) -> None:
    if len(members) > limits.archive_members:
        _refuse(path, f"has {len(members)} members, more than {limits.archive_members}", "security/archive-bomb")
    name, count = Counter(info.filename for info in members).most_common(1)[0] if members else ("", 0)
    if count > 1:
        _refuse(path, f"has '{name}' {count} times", hint="which one is meant? Write the file again")
    for info in members:
        _check_member(path, info)
    stored, full = sum(i.compress_size for i in members), sum(i.file_size for i in members)
    if stored > path.stat().st_size:
        _refuse(path, "has members that overlap", "security/archive-bomb")
    if full > limits.weight_bytes:
        _refuse(path, f"unpacks to {full} bytes, more than {limits.weight_bytes}", "security/archive-bomb")
    if full > max(RATIO_EXEMPT, limits.archive_ratio * stored):
        _refuse(path, f"unpacks to {full // max(stored, 1)} times its size", "security/archive-bomb")


def _check_member(path: Path, info: zipfile.ZipInfo) -> None:
    name = info.filename
    if name.startswith("/") or ".." in name.split("/") or PureWindowsPath(name).drive:
        _refuse(path, f"has a member with the name '{name}'", "security/external-path-escape")
    if name.endswith((".pkl", ".pickle")):
        _refuse(
            path,
            f"has a pickle, '{name}'",
            "security/pickled-weights",
            "convert it to safetensors where it was made",
        )
    if not name.endswith(".npy"):
        _refuse(path, f"has '{name}', which is no .npy array", hint="write the file with numpy.savez")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
        _refuse(path, f"has '{name}' encrypted or in an unknown compression", hint="use numpy.savez_compressed")


def _npy(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Stored:
    with archive.open(info) as stream:
        dtype, shape, fortran = _npy_header(path, info.filename, stream)
        start = stream.tell()
    if start + math.prod(shape) * dtype.itemsize != info.file_size:
        _refuse(
            path,
            f"'{info.filename}' declares shape {shape} of {dtype}, but has {info.file_size - start} bytes",
            "security/tensor-larger-than-file",
        )

    def read() -> Array:
        with _damage(path, *ZIP_ERRORS), archive.open(info) as stream:
            content = stream.read()[start:]
            array = np.ndarray(shape, dtype, content, order="F" if fortran else "C")
        return array.astype(dtype.newbyteorder("="))

    return Stored(shape, ir.DataType.from_numpy(dtype.newbyteorder("=")), read)


def _npy_header(path: Path, name: str, stream: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    """(type, shape, whether in Fortran order) of the .npy format, versions 1 to 3."""
    magic = stream.read(8)
    if magic[:6] != b"\x93NUMPY" or magic[6:] not in NPY_VERSIONS:
        _refuse(path, f"'{name}' is no .npy array")
    length = int.from_bytes(stream.read(NPY_VERSIONS[magic[6:]]), "little")
    if length > MAX_NPY_HEADER:
        _refuse(path, f"'{name}' has a header of {length} bytes", "security/archive-bomb")
    try:
        header = ast.literal_eval(stream.read(length).decode("latin-1"))
        descr, shape, fortran = header["descr"], header["shape"], header["fortran_order"]
    except (SyntaxError, ValueError, TypeError, KeyError, MemoryError, RecursionError):
        _refuse(path, f"'{name}' has a header that is not numpy's")
    if descr in ("O", "|O"):
        _refuse(path, f"'{name}' holds pickled objects", "security/pickled-weights", "store arrays of numbers")
    if not isinstance(descr, str) or not NPY_TYPE.fullmatch(descr):
        _refuse(path, f"'{name}' is of type {descr!r}", hint="use float32 or another type of numbers")
    if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
        _refuse(path, f"'{name}' has the shape {shape!r}")
    return np.dtype(descr), shape, bool(fortran)


# ---------------------------------------------------------------- safetensors


@contextmanager
def _safetensors(path: Path, limits: Limits) -> Iterator[dict[str, Stored]]:
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
    size = path.stat().st_size
    if size >= 8 and length > min(MAX_DIRECTORY, size - 8):
        _refuse(path, f"declares a header of {length} bytes", "security/tensor-larger-than-file")
    with ExitStack() as stack:
        with _damage(path, SafetensorError):
            file = stack.enter_context(safe_open(path, framework="np"))
            tensors = {name: _safetensor(path, file, name) for name in file.keys()}  # noqa: SIM118  it is no dict
        yield tensors


def _safetensor(path: Path, file: Any, name: str) -> Stored:
    info = file.get_slice(name)
    if info.get_dtype() not in SAFETENSORS_TYPES:
        _refuse(path, f"'{name}' is of type {info.get_dtype()}", hint="use F32 or another type of numbers")

    def read() -> Array:
        with _damage(path, SafetensorError):
            array: Array = file.get_tensor(name)
        return array

    return Stored(tuple(info.get_shape()), SAFETENSORS_TYPES[info.get_dtype()], read)


# ---------------------------------------------------------------- ONNX


@contextmanager
def _onnx(path: Path, limits: Limits) -> Iterator[dict[str, Stored]]:
    yield {name: _initializer(value) for name, value in model.load(path, limits=limits).graph.initializers.items()}


def _initializer(value: ir.Value) -> Stored:
    tensor = value.const_value
    assert tensor is not None  # what makes it an initializer

    def read() -> Array:
        return tensor.numpy().copy()  # external data is mapped, and its file may change

    return Stored(tuple(tensor.shape.numpy()), tensor.dtype, read)


READERS = {"npz": _npz, "safetensors": _safetensors, "onnx": _onnx}
