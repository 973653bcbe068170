"""Which lints look, how strictly, and where each setting came from.

    flags  >  the nearest graphc.toml, or [tool.graphc.lint] of a pyproject.toml  >  the spec's `lint:`  >  defaults

A later layer replaces a setting of an earlier one; budgets, severities and ignores by node are merged key by key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from graphc.errors import GraphcError, Where, suggest
from graphc.linting.finding import Severity
from graphc.spec import lint_language
from graphc.spec.quantities import DimOrSize, Section

FILES = ("graphc.toml", "pyproject.toml")
CONFIG_BYTES = 1 << 20
COMMAND_LINE = "the command line"  # whose settings go before all others
FailOn = Severity | Literal["never"]


class Settings(lint_language.Lint):
    """Everything that can be set about a lint run: what a spec's `lint:` says, and what only a project can say."""

    extend_select: list[str] = Field([], alias="extend-select", description="lints or categories besides")
    fail_on: FailOn = Field("error", alias="fail-on", description="exit code 1 from this severity on")
    target: str | None = Field(
        None, description="a target that graphc ships, the file of one, ort-cpu, ort-cuda, or one of the spec's own"
    )
    baseline: str | None = Field(None, description="file of findings that are known, relative to the config file")
    run: bool = Field(False, description="run the model too: measured latencies, numerics")
    dims: dict[str, DimOrSize] = Field({}, description="ranges or sizes of symbolic dims, before a model's own")
    device: str | None = Field(None, description="a device that graphc ships, or the profile of one")
    cost_baseline: str | None = Field(
        None, alias="cost-baseline", description="what `graphc cost --format json` printed, or a folder of such files"
    )
    cost_tolerance: float = Field(
        0.0, ge=0, alias="cost-tolerance", description="percent by which costs may exceed the baseline"
    )

    def merged(self, over: Settings) -> Settings:
        """These settings with those that `over` sets."""
        changed: dict[str, Any] = {}
        for name in over.model_fields_set:
            old, new = getattr(self, name), getattr(over, name)
            if isinstance(new, Section):
                new = old.model_copy(update={key: getattr(new, key) for key in new.model_fields_set})
            changed[name] = {**old, **new} if isinstance(new, dict) else new
        return self.model_copy(update=changed)


DEFAULTS = Settings()


@dataclass(frozen=True)
class Layer:
    """Settings from one place: `origin` names it ("the command line", "pyproject.toml", "net.yaml")."""

    origin: str
    settings: Settings


@dataclass(frozen=True)
class Resolved:
    """The settings of one file, and which layer set each of them."""

    settings: Settings = DEFAULTS
    origins: Mapping[str, str] = field(default_factory=dict)

    def path(self, name: str, source: str) -> Path | None:
        """The file that a setting names: from the folder of the config file or the spec that says it, or from here."""
        value: str | None = getattr(self.settings, name)
        if value is None:
            return None
        origin = self.origins.get(name, "")
        if origin == COMMAND_LINE:
            return Path(value)
        return (Path(origin) if Path(origin).name in FILES else Path(source)).parent / value

    def rows(self) -> Iterator[tuple[str, Any, str]]:
        """Each setting by the name that files use, its value, and where that came from."""
        for name, declared in Settings.model_fields.items():
            value = getattr(self.settings, name)
            shown = declared.alias or name
            parts = dict(value) if isinstance(value, Section) else value
            if not isinstance(parts, dict):
                yield shown, value, self.origins.get(name, "default")
                continue
            for key, part in parts.items():
                if f"{name}.{key}" in self.origins or part is not None:
                    yield f"{shown}.{key.replace('_', '-')}", part, self.origins.get(f"{name}.{key}", "default")


def resolve(layers: Iterable[Layer]) -> Resolved:
    """The settings that these layers make, the weakest first."""
    settings, origins = DEFAULTS, {}
    for layer in layers:
        settings = settings.merged(layer.settings)
        for name in layer.settings.model_fields_set:
            value = getattr(layer.settings, name)
            keys = value.model_fields_set if isinstance(value, Section) else value
            parts = [f"{name}.{key}" for key in keys] if isinstance(value, dict | Section) else [name]
            origins.update(dict.fromkeys(parts, layer.origin))
    return Resolved(settings, origins)


def of_spec(lint: lint_language.Lint, file: str) -> Layer:
    """What a spec says under `lint:`."""
    set_there = {name: getattr(lint, name) for name in lint.model_fields_set}
    return Layer(file, DEFAULTS.model_copy(update=set_there))


def nearest(path: Path) -> Layer | None:
    """The settings of the nearest config file at or above a file, if any says something.

    Raises GraphcError (run/usage) for one that cannot be read or says what cannot be set.
    """
    directory = path.resolve().parent
    for folder in (directory, *directory.parents):
        for name in FILES:
            file = folder / name
            if file.is_file():
                section = _section(file)
                if section is not None:
                    return Layer(str(file), checked(section, str(file)))
    return None


def _section(file: Path) -> Mapping[str, Any] | None:
    """`[lint]` of a graphc.toml, `[tool.graphc.lint]` of a pyproject.toml."""
    try:
        with file.open("rb") as stream:
            text = stream.read(CONFIG_BYTES).decode("utf-8")
        found: Any = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise GraphcError(f"{file} cannot be read: {error}", code="run/usage", where=Where(str(file))) from None
    for key in ("lint",) if file.name == FILES[0] else ("tool", "graphc", "lint"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def checked(values: Mapping[str, Any], origin: str) -> Settings:
    """Settings from plain values. Raises GraphcError (run/usage) for an unknown one or a wrong value."""
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        steps = [str(step) for step in first["loc"] if "[" not in str(step)]  # no branches of a union
        unknown = first["type"] == "extra_forbidden"
        section = lint_language.Budgets if steps[0] == "budgets" and len(steps) > 1 else Settings
        known = [each.alias or key for key, each in section.model_fields.items()]
        what = first["msg"].removeprefix("Value error, ").replace("Input should", "must")
        raise GraphcError(
            f"unknown setting '{'.'.join(steps)}'" if unknown else f"setting '{'.'.join(steps)}' {what}",
            code="run/usage",
            where=Where(origin),
            hint=suggest(steps[-1], known) if unknown else "",
        ) from None
