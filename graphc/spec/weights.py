"""Fills a network's parameters: from initialisation schemes, or from a file of trained weights.

    weights: {init: he_normal, seed: 1}
    weights: {npz: can32.npz, sha256: "..."}
    weights: {safetensors: vgg.safetensors, map: {"block1/*": "features.*"}}

A file's tensors go by the parameters' paths; `/` and `.` count as the same. `map` gives other names: one
parameter's path and its name in the file, or a prefix of each, both ending in `*`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import onnx_ir as ir
from pydantic import BaseModel, ConfigDict, Field, model_validator

from graphc.errors import GraphcError, Where, collect, suggest
from graphc.limits import DEFAULT, Limits
from graphc.spec.parameters import PER_LAYER, PRECISIONS, Init, Parameter, initialise
from graphc.spec.project import Sha256, check_sha256, contained
from graphc.spec.weight_files import READERS, Array, Stored, open_weights


class Weights(BaseModel):
    """Where the values of the parameters come from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    init: Init = Field(
        default=PER_LAYER,
        description="initialisation of filters: a name, or {name: number}; or each layer's own",
    )
    seed: int = Field(default=0, ge=0, description="the same seed gives the same values")
    npz: str | None = Field(default=None, description="file of numpy.savez, relative to this spec")
    safetensors: str | None = Field(default=None, description="safetensors file, relative to this spec")
    onnx: str | None = Field(default=None, description="ONNX model whose initializers are taken, relative to this spec")
    map: dict[str, str] = Field(default={}, description="parameter path: name in the file; or a prefix* of each")
    strict: bool = Field(default=True, description="every parameter is in the file, and nothing else is")
    sha256: Sha256 | None = Field(default=None, description="SHA-256 of the file")

    @model_validator(mode="after")
    def _one_file(self) -> Weights:
        given = [kind for kind in READERS if getattr(self, kind) is not None]
        if len(given) > 1:
            raise ValueError(f"takes one file, not {' and '.join(given)}")
        if not given and (self.map or self.sha256):
            raise ValueError("has 'map' or 'sha256', but no file they could be about")
        for pattern, name in self.map.items():
            if pattern.endswith("*") != name.endswith("*"):
                raise ValueError(f"maps '{pattern}' to '{name}': both end in '*', or neither")
        return self

    @property
    def file(self) -> tuple[str, str] | None:
        """(kind, name) of the file, if there is one."""
        return next(((kind, name) for kind in READERS if (name := getattr(self, kind)) is not None), None)


def fill(
    parameters: Iterable[Parameter],
    weights: Weights,
    *,
    root: Path,
    project: Path,
    limits: Limits = DEFAULT,
    seed: int | None = None,
    where: Where | None = None,
) -> None:
    """Set `value.const_value` of every parameter, in the value's type.

    File names are relative to `root`, the spec's folder, and must lie in `project`, the project's. `seed` overrides
    `weights.seed`; `where` is the place of `weights:`, for errors. Raises GraphcError: run/file-not-found,
    spec/import-escapes-project, security/hash-mismatch, spec/weight-missing, spec/weight-shape, spec/weight-type,
    spec/weight-unexpected, spec/unknown-name (in `map`), spec/bad-value (an initialisation), numerics/fp16-overflow,
    spec/limit-exceeded, and what `weight_files.open_weights` raises. Errors of single weights are reported together.
    """
    wanted = {parameter.path: parameter for parameter in parameters}
    try:
        check_size(wanted.values(), limits)
        loaded = _load(wanted, weights, root, project, limits)
        for path, parameter in wanted.items():
            values = loaded.get(path)
            if values is None:
                values = initialise(parameter, weights.init, weights.seed if seed is None else seed)
            parameter.value.const_value = _tensor(parameter, values)
    except GraphcError as error:
        for each in error.all:
            each.where = each.where or where
        raise


