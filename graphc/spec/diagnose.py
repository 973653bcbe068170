"""Says what pydantic found wrong in graphc's words, at its place in the file.

Pydantic's own text never reaches a user: each of its findings is looked up by type, placed by its path into
the tree that was validated, and given the nearest known name where a name is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from graphc.errors import GraphcError, Where, collect, suggest
from graphc.spec import tree

Model = TypeVar("Model", bound=BaseModel)
Path = tuple[str | int, ...]

REFUSED = "refused"  # the type of a finding that carries a GraphcError in its own words
MAX_SHOWN = 60  # characters of a value that a message quotes

WANTED = {
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "tuple_type": "a list",
    "per_axis_type": "an integer or a list of integers",
    "set_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "null",
    "finite_number": "a finite number",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "spelled like {pattern}",
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: the keys and indices that lead to it in the value, and the error to show."""

    path: Path
    error: GraphcError


def check(
    model: type[Model],
    value: object,
    place: tree.Tree | None = None,
    *,
    owner: str = "",
    unknown: str = "spec/unknown-key",
) -> tuple[Model | None, list[Finding]]:
    """`value` as a `model`, or None and what is wrong. Nothing is coerced: "3" is no integer, 1 is not true.

    `place` is the tree that `value` was read from, `owner` the layer or block whose arguments these are,
    `unknown` the code of a key that the model does not have.
    """
    try:
        return model.model_validate_json(json.dumps(value), strict=True), []
    except ValidationError as error:
        groups = _grouped(value, error.errors(include_url=False))
        return None, [_Words(model, value, place, owner, unknown, group).finding() for group in groups]


def validated(
    model: type[Model],
    value: object,
    place: tree.Tree | None = None,
    *,
    owner: str = "",
    unknown: str = "spec/unknown-key",
) -> Model:
    """As `check`, but raises one GraphcError that carries all findings."""
    found, findings = check(model, value, place, owner=owner, unknown=unknown)
    if found is None:
        errors = [error for finding in findings for error in finding.error.all]
        raise collect(errors, limit=len(errors))
    return found


def _grouped(value: object, errors: Sequence[ErrorDetails]) -> Iterator[tuple[Path, list[ErrorDetails]]]:
    """Findings by place; those of a union's branches that got less far than another are dropped."""
    groups: dict[Path, list[ErrorDetails]] = {}
    for error in errors:
        path = _steps(value, error["loc"])
        key = (*path, error["loc"][-1]) if error["type"] == "missing" else path
        groups.setdefault(key, []).append(error)
    for path, group in groups.items():
        if not any(len(other) > len(path) and other[: len(path)] == path for other in groups):
            yield path, group


def _steps(value: object, loc: Path) -> Path:
    """The part of pydantic's path that exists in the value: no names of union branches, no absent keys."""
    steps: list[str | int] = []
    for step in loc:
        try:
            value = value[step]  # type: ignore[index]  # whether it can be is the question
        except (TypeError, LookupError):
            continue
        steps.append(step)
    return tuple(steps)


