"""One entry of a body as written: the word it calls, its arguments, and the keys that any entry may have."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.errors import GraphcError, Where, suggest
from graphc.spec.diagnose import validated
from graphc.spec.language import RESERVED, ItemKeys
from graphc.spec.scope import is_expression
from graphc.spec.tree import MappingNode, ScalarNode, SequenceNode, Tree, plain

UNEVALUATED = ("from", "when", "repeat", "weight")  # read from the tree when the item is expanded
EXAMPLE = "for example 'relu', 'conv: 64' or '{id: y, conv: {out: 64, k: 3}}'"


@dataclass(frozen=True)
class Item:
    """What is called (`conv`, a block, `Resize`, `repeat`), at which place, with which arguments and keys.

    No arguments (`relu`, `relu:`) are None.
    """

    what: str
    where: Where
    arguments: Tree | None
    keys: ItemKeys
    tree: Tree

    @property
    def label(self) -> str:
        """The item's step in the scope path."""
        return self.keys.id or self.what

    def section(self, key: str) -> Tree | None:
        """The tree of a reserved key, or None where it is absent or null."""
        return _unless_null(self.tree.get(key)) if isinstance(self.tree, MappingNode) else None


def id_of(tree: Tree) -> str | None:
    """The id that an item asks for, however wrong the rest of it is."""
    found = tree.get("id") if isinstance(tree, MappingNode) else None
    return found.value if isinstance(found, ScalarNode) and isinstance(found.value, str) else None


def parse_item(tree: Tree) -> Item:
    """Raises GraphcError: spec/bad-type, spec/bad-value, spec/unknown-key, spec/missing-argument."""
    if isinstance(tree, ScalarNode) and isinstance(tree.value, str) and not is_expression(tree):
        return Item(tree.value, tree.where, None, ItemKeys(), tree)
    if not isinstance(tree, MappingNode):
        raise GraphcError(
            "an item is the name of a layer, or a mapping",
            code="spec/bad-type",
            where=tree.where,
            hint=EXAMPLE,
        )
    values = {key: _shallow(key, entry) for key, entry in tree.entries.items() if key in RESERVED}
    keys = validated(ItemKeys, {k: v for k, v in values.items() if k not in UNEVALUATED}, tree)
    called = [key for key in tree.entries if key not in RESERVED]
    what, where = _called(tree, keys, called)
    return Item(what, where, _unless_null(tree.get(called[0])) if called else None, keys, tree)


def _unless_null(tree: Tree | None) -> Tree | None:
    return None if isinstance(tree, ScalarNode) and tree.value is None else tree


def _shallow(key: str, tree: Tree) -> object:
    """A reserved key's value; of a body only that it is a list, since its items are read one by one."""
    return [] if key == "do" and isinstance(tree, SequenceNode) else plain(tree)


def _called(tree: MappingNode, keys: ItemKeys, called: list[str]) -> tuple[str, Where]:
    """The one word that the item calls, and its place."""
    words = [*called, *(key for key in ("op", "repeat") if key in tree.entries)]
    if len(words) > 1:
        _refuse_several(tree, words)
    if keys.op is not None:
        return keys.op, tree.entries["op"].where
    if called:
        if keys.do is not None:
            _refuse_several(tree, [called[0], "do"])
        return called[0], tree.keys.get(called[0], tree.where)
    if keys.do is None:
        missing = "'do', the list of what is repeated" if words else "the name of what it calls"
        hint = "for example {repeat: 2, do: [relu]}" if words else EXAMPLE
        raise GraphcError(f"the item lacks {missing}", code="spec/missing-argument", where=tree.where, hint=hint)
    word = "repeat" if words else "do"
    return word, tree.keys.get(word, tree.where)


def _refuse_several(tree: MappingNode, words: list[str]) -> None:
    hints = {word: suggest(word, RESERVED) for word in words if word not in RESERVED}
    meant = [word for word, hint in hints.items() if hint.startswith("did you mean")]
    culprit = meant[0] if meant else words[1]
    raise GraphcError(
        f"an item calls one thing, not both '{words[0]}' and '{words[1]}'" if not meant else f"unknown key '{culprit}'",
        code="spec/unknown-key",
        where=tree.keys.get(culprit, tree.where),
        hint=hints.get(culprit, "") if meant else "write them as two items",
    )
