"""Turns one spec file into a module: parameters bound, sections evaluated and checked, imports loaded.

What is wrong in one section does not hide what is wrong in another: a section that fails is left out and its names
are marked, so that what depends on them is not reported as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as MappingLike
from contextlib import contextmanager
from dataclasses import dataclass, field

from graphc.errors import GraphcError, Note, Where, suggest
from graphc.spec.diagnose import Finding, check, shown
from graphc.spec.document import parse
from graphc.spec.language import VERSION, Dim, Import, Spec
from graphc.spec.problems import Problems
from graphc.spec.project import Opened, Project, check_sha256, split_variant
from graphc.spec.scope import POISON, DynamicDim, Frame, Functions, Poisoned, placed, value_of
from graphc.spec.tree import Mapping, Scalar, Tree, plain

COMMAND_LINE = Where("<command line>")
EVALUATED = frozenset("imports dims weights train targets passes lint".split())  # may hold =expressions
UNEVALUATED = frozenset(("nodes", "losses"))  # bodies inside `train`: evaluated when they are expanded
OPTIONAL = frozenset("imports blocks targets weights passes lint train variants name doc license source".split())


@dataclass
class Module:
    """One spec that can be expanded. `path` is what its weights are named under when another spec imports it."""

    spec: Spec
    tree: Mapping
    variables: dict[str, object]
    path: str = ""
    declared: Import | None = None
    imports: dict[str, Module] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()  # blocks and imports that were refused

    @property
    def dims(self) -> dict[str, Dim]:
        """The symbolic dimensions."""
        return self.spec.dims

    def section(self, *keys: str) -> Tree:
        """The tree of a section that is there."""
        tree: Tree = self.tree
        for key in keys:
            assert isinstance(tree, Mapping)
            tree = tree.entries[key]
        return tree


class Loader:
    """Loads modules, and the modules that they import."""

    def __init__(self, project: Project, problems: Problems) -> None:
        self.project, self.problems = project, problems

    def load(
        self,
        tree: Mapping,
        opened: Opened | None,
        *,
        variant: str | None = None,
        overrides: MappingLike[str, object] | None = None,
        shapes: MappingLike[str, Dim] | None = None,
        path: str = "",
        declared: Import | None = None,
        notes: Sequence[Note] = (),
    ) -> Module | None:
        """The module of a tree, or None if too much of it is wrong; what is wrong is in `problems`."""
        before = len(self.problems)
        with self._reporting(notes):
            _check_version(tree)
            values, broken = self._given(tree, variant, overrides or {}, path)
        ...


def _check_version(tree: Mapping) -> None:
    version = tree.get("graphc")
    if isinstance(version, Scalar) and isinstance(version.value, int) and version.value > VERSION:
        raise GraphcError(
            f"this spec is written in version {version.value} of the language, and this graphc reads {VERSION}",
            code="spec/unsupported-version",
            where=version.where,
            hint="upgrade graphc",
        )
