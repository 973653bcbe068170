"""The device that a subject is to run on, which the settings name."""

from __future__ import annotations

from pathlib import Path

from graphc.analysis.roofline import Device, device
from graphc.linting.lint import NotAsked
from graphc.linting.subject import Subject


def device_of(subject: Subject) -> Device:
    """A shipped profile by its name, or that of a YAML file.

    Raises NotAsked where the settings name none; GraphcError (run/usage) for a name or content that is no profile, and
    what reading the file raises.
    """
    name = subject.settings.device
    if name is None:
        raise NotAsked
    is_file = Path(name).suffix in (".yaml", ".yml")
    path = subject.resolved.path("device", subject.source) if is_file else None
    return device(path or name, subject.limits)
