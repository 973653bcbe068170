"""What a spec declares and never reads, told from its text alone.

Unlike the expansion this does not depend on a variant, on a `when` that does not hold or on a `repeat` of nothing: a
name that is written where it could be read is read. Names are those of the expansion: loop variables hide a block's
parameters and derived values, and those hide the spec's; variables hide ids.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Literal

from graphc.errors import GraphcError, Where
from graphc.spec.expansion.structures import COUNTER
from graphc.spec.expressions import names_in
from graphc.spec.interfaces import TensorType
from graphc.spec.language import RESERVED, STRUCTURES
from graphc.spec.modules import EVALUATED, NAMES
from graphc.spec.scope import is_expression
from graphc.spec.tree import MappingNode, ScalarNode, SequenceNode, Tree

Kind = Literal["parameter", "value", "dimension", "input", "block", "import"]
SECTIONS: dict[str, Kind] = {"params": "parameter", "let": "value", "dims": "dimension"}
CALLED: dict[str, Kind] = {"blocks": "block", "imports": "import"}


@dataclass(frozen=True, eq=False)
class Declared:
    """A name that a spec declares: what it is, in which `block` if in one, and where.

    `section` is the mapping that it is a key of; an input of a block stands in a list.
    """

    kind: Kind
    name: str
    block: str
    where: Where
    section: MappingNode | None

    @property
    def columns(self) -> tuple[int, int] | None:
        """From its key in {...} to the next one in that line, or from the comma before the last one to its end."""
        if self.section is None:
            return None
        names, keys = [*self.section], self.section.keys
        index = names.index(self.name)
        if index + 1 < len(names):
            following = keys[names[index + 1]]
            return (self.where.column, following.column) if _beside(self.where, following) else None
        value = self.section.entries[self.name]
        if not isinstance(value, ScalarNode) or not value.written or not _beside(self.where, value.where):
            return None
        if index == 0 or not _beside(keys[names[index - 1]], self.where):
            return None
        return self.where.text.rfind(",", 0, self.where.column - 1) + 1, value.where.column + len(value.written)


Names = MutableMapping[str, Declared]
LOOP = Declared("value", "", "", Where(""), None)  # any loop variable: whether it is read is not told


def unread(tree: MappingNode) -> list[Declared]:
    """The parameters, dims, derived values, blocks, imports and inputs of blocks that nothing in the spec reads.

    An input that is a block's only one is what its first item begins with, so it counts as read.
    """
    return _Usage(tree).unread()


class _Usage:
    def __init__(self, tree: MappingNode) -> None:
        self.tree = tree
        self.calls = {each.name: each for key, kind in CALLED.items() for each in _declared(kind, tree.get(key))}
        self.names = _names(tree)
        self.ids: Names = {}  # the inputs of the block that is looked at
        self.declared = [*self.calls.values(), *self.names.values()]
        self.read: set[Declared] = set()

    def unread(self) -> list[Declared]:
        """Everything declared that is not read."""
        for key in (*NAMES, *EVALUATED):
            if key != "train":
                self.values(self.tree.get(key), self.names)
        self.interface(self.tree)
        self.body(self.tree.get("nodes"), self.names)
        train = self.tree.get("train")
        if isinstance(train, MappingNode):
            self.training(train)
        blocks, targets = self.tree.get("blocks"), self.tree.get("targets")
        for name, block in _entries(blocks):
            self.block(name, block)
        for _, target in _entries(targets):
            self.mention((name for name, _ in _entries(_get(target, "shapes"))), self.names)
        return [each for each in self.declared if each not in self.read]

    def training(self, train: MappingNode) -> None:
        self.interface(train)
        for key, part in train.entries.items():
            if key in ("nodes", "losses"):
                self.body(part, self.names)
            else:
                self.values(part, self.names)

    def interface(self, tree: MappingNode) -> None:
        """The names in the types of inputs and outputs."""
        for key in ("inputs", "outputs"):
            for _, entry in _entries(tree.get(key)):
                if isinstance(entry, ScalarNode):
                    for text in _axes(str(entry.value)):
                        self.expression(text, self.names)

    def block(self, name: str, block: Tree) -> None:
        """A block's own names are read in its body alone."""
        inputs = _get(block, "inputs")
        several = inputs.items if isinstance(inputs, SequenceNode) and len(inputs.items) > 1 else ()
        ids = [
            Declared("input", str(each.value), name, each.where, None)
            for each in several
            if isinstance(each, ScalarNode)
        ]
        own = _names(block, name)
        self.declared += [*ids, *own.values()]
        self.ids, names = {each.name: each for each in ids}, ChainMap(own, self.names)
        for key in ("params", "let"):
            self.values(_get(block, key), names)
        self.body(_get(block, "do"), names)
        self.mention(_texts(_get(block, "outputs")), self.ids)
        self.ids = {}

    # ---------------------------------------------------------------- items

    def body(self, tree: Tree | None, names: Names) -> None:
        """A list of items; a list in it (a path of a branch) is another body."""
        for item in tree if isinstance(tree, SequenceNode) else ():
            if isinstance(item, SequenceNode):
                self.body(item, names)
            elif isinstance(item, ScalarNode):
                self.call(item.value)
            else:
                self.item(item, names)

    def item(self, item: MappingNode, names: Names) -> None:
        inner = ChainMap({variable: LOOP}, names) if (variable := _loop(item.get("repeat"))) else names
        for key, entry in item.entries.items():
            if key in ("do", *STRUCTURES):
                self.form(entry, inner)
            elif key == "op":
                self.call(entry.value if isinstance(entry, ScalarNode) else None)
            else:
                self.values(entry, names)
                self.mention(_texts(entry) if key == "from" else (), self.ids)
                if key not in RESERVED:
                    self.call(key)

    def form(self, tree: Tree, names: Names) -> None:
        """A body, or the arguments of a form: some of them are bodies."""
        self.body(tree, names)
        for key, entry in _entries(tree):
            if key in ("do", "shortcut", "paths"):
                self.body(entry, names)
            else:
                self.values(entry, names)

    # ---------------------------------------------------------------- names

    def call(self, name: object) -> None:
        if isinstance(name, str) and name in self.calls:
            self.read.add(self.calls[name])

    def values(self, tree: Tree | None, names: Names) -> None:
        """Every expression in a tree."""
        if isinstance(tree, ScalarNode):
            if is_expression(tree):
                self.expression(str(tree.value)[1:], names)
            return
        for each in tree.items if isinstance(tree, SequenceNode) else tree.entries.values() if tree else ():
            self.values(each, names)

    def expression(self, text: str, names: Names) -> None:
        """The names in an expression: variables hide ids."""
        found = names_in(text)
        self.mention((name for name in found if name in names), names)
        self.mention((name for name in found if name not in names), self.ids)

    def mention(self, found: Iterable[str], names: Names) -> None:
        """Names that are written where they are read; an id's members come after a dot."""
        known = (names.get(name.partition(".")[0]) for name in found)
        self.read |= {each for each in known if each is not None}


