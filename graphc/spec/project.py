"""Finds and reads the files of one project: the spec, what it extends, and what it imports.

A spec may only name files inside its project: the nearest directory at or above it that holds `.git`,
`pyproject.toml` or `graphc.toml`, or its own directory where there is none. Links are followed first.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from graphc.errors import GraphcError, Note, Where
from graphc.limits import Limits
from graphc.naming import split_variant
from graphc.spec.document import read
from graphc.spec.tree import MappingNode, ScalarNode, Tree

MARKERS = (".git", "pyproject.toml", "graphc.toml")
CHOICES = ("optimizer", "weights")  # one of several keys: merging two of them would ask for both
SHA256 = "[0-9a-fA-F]{64}"
MAX_FILES = 256  # imports of imports, each counted as often as it is named


def root_of(path: Path) -> Path:
    """The project that a spec belongs to, links resolved."""
    directory = Path(os.path.realpath(path)).parent
    for candidate in (directory, *directory.parents):
        if any((candidate / marker).exists() for marker in MARKERS):
            return candidate
    return directory


@dataclass(frozen=True)
class Opened:
    """A spec file that is being read, and the files that led to it."""

    real: Path
    note: Note
    outer: Opened | None = None

    @property
    def chain(self) -> list[Opened]:
        """This file and those that led to it, innermost first."""
        found: list[Opened] = []
        step: Opened | None = self
        while step is not None:
            found.append(step)
            step = step.outer
        return found


class Project:
    """Reads spec files under limits and never outside `root`."""

    def __init__(self, root: Path, limits: Limits) -> None:
        self.root, self.limits = Path(os.path.realpath(root)), limits
        self._directories: dict[str, Path] = {}
        self._labels: dict[str, str] = {}
        self._files = 0

    def adopt(self, file: str, directory: Path) -> None:
        """Paths written in `file` (the name that its tree's places carry) are relative to `directory`."""
        self._directories[file] = directory

    def directory(self, file: str) -> Path:
        """The directory that paths written in `file` are relative to."""
        return self._directories[file]

    def source(self, where: Where) -> str:
        """A place as nodes carry it, the same wherever graphc is run: `specs/can.yaml:24`."""
        label = self._labels.get(where.file)
        if label is None:
            path = os.path.realpath(self.directory(where.file) / Path(where.file).name)
            label = self._labels[where.file] = os.path.relpath(path, self.root)
        return f"{label}:{where.line}"

    def open(self, path: Path, opened: Opened | None = None, where: Where | None = None) -> tuple[MappingNode, Opened]:
        """The tree of a file, merged over what it extends.

        Raises GraphcError: spec/import-cycle, spec/limit-exceeded, and everything `document.read` raises.
        """
        real = Path(os.path.realpath(path))
        chain = opened.chain if opened else []
        if any(step.real == real for step in chain):
            raise GraphcError(
                f"'{path}' imports or extends itself",
                code="spec/import-cycle",
                where=where,
                hint="move what both need into a third spec",
                notes=[step.note for step in chain],
            )
        self._files += 1
        if self._files > MAX_FILES or len(chain) >= self.limits.block_depth:
            raise GraphcError(
                f"at most {MAX_FILES} specs, {self.limits.block_depth} deep, can be imported",
                code="spec/limit-exceeded",
                where=where,
            )
        try:
            tree = read(path, self.limits)
        except GraphcError as error:
            error.where = error.where or where
            raise
        self.adopt(str(path), path.parent)
        here = Opened(real, Note(f"in '{path.name}'", where), opened)
        return self.extended(tree, here), here

    def extended(self, tree: MappingNode, opened: Opened | None) -> MappingNode:
        """The tree merged over the spec that it names in `extends`."""
        extends = tree.get("extends")
        if not isinstance(extends, ScalarNode) or not isinstance(extends.value, str):
            return tree
        try:
            path, variant = self.resolve(extends.value, extends.where)
            if variant is not None:
                raise GraphcError("'extends' takes a spec, not a variant of one", code="spec/bad-value")
            base, _ = self.open(path, opened, extends.where)
        except GraphcError as error:
            error.where = error.where or extends.where
            raise
        result = merged(base, tree)
        assert isinstance(result, MappingNode)  # both are
        return result

    def resolve(self, text: str, where: Where) -> tuple[Path, str | None]:
        """The file and the variant that a spec names. Raises GraphcError (spec/import-escapes-project)."""
        if "://" in text:
            raise GraphcError(
                f"'{text}' is a URL",
                code="spec/import-escapes-project",
                where=where,
                hint="download the file into the project, and pin it with sha256",
            )
        text, variant = split_variant(text, self.directory(where.file))
        path = Path(os.path.normpath(self.directory(where.file) / text))
        contained(path, self.root, text, where)
        return path, variant


def contained(path: Path, project: Path, text: str, where: Where | None = None) -> Path:
    """The file that a spec names as `text`, links followed; `project` is the project's folder.

    Raises GraphcError (spec/import-escapes-project).
    """
    real = None if "\0" in text else Path(os.path.realpath(path))
    if real is None or not real.is_relative_to(os.path.realpath(project)):
        raise GraphcError(
            f"'{text}' is outside the project",
            code="spec/import-escapes-project",
            where=where,
            hint=f"a spec can name files below the directory that holds {', '.join(MARKERS)}",
        )
    return real


def _sha256(text: str) -> str:
    if not re.fullmatch(SHA256, text):
        raise ValueError("must be a SHA-256 of 64 hexadecimal digits")
    return text.lower()


Sha256 = Annotated[str, AfterValidator(_sha256), WithJsonSchema({"type": "string", "pattern": f"^{SHA256}$"})]


def check_sha256(path: Path, expected: str, where: Where | None) -> None:
    """Raises GraphcError (security/hash-mismatch) unless the file has that SHA-256."""
    with path.open("rb") as stream:
        actual = hashlib.file_digest(stream, "sha256").hexdigest()
    if actual != expected:
        raise GraphcError(
            f"'{path.name}' has the SHA-256 {actual}, not the pinned one",
            code="security/hash-mismatch",
            where=where,
            hint="check what changed before you change the pin",
        )


def merged(base: Tree, over: Tree, key: str = "") -> Tree:
    """Mappings merge key by key; everything else, and what is a choice, is replaced."""
    if not isinstance(base, MappingNode) or not isinstance(over, MappingNode) or key in CHOICES:
        return over
    entries = dict(base.entries)
    for name, tree in over.entries.items():
        entries[name] = merged(entries[name], tree, name) if name in entries else tree
    return MappingNode(entries, over.where, {**base.keys, **over.keys})
