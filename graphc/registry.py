"""Discovery of passes, layers and lints through entry points: one door, graphc's own content included.

An entry point names a package or a module. Each module found there, in whatever subpackage, is one entry (its file
stem, in kebab-case, is its name); nothing is imported until it is asked for. Two distributions that claim one name are
an error that names both. A plugin that cannot be imported is a warning, and what it offers is missing, until somebody
asks for it by its name.
"""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from graphc.errors import GraphcError, suggest

PASSES, LAYERS, LINTS, PIPELINES = "graphc.passes", "graphc.layers", "graphc.lints", "graphc.pipelines"
KINDS = {PASSES: "pass", LAYERS: "layer", LINTS: "lint"}  # what one entry of a group is called

T = TypeVar("T")


class PluginWarning(UserWarning):
    """A plugin could not be looked into; what it offers is missing until it is mended."""


@dataclass(frozen=True)
class Entry:
    """One registered module: its kebab-case name, where it is imported from, who ships it, and what is asked of it."""

    name: str
    module: str
    distribution: str
    variable: str

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
        """What the entry point names in the module (`module:NAME`), else what carries the module's own name."""
        found: object = getattr(self.load(), self.variable, None)
        if found is None:
            raise GraphcError(
                f"module {self.module} of {self.distribution} defines no '{self.variable}'",
                code="run/plugin-failed",
                hint="a rewrite or lint carries the name of its file",
            )
        return found


def entries(group: str) -> dict[str, Entry]:
    """Every entry of a group by name, sorted; raises GraphcError on a name that two distributions claim."""
    return _unique(group, ((entry.name, entry, entry) for entry in _offers(group)))


def objects(group: str, of: Callable[[Entry], Mapping[str, T]]) -> dict[str, T]:
    """What the plugins of a group offer, by name, sorted; `of` imports an entry and reads its named objects off it.

    An entry for which `of` raises GraphcError becomes a PluginWarning, and its objects are missing. Raises GraphcError
    on a name that two entries claim.
    """
    return _unique(group, _loaded(group, of))


def find(group: str, name: str) -> Entry:
    """The entry of that name; raises GraphcError with the nearest known name."""
    known = entries(group)
    if name not in known:
        kind = KINDS[group]
        raise GraphcError(f"unknown {kind} '{name}'", code=f"spec/unknown-{kind}", hint=suggest(name, known))
    return known[name]


def _loaded(group: str, of: Callable[[Entry], Mapping[str, T]]) -> Iterator[tuple[str, Entry, T]]:
    """(name, entry, object) for all that can be loaded."""
    for entry in _offers(group):
        try:
            offered = of(entry)
        except GraphcError as error:
            warnings.warn(f"plugin {entry.distribution}: {error.message}", PluginWarning, stacklevel=4)
            continue
        yield from ((name, entry, thing) for name, thing in offered.items())


def _unique(group: str, claims: Iterable[tuple[str, Entry, T]]) -> dict[str, T]:
    """name -> thing, sorted. Raises GraphcError (run/plugin-failed) where two entries claim one name."""
    found: dict[str, tuple[Entry, T]] = {}
    for name, entry, thing in claims:
        if name in found:
            other = found[name][0]
            raise GraphcError(
                f"{group}: '{name}' is claimed by {other.distribution} ({other.module}) "
                f"and by {entry.distribution} ({entry.module})",
                code="run/plugin-failed",
                hint="uninstall one of the two, or rename what one of them offers",
            )
        found[name] = entry, thing
    return {name: thing for name, (_, thing) in sorted(found.items(), key=lambda item: item[0])}


@cache
def _offers(group: str) -> tuple[Entry, ...]:
    """Every module of a group, each once, none of them imported."""
    found: dict[tuple[str, str], Entry] = {}
    for point in entry_points(group=group):
        distribution = point.dist.name if point.dist else "an unnamed distribution"
        for module in _modules(point, distribution):
            stem = module.rpartition(".")[2]
            entry = Entry(kebab(stem), module, distribution, point.attr or stem)
            found.setdefault((entry.module, entry.variable), entry)
    return tuple(found.values())


def _modules(point: EntryPoint, distribution: str) -> Iterator[str]:
    """The dotted path of each module that an entry point offers."""
    try:
        spec = find_spec(point.module)
        if spec is None:
            raise ModuleNotFoundError(f"No module named '{point.module}'")
    except Exception as error:  # finding a submodule imports its parent packages: foreign code
        warnings.warn(
            f"plugin {distribution}: {point.module} cannot be found: {type(error).__name__}: {error}",
            PluginWarning,
            stacklevel=4,
        )
        return
    if point.attr or spec.submodule_search_locations is None:
        yield point.module
        return
    yield from _modules_in(point.module, list(spec.submodule_search_locations))


def _modules_in(package: str, folders: list[str]) -> Iterator[str]:
    """The modules of a package and of the packages in it, which are only folders to keep families apart."""
    for module in pkgutil.iter_modules(folders):
        path = f"{package}.{module.name}"
        if module.ispkg and not module.name.startswith("_"):
            yield from _modules_in(path, [str(Path(folder, module.name)) for folder in folders])
        elif not module.name.startswith("_"):
            yield path


def kebab(stem: str) -> str:
    """`fold_pad_into_conv` -> `fold-pad-into-conv`."""
    return stem.replace("_", "-")