def _names(tree: Tree, block: str = "") -> dict[str, Declared]:
    """The variables that a spec or a block declares."""
    return {each.name: each for key, kind in SECTIONS.items() for each in _declared(kind, _get(tree, key), block)}


def _declared(kind: Kind, section: Tree | None, block: str = "") -> Iterator[Declared]:
    if isinstance(section, MappingNode):
        for name in section:
            yield Declared(kind, name, block, section.keys[name], section)


def _loop(repeat: Tree | None) -> str:
    """The variable of a loop."""
    if isinstance(repeat, MappingNode):
        return next(iter(repeat), "")
    return COUNTER if repeat is not None else ""


def _axes(text: str) -> tuple[str, ...]:
    try:
        return TensorType.parse(text).dims
    except GraphcError:
        return ()


def _get(tree: Tree | None, key: str) -> Tree | None:
    return tree.get(key) if isinstance(tree, MappingNode) else None


def _entries(tree: Tree | None) -> Iterable[tuple[str, Tree]]:
    return tree.entries.items() if isinstance(tree, MappingNode) else ()


def _texts(tree: Tree | None) -> list[str]:
    """The texts of a text or of a list of them."""
    if isinstance(tree, SequenceNode):
        return [text for each in tree for text in _texts(each)]
    return [tree.value] if isinstance(tree, ScalarNode) and isinstance(tree.value, str) else []


def _beside(first: Where, second: Where) -> bool:
    """Whether one is in the line of the other, and before it."""
    return (first.file, first.line) == (second.file, second.line) and first.column < second.column