def check_size(parameters: Iterable[Parameter], limits: Limits) -> None:
    """Raises GraphcError (spec/limit-exceeded) for parameters that take more bytes than weights may."""
    size = sum(math.prod(parameter.shape) * _dtype(parameter).bitwidth // 8 for parameter in parameters)
    if size > limits.weight_bytes:
        raise GraphcError(
            f"the parameters take {size} bytes, more than the limit of {limits.weight_bytes}",
            code="spec/limit-exceeded",
            hint="make the network smaller, or raise the limit weight-bytes",
        )


def _dtype(parameter: Parameter) -> ir.DataType:
    assert parameter.value.dtype is not None  # the emitter gives every parameter its type
    return parameter.value.dtype


def _tensor(parameter: Parameter, array: Array) -> ir.Tensor[Array]:
    """The values in the parameter's type. Raises GraphcError when float16 cannot hold them."""
    dtype = _dtype(parameter)
    with np.errstate(over="ignore"):  # told below, with the parameter's name
        values = array.astype(dtype.numpy(), copy=False)
    if dtype is ir.DataType.FLOAT16 and np.isinf(values).sum() > np.isinf(array).sum():
        raise GraphcError(
            f"{parameter.path}: float16 cannot hold values as large as {np.abs(array).max():g}",
            code="numerics/fp16-overflow",
            hint="use bf16 or fp32",
        )
    return ir.Tensor(values, dtype=dtype, name=parameter.value.name)


# ---------------------------------------------------------------- files


def _load(
    wanted: Mapping[str, Parameter], weights: Weights, root: Path, project: Path, limits: Limits
) -> dict[str, Array]:
    """Parameter path: its array in the file, if there is one. Raises GraphcError with all misfits."""
    if weights.file is None:
        return {}
    kind, name = weights.file
    file = _located(name, root, project)
    if weights.sha256:
        check_sha256(file, weights.sha256, where=None)
    with open_weights(kind, file, limits) as stored:
        names = _names(wanted, weights.map, stored)
        errors = [e for path, n in names.items() if n in stored and (e := _misfit(wanted[path], stored[n], file))]
        if weights.strict:
            errors += _missing(names, stored, file) + _unexpected(names, stored, file)
        if errors:
            raise collect(errors)
        return {path: stored[n].read() for path, n in names.items() if n in stored}


def _located(name: str, root: Path, project: Path) -> Path:
    """The file that a spec names, links followed."""
    real = contained(root / name, project, name)
    if not real.is_file():
        raise GraphcError(f"there is no weight file '{name}'", code="run/file-not-found", hint="check the path")
    return real


def _names(wanted: Iterable[str], renames: Mapping[str, str], stored: Mapping[str, Stored]) -> dict[str, str]:
    """Parameter path: name in the file, whether the file has it or not."""
    paths = sorted(wanted)
    for pattern in renames:
        if not any(_matches(path, pattern) for path in paths):
            raise GraphcError(
                f"map: there is no parameter '{pattern}'",
                code="spec/unknown-name",
                hint=suggest(pattern, paths),
            )
    dotted = {name.replace("/", "."): name for name in stored}
    names = {path: _renamed(path, renames) for path in paths}
    return {path: name if name in stored else dotted.get(name.replace("/", "."), name) for path, name in names.items()}


def _matches(path: str, pattern: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


def _renamed(path: str, renames: Mapping[str, str]) -> str:
    """The name that the longest pattern gives, else the path."""
    pattern = max((p for p in renames if _matches(path, p)), key=lambda p: (p == path, len(p)), default=None)
    if pattern is None:
        return path
    name = renames[pattern]
    return name[:-1] + path[len(pattern) - 1 :] if pattern.endswith("*") else name


def _misfit(parameter: Parameter, stored: Stored, file: Path) -> GraphcError | None:
    """What keeps a stored tensor from being the parameter's value."""
    dtype = _dtype(parameter)
    if stored.shape != parameter.shape:
        return GraphcError(
            f"{parameter.path} has shape {parameter.shape}, but {stored.shape} in {file.name}",
            code="spec/weight-shape",
            hint="the file is of another variant of the network, or 'map' pairs the wrong names",
        )
    if stored.dtype != dtype and not {stored.dtype, dtype} <= {*PRECISIONS.values()}:
        return GraphcError(
            f"{parameter.path} is {dtype.name}, but {stored.dtype.name} in {file.name}",
            code="spec/weight-type",
            hint=f"store it as {dtype.name.lower()}: a conversion here could lose digits unseen",
        )
    return None


def _missing(names: Mapping[str, str], stored: Mapping[str, Stored], file: Path) -> list[GraphcError]:
    return [
        GraphcError(
            f"{path} is not in {file.name}" + (f" as '{name}'" if name != path else ""),
            code="spec/weight-missing",
            hint=suggest(name, stored),
        )
        for path, name in names.items()
        if name not in stored
    ]


def _unexpected(names: Mapping[str, str], stored: Mapping[str, Stored], file: Path) -> list[GraphcError]:
    taken = set(names.values())
    return [
        GraphcError(
            f"'{name}' of {file.name} is no parameter of the network",
            code="spec/weight-unexpected",
            hint="pair it in 'map', or allow it with 'strict: false'",
        )
        for name in stored
        if name not in taken
    ]
