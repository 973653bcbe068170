"""The process in which files are linted: onnx and ONNX Runtime meet untrusted models only here."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter

from graphc.errors import GraphcError
from graphc.limits import Limits
from graphc.linting.engine import Examined, examine, require_selectors
from graphc.linting.finding import Finding
from graphc.linting.lint import lints
from graphc.linting.settings import Layer, Settings
from graphc.registry import PluginWarning

FINDING = TypeAdapter(Finding)
_broken: list[str] = []  # plugins, met while the lints were imported


def prepare() -> None:
    """Import every lint."""
    with warnings.catch_warnings(record=True, action="always", category=PluginWarning) as broken:
        lints()
    _broken.extend(_of_plugins(broken))


def _of_plugins(caught: Iterable[warnings.WarningMessage]) -> list[str]:
    """What was said of plugins; other warnings are recorded with it."""
    return [str(each.message) for each in caught if issubclass(each.category, PluginWarning)]


def main(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Lint one file after the other.

    Says {"error": {message, code, hint}} of settings that name no lint, and nothing more. Else {"look": lint} before
    each look, {"finding": ...} as each comes, and at the end of a file {"done": [findings], "suppressed": n, "looked":
    [lints], "plugins": [warnings]}, with what went wrong with plugins until then.
    """
    limits = Limits(**request["limits"])
    with warnings.catch_warnings(record=True, action="always", category=PluginWarning) as broken:
        for job in request["jobs"]:
            try:
                require_selectors(_layers(job))
            except GraphcError as error:
                yield {"error": {"message": error.message, "code": error.code, "hint": error.hint}}
                return
            for step in examine(job["source"], _layers(job), limits, frozenset(job["skip"])):
                if isinstance(step, str):
                    yield {"look": step}
                elif isinstance(step, Examined):
                    yield {**_done(step), "plugins": [*_broken, *_of_plugins(broken)]}
                else:
                    yield {"finding": FINDING.dump_python(step, mode="json")}


def _layers(job: Mapping[str, Any]) -> list[Layer]:
    return [Layer(each["origin"], Settings.model_validate(each["settings"])) for each in job["layers"]]


def _done(step: Examined) -> dict[str, Any]:
    told = [FINDING.dump_python(each, mode="json") for each in step.findings]
    return {"done": told, "suppressed": step.suppressed, "looked": sorted(step.looked)}


def job(source: str, layers: list[Layer], skip: frozenset[str]) -> dict[str, Any]:
    """What `main` is asked for one file, less these lints."""
    said = [
        {
            "origin": each.origin,
            "settings": each.settings.model_dump(mode="json", by_alias=True, exclude_unset=True),
        }
        for each in layers
    ]
    return {"source": source, "layers": said, "skip": sorted(skip)}