class _Words:
    """Everything pydantic says about one place, put into words."""

    def __init__(
        self,
        model: type[BaseModel],
        value: object,
        place: tree.Tree | None,
        owner: str,
        unknown: str,
        group: tuple[Path, list[ErrorDetails]],
    ) -> None:
        self.model, self.value, self.place, self.owner, self.unknown = model, value, place, owner, unknown
        self.path, self.errors = group
        self.first = self.errors[0]

    def finding(self) -> Finding:
        """The finding as a user reads it."""
        about_key = self.first["type"] == "extra_forbidden" or self.first["loc"][-1:] == ("[key]",)
        where = located(self.place, self.path, key=about_key) if self.place else None
        if self.first["type"] == REFUSED:
            refusal: GraphcError = self.first["ctx"]["error"]
            for error in refusal.all:
                error.where = where
            return Finding(self.path, refusal)
        code, message, hint = self._message()
        prefix = f"{self.owner}: " if self.owner else ""
        return Finding(self.path, GraphcError(prefix + message, code=code, where=where, hint=hint))

    def _message(self) -> tuple[str, str, str]:
        name = ".".join(str(step) for step in self.path) or "this"
        kind = self.unknown.rpartition("unknown-")[2]
        match self.first["type"]:
            case "extra_forbidden":
                last = str(self.path[-1])
                if other := self._twin(last):
                    names = " and ".join(f"'{each}'" for each in sorted((other, last), key=len))
                    return "spec/duplicate-key", f"{names} are one parameter, given twice", "remove one of the two"
                known = [name for m in self._models() for name in spelled(m)]
                return self.unknown, f"unknown {kind} '{last}'", suggest(last, known)
            case "missing":
                return "spec/missing-argument", f"'{name}' is required", ""
            case "value_error":
                return "spec/bad-value", f"'{name}' {self.first['ctx']['error']}", ""
        wanted = " or ".join(dict.fromkeys(_wanted(error) for error in self.errors))
        return self._code(), f"'{name}' must be {wanted}, not {self._shown()}", self._hint()

    def _models(self) -> list[type[BaseModel]]:
        """The models that may stand at the place of the finding's key."""
        models = [self.model]
        for step in self.first["loc"][:-1]:
            inner = [_field(m, step) for m in models]
            if any(annotation is not None for annotation in inner):
                models = [m for annotation in inner for m in _models(annotation)]
        return models

    def _twin(self, key: str) -> str | None:
        """The other spelling of a parameter, `k` for `kernel`, where the mapping has that too."""
        given: Any = self.value
        for step in self.path[:-1]:
            given = given[step]
        for name, field in (pair for m in self._models() for pair in m.model_fields.items()):
            if field.alias and key in (name, field.alias):
                other = field.alias if key == name else name
                return other if other in given else None
        return None

    def _code(self) -> str:
        integers = ("int_type", "int_from_float", "per_axis_type")
        if self.first["type"] in integers and isinstance(self.first["input"], float):
            return "spec/non-integral"
        is_type = all(error["type"].endswith(("_type", "_parsing")) for error in self.errors)
        return "spec/bad-type" if is_type else "spec/bad-value"

    def _hint(self) -> str:
        """The nearest of a fixed set of words."""
        expected = [error["ctx"]["expected"] for error in self.errors if error["type"] == "literal_error"]
        if not expected or not isinstance(self.first["input"], str):
            return ""
        hint = suggest(self.first["input"], [word for text in expected for word in text.split("'")[1::2]])
        return hint if hint.startswith("did") else ""

    def _shown(self) -> str:
        source = _at(self.place, self.path) if self.place else None
        text = shown(self.first["input"])
        written = source.value if isinstance(source, tree.ScalarNode) else None
        return f"{text} ('{written}')" if isinstance(written, str) and written.startswith("=") else text


def _wanted(error: ErrorDetails) -> str:
    bounds = error.get("ctx", {})
    plain = {key: int(b) if isinstance(b, float) and b.is_integer() else b for key, b in bounds.items()}
    return WANTED.get(error["type"], "of another kind").format(**plain)


def shown(value: object) -> str:
    """A value for a message, as YAML would write it, cut short."""
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else f"'{value}'"
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."


def _at(place: tree.Tree, path: Path) -> tree.Tree:
    """The subtree at `path`, or the deepest one on the way: an expression has no parts of its own."""
    for step in path:
        if isinstance(place, tree.MappingNode) and step in place.entries:
            place = place.entries[str(step)]
        elif isinstance(place, tree.SequenceNode) and isinstance(step, int):
            place = place.items[step]
        else:
            break
    return place


def located(place: tree.Tree, path: Path, *, key: bool = False) -> Where:
    """The place of the value at `path`, or of its key."""
    if key and path:
        parent = _at(place, path[:-1])
        if isinstance(parent, tree.MappingNode) and path[-1] in parent.keys:
            return parent.keys[str(path[-1])]
    return _at(place, path).where


def spelled(model: type[BaseModel]) -> list[str]:
    """The names of a model's fields as a spec spells them."""
    by_name = model.model_config.get("populate_by_name", False)
    return [name if by_name or not field.alias else field.alias for name, field in model.model_fields.items()]


def _field(model: type[BaseModel], step: str | int) -> Any:
    fields: Mapping[str, Any] = model.model_fields
    found = [f.annotation for name, f in fields.items() if step in (name, f.alias)]
    return found[0] if found else None


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model that a field's annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
