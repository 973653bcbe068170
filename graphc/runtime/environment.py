"""What graphc runs on: for `graphc env` and bug reports. No paths, host or user names."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from graphc.runtime.session import providers


def environment() -> dict[str, Any]:
    """Versions of graphc, Python and each runtime dependency (None: not installed), providers, machine.

    `cpus` is the number of logical CPUs that this process may use.
    """
    return {
        "graphc": _version("graphc"),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _dependencies()},
        "providers": list(providers()),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


def _dependencies() -> list[str]:
    """The names that graphc's own metadata requires at run time, extras left out."""
    needed = [line for line in requires("graphc") or () if "extra ==" not in line]
    return sorted(match[0] for line in needed if (match := re.match(r"[\w.-]+", line)))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
