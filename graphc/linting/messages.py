"""What a run and the process that lints for it say to each other; `child` is the other end.

    {"limits": ..., "jobs": [{"source", "layers": [{"origin", "settings"}], "skip": [lints]}]}

is asked. Of each file is said {"look": lint} before each look, {"finding": ...} as each comes, and at the end {"done":
[findings], "suppressed": [findings], "looked": [lints], "plugins": [warnings]}, with what went wrong with plugins until
then; of settings that name no lint {"error": {message, code, hint}}, and nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from graphc.linting.finding import Finding
from graphc.linting.settings import Layer, Settings

READING = "reading"  # what the readers do before any lint looks
FINDING = TypeAdapter(Finding)


@dataclass(frozen=True)
class Examined:
    """What is told of one file, in its order, what its suppressions keep quiet, and which lints looked."""

    findings: tuple[Finding, ...]
    suppressed: tuple[Finding, ...] = ()
    looked: frozenset[str] = frozenset()


def job(source: str, layers: list[Layer], skip: frozenset[str]) -> dict[str, Any]:
    """What is asked of one file, less the lints to `skip`."""
    said = [
        {
            "origin": each.origin,
            "settings": each.settings.model_dump(mode="json", by_alias=True, exclude_unset=True),
        }
        for each in layers
    ]
    return {"source": source, "layers": said, "skip": sorted(skip)}


def layers_of(job: Mapping[str, Any]) -> list[Layer]:
    """The layers of settings of a job."""
    return [Layer(each["origin"], Settings.model_validate(each["settings"])) for each in job["layers"]]
