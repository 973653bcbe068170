"""Discovery of passes, layers and lints through entry points: one door, graphc's own content included.

An entry point names a package or a module. Each module found there is one entry (its file stem, in kebab-case,
is its name); nothing is imported until it is asked for. Two distributions that claim one name are an error that
names both. A plugin that cannot be imported is a warning until something asks for it by name.
"""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from types import ModuleType

from graphc.errors import GraphcError, suggest

PASSES, LAYERS, LINTS, PIPELINES = "graphc.passes", "graphc.layers", "graphc.lints", "graphc.pipelines"
KINDS = {PASSES: "pass", LAYERS: "layer", LINTS: "lint"}  # what one entry of a group is called


class PluginWarning(UserWarning):
    """A plugin could not be looked into; what it offers is missing until it is mended."""


@dataclass(frozen=True)
class Entry:
    """One registered module: its kebab-case name, where it is imported from, and who ships it."""

    name: str
    module: str
    distribution: str

    def load(self) -> ModuleType:
        """Import the module. Raises GraphcError (run/plugin-failed) when that fails, whatever the plugin raised."""
        try:
            return importlib.import_module(self.module)
        except GraphcError:
            raise
        except Exception as error:  # a plugin's import runs foreign code: it may raise anything
            raise GraphcError(
                f"'{self.name}' of {self.distribution} cannot be loaded: {type(error).__name__}: {error}",
                code="run/plugin-failed",
                hint=f"mend or uninstall {self.distribution}",
            ) from error

    def attribute(self) -> object:
        """The object of the module that carries the module's own name (file stem = registry name)."""
        stem = self.module.rpartition(".")[2]
        found: object = getattr(self.load(), stem, None)
        if found is None:
            raise GraphcError(
                f"module {self.module} of {self.distribution} defines no '{stem}'",
                code="run/plugin-failed",
                hint="a rewrite or lint carries the name of its file",
            )
        return found


@cache
def entries(group: str) -> dict[str, Entry]:
    """Every entry of a group by name, sorted; raises GraphcError on a name that two distributions claim."""
    found: dict[str, Entry] = {}
    for point in entry_points(group=group):
        distribution = point.dist.name if point.dist else "an unnamed distribution"
        for name, module in _modules(point, distribution):
            other = found.get(name)
            if other and other.module != module:
                raise GraphcError(
                    f"{group}: '{name}' is claimed by {other.distribution} ({other.module}) "
                    f"and by {distribution} ({module})",
                    code="run/plugin-failed",
                    hint="uninstall one of the two, or rename the module of one",
                )
            found[name] = Entry(name, module, distribution)
    return dict(sorted(found.items()))


def find(group: str, name: str) -> Entry:
    """The entry of that name; raises GraphcError with the nearest known name."""
    known = entries(group)
    if name not in known:
        kind = KINDS[group]
        raise GraphcError(f"unknown {kind} '{name}'", code=f"spec/unknown-{kind}", hint=suggest(name, known))
    return known[name]


def _modules(point: EntryPoint, distribution: str) -> Iterator[tuple[str, str]]:
    """(kebab-case stem, dotted path) of each module an entry point offers."""
    try:
        spec = find_spec(point.module)
        if spec is None:
            raise ModuleNotFoundError(f"No module named '{point.module}'")
    except Exception as error:  # finding a submodule imports its parent packages: foreign code
        warnings.warn(
            f"plugin {distribution}: {point.module} cannot be found: {type(error).__name__}: {error}",
            PluginWarning,
            stacklevel=3,
        )
        return
    if spec.submodule_search_locations is None:
        yield kebab(point.module.rpartition(".")[2]), point.module
        return
    for module in pkgutil.iter_modules(spec.submodule_search_locations):
        if not module.name.startswith("_"):
            yield kebab(module.name), f"{point.module}.{module.name}"


def kebab(stem: str) -> str:
    """`fold_pad_into_conv` -> `fold-pad-into-conv`."""
    return stem.replace("_", "-")
