"""External data of an untrusted ONNX model: every reference is checked before anything opens it.

A tensor may say that its bytes lie in another file. That file must be a regular one below the model's directory,
reached through no `..`, no link and no second name (a hard link to a private file passes every test of its path), and
must hold exactly the bytes that the tensor's type and shape ask for. The ONNX checker, onnx_ir and ONNX Runtime each
leave one of these out, so none of them sees a model before this has.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NoReturn

import onnx_ir as ir
from onnx import TensorProto

from graphc.errors import GraphcError

KEYS = frozenset({"location", "offset", "length", "checksum"})


def check_external(tensor: TensorProto, directory: Path) -> None:
    """Raises GraphcError unless `tensor` refers to exactly its bytes in a plain file below `directory`.

    Codes: security/unknown-external-key, security/absolute-path, security/external-path-escape,
    security/symlink-or-hardlink, security/external-range, graph/external-data-missing.
    """
    entries = _entries(tensor)
    location = entries.get("location", "")
    _check_location(tensor, location)
    size = _file_size(tensor, directory, location)
    offset, wanted = _number(tensor, entries, "offset", 0), stored_bytes(tensor)
    length = _number(tensor, entries, "length", wanted)
    if length != wanted:
        _refuse(tensor, f"length {length} is not the {wanted} bytes of its type and shape", "external-range")
    if offset + length > size:
        _refuse(
            tensor,
            f"bytes {offset}..{offset + length} lie outside '{location}' ({size} bytes)",
            "external-range",
        )


def stored_bytes(tensor: TensorProto) -> int:
    """The bytes that the type and shape of a tensor take when stored; packed types share bytes.

    Raises GraphcError (security/external-range) for a negative size or a type without a fixed width.
    """
    dtype = data_type(tensor)
    if any(d < 0 for d in tensor.dims) or dtype == ir.DataType.STRING:
        _refuse(tensor, f"{dtype} of shape {tuple(tensor.dims)} has no size in bytes", "external-range")
    bits: int = math.prod(tensor.dims) * dtype.bitwidth
    return -(-bits // 8)


def data_type(tensor: TensorProto) -> ir.DataType:
    """The element type; raises GraphcError (run/not-a-model) for a number that ONNX does not define."""
    if tensor.data_type == TensorProto.UNDEFINED or tensor.data_type not in TensorProto.DataType.values():
        raise GraphcError(f"tensor '{tensor.name}' has the unknown type {tensor.data_type}", code="run/not-a-model")
    return ir.DataType(tensor.data_type)


def _entries(tensor: TensorProto) -> dict[str, str]:
    entries: dict[str, str] = {}
    for entry in tensor.external_data:
        if entry.key not in KEYS or entry.key in entries:
            problem = "repeated" if entry.key in entries else "unknown"
            _refuse(tensor, f"{problem} external data key '{entry.key}'", "unknown-external-key")
        entries[entry.key] = entry.value
    return entries


def _check_location(tensor: TensorProto, location: str) -> None:
    """The location as a text: relative, downwards, and the same path on every system."""
    if PurePosixPath(location).is_absolute() or PureWindowsPath(location).anchor:
        _refuse(tensor, f"its data lies at the absolute path '{location}'", "absolute-path")
    if not location or "\0" in location or "\\" in location or ".." in PurePosixPath(location).parts:
        _refuse(tensor, f"its data location '{location}' leaves the model's directory", "external-path-escape")


def _file_size(tensor: TensorProto, directory: Path, location: str) -> int:
    """The size of the file at `location`, no step to which is a link."""
    steps = list(_steps(directory, location))
    try:
        states = [os.lstat(step) for step in steps]
    except (FileNotFoundError, NotADirectoryError):
        raise GraphcError(
            f"tensor '{tensor.name}': its data file '{location}' is missing",
            code="graph/external-data-missing",
            hint="copy the data file beside the model",
        ) from None
    except (OSError, ValueError) as error:  # a name that the file system does not accept
        _refuse(tensor, f"its data file '{location}' cannot be read: {error}", "external-path-escape")
    if any(stat.S_ISLNK(state.st_mode) for state in states):
        _refuse(tensor, f"its data file '{location}' is reached through a symbolic link", "symlink-or-hardlink")
    last = states[-1]
    if not stat.S_ISREG(last.st_mode):
        _refuse(tensor, f"its data file '{location}' is no regular file", "external-path-escape")
    if last.st_nlink > 1:
        _refuse(tensor, f"its data file '{location}' has {last.st_nlink} hard links", "symlink-or-hardlink")
    return last.st_size


def _steps(directory: Path, location: str) -> Iterator[Path]:
    step = directory
    for part in PurePosixPath(location).parts:
        step = step / part
        yield step
    if step == directory:  # the location "."
        yield step


def _number(tensor: TensorProto, entries: dict[str, str], key: str, default: int) -> int:
    text = entries.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        _refuse(tensor, f"its {key} '{text[:40]}' is no size", "external-range")
    return int(text)


def _refuse(tensor: TensorProto, problem: str, defect: str) -> NoReturn:
    raise GraphcError(f"tensor '{tensor.name}': {problem}", code=f"security/{defect}")
