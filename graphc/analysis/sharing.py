"""Items of a spec that share weights and do not agree on whether these train: the first one decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graphc.errors import Where
from graphc.spec.tree import MappingNode, ScalarNode, SequenceNode, Tree


@dataclass(frozen=True)
class Thawed:
    """An item that says `frozen: true`, at that place, and whose weights train since the `first` use says nothing.

    `word` is what they are `shared` under.
    """

    word: str
    where: Where
    first: Where


def thawed(tree: MappingNode) -> Iterator[Thawed]:
    """The items of a spec that are frozen in vain. An item that is there only sometimes decides nothing."""
    train = tree.get("train")
    sections = [tree.get("nodes")]
    sections += [train.get(name) for name in ("nodes", "losses")] if isinstance(train, MappingNode) else []
    yield from _of_body([item for section in sections if isinstance(section, SequenceNode) for item in section])
    for section in [*sections, tree.get("blocks")]:
        for body in _bodies(section, is_inner=False):
            yield from _of_body(list(body))


def _bodies(tree: Tree | None, *, is_inner: bool = True) -> Iterator[SequenceNode]:
    """The lists within; the outermost only if it `is_inner`."""
    if isinstance(tree, SequenceNode):
        if is_inner:
            yield tree
        for item in tree:
            yield from _bodies(item)
    elif isinstance(tree, MappingNode):
        for entry in tree.entries.values():
            yield from _bodies(entry)


def _of_body(items: list[Tree]) -> Iterator[Thawed]:
    first: dict[str, MappingNode] = {}
    for item in items:
        word = item.get("shared") if isinstance(item, MappingNode) and item.get("when") is None else None
        if not isinstance(item, MappingNode) or not isinstance(word, ScalarNode):
            continue
        decides = first.setdefault(str(word.value), item)
        if _is_frozen(item) and not _is_frozen(decides):
            yield Thawed(str(word.value), item.keys.get("frozen", item.where), decides.where)


def _is_frozen(item: MappingNode) -> bool:
    said = item.get("frozen")
    return isinstance(said, ScalarNode) and said.value is True
