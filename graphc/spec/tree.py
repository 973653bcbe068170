"""A spec as written: plain data in which every key and every value knows its place in the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from graphc.errors import Where

Plain = str | int | float | bool | None


@dataclass(frozen=True)
class ScalarNode:
    """A YAML 1.2 core scalar. `quoted` tells "8" from 8 written without quotes, which is `written` so: 012, no, ~."""

    value: Plain
    where: Where
    quoted: bool = False
    written: str = ""


@dataclass(frozen=True)
class SequenceNode:
    """A list; `where` is its first character."""

    items: tuple[Tree, ...]
    where: Where

    def __iter__(self) -> Iterator[Tree]:
        return iter(self.items)


@dataclass(frozen=True)
class MappingNode:
    """A mapping with string keys, unique, in file order. `keys[k]` is the place of key `k` itself."""

    entries: dict[str, Tree]
    where: Where
    keys: dict[str, Where] = field(default_factory=dict)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def get(self, key: str) -> Tree | None:
        """The value of `key`, or None."""
        return self.entries.get(key)


Tree = ScalarNode | SequenceNode | MappingNode


def plain(tree: Tree) -> object:
    """The tree without places: dicts, lists and scalars."""
    if isinstance(tree, ScalarNode):
        return tree.value
    if isinstance(tree, SequenceNode):
        return [plain(item) for item in tree]
    return {key: plain(value) for key, value in tree.entries.items()}


def bare(tree: Tree) -> Iterator[tuple[str, Plain, Where]]:
    """Every key and scalar without quotes: as written, its value, its place."""
    if isinstance(tree, ScalarNode):
        if tree.written:
            yield tree.written, tree.value, tree.where
    elif isinstance(tree, SequenceNode):
        for each in tree:
            yield from bare(each)
    else:
        for key, each in tree.entries.items():
            where = tree.keys[key]
            if where.text[where.column - 1 : where.column] not in ("'", '"'):
                yield key, key, where
            yield from bare(each)
