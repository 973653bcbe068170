"""YAML files that graphc ships and users write too, targets and devices: one by its name, or the file of one."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from graphc.errors import GraphcError, suggest
from graphc.limits import Limits
from graphc.spec.document import read
from graphc.spec.tree import plain

M = TypeVar("M", bound=BaseModel)


def files(folder: Path) -> dict[str, Path]:
    """The files of a folder that can be asked for by name: name -> file."""
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def is_file(name: str | Path) -> bool:
    """Whether this is the name of a YAML file, and not of one that graphc ships."""
    return Path(name).suffix in (".yaml", ".yml")


def path_of(name: str | Path, folder: Path, kind: str, code: str) -> Path:
    """A YAML file, or that of a shipped name. Raises GraphcError (`code`) for an unknown name."""
    if is_file(name):
        return Path(name)
    known = files(folder)
    if str(name) not in known:
        raise GraphcError(f"unknown {kind} '{name}'", code=code, hint=suggest(str(name), known))
    return known[str(name)]


def read_as(model: type[M], path: Path, limits: Limits, *, kind: str, hint: str) -> M:
    """What a file says, as that model. Raises GraphcError: run/usage for other content, and what reading it raises."""
    try:
        return model.model_validate(plain(read(path, limits)))
    except ValidationError as error:
        place, problem = first_problem(error)
        raise GraphcError(f"{path.name} is no {kind}: '{place}' {problem}", code="run/usage", hint=hint) from None


def first_problem(error: ValidationError) -> tuple[str, str]:
    """The first thing that is wrong: where, with dots between the steps, and what."""
    first = error.errors()[0]
    return ".".join(map(str, first["loc"])), first["msg"].lower()
