"""The process in which files are linted: onnx and ONNX Runtime meet untrusted models only here."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graphc.errors import GraphcError
from graphc.limits import Limits
from graphc.linting.engine import examine, require_selectors
from graphc.linting.lint import lints
from graphc.linting.messages import FINDING, Examined, layers_of
from graphc.registry import PluginWarning

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
    """Lint one file after the other; `messages` tells what is asked and what is said."""
    limits = Limits(**request["limits"])
    with warnings.catch_warnings(record=True, action="always", category=PluginWarning) as broken:
        for job in request["jobs"]:
            try:
                require_selectors(layers_of(job))
            except GraphcError as error:
                yield {"error": {"message": error.message, "code": error.code, "hint": error.hint}}
                return
            for step in examine(job["source"], layers_of(job), limits, frozenset(job["skip"])):
                if isinstance(step, str):
                    yield {"look": step}
                elif isinstance(step, Examined):
                    yield {**_done(step), "plugins": [*_broken, *_of_plugins(broken)]}
                else:
                    yield {"finding": FINDING.dump_python(step, mode="json")}


def _done(step: Examined) -> dict[str, Any]:
    told, quiet = (
        [FINDING.dump_python(each, mode="json") for each in findings] for findings in (step.findings, step.suppressed)
    )
    return {"done": told, "suppressed": quiet, "looked": sorted(step.looked)}
