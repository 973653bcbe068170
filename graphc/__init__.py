"""graphc: a declarative graph compiler that knows what training costs. The public names, loaded when first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphc.axis import Axis, Phases
    from graphc.building import Compilation, compile
    from graphc.cases import Case, CaseBuilder, Neighbour, neighbours
    from graphc.convolution import Convolution, read_convolution, transpose_filter
    from graphc.errors import GraphcError, Note, Where
    from graphc.limits import Limits
    from graphc.linting import Finding, Lint, findings, lint, lints, views
    from graphc.model import load, save
    from graphc.pipeline import Pipeline, Record, Step
    from graphc.rewriting import Rewrite, require, rewrite, waive
    from graphc.runtime.equivalence import Report, check
    from graphc.runtime.tolerance import Tolerance
    from graphc.spec import Network, build, expand
    from graphc.spec.emit import Emitter
    from graphc.spec.layers import Field, Layer
    from graphc.tape import Tape
    from graphc.view import Refusal, View, constant

__version__ = "0.1.0"

_HOMES = {
    "graphc.axis": ("Axis", "Phases"),
    "graphc.building": ("Compilation", "compile"),
    "graphc.cases": ("Case", "CaseBuilder", "Neighbour", "neighbours"),
    "graphc.convolution": ("Convolution", "read_convolution", "transpose_filter"),
    "graphc.errors": ("GraphcError", "Note", "Where"),
    "graphc.limits": ("Limits",),
    "graphc.linting": ("Finding", "Lint", "findings", "lint", "lints", "views"),
    "graphc.model": ("load", "save"),
    "graphc.pipeline": ("Pipeline", "Record", "Step"),
    "graphc.rewriting": ("Rewrite", "require", "rewrite", "waive"),
    "graphc.runtime.equivalence": ("Report", "check"),
    "graphc.runtime.tolerance": ("Tolerance",),
    "graphc.spec": ("Network", "build", "expand"),
    "graphc.spec.emit": ("Emitter",),
    "graphc.spec.layers": ("Field", "Layer"),
    "graphc.tape": ("Tape",),
    "graphc.view": ("Refusal", "View", "constant"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # noqa: PLE0605 - derived from the one table above


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'graphc' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
