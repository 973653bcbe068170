"""A lower bound on what a spec expands to, so that a bomb of blocks is refused before it is lit.

Thirty blocks that each call the one before twice are two to the thirtieth items. Counting each block once
tells that in no time. What cannot be told without expanding (`when`, a computed `repeat`) counts as nothing
here; the expansion itself counts exactly.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingLike

from graphc.spec.language import STRUCTURES
from graphc.spec.tree import Mapping, Scalar, Sequence, Tree

BODIES = ("do", "shortcut", "paths")


def least_items(nodes: Tree | None, blocks: MappingLike[str, Tree], depth: int) -> int:
    """How many items a list of items expands to at the least, blocks more than `depth` deep left out."""
    return _Count(blocks, depth).body(nodes)


class _Count:
    def __init__(self, blocks: MappingLike[str, Tree], depth: int) -> None:
        self.blocks, self.depth = blocks, depth
        self.known: dict[str, int] = {}

    def body(self, tree: Tree | None) -> int:
        """A list of items; a list in it (a path of a branch) is another body."""
        if not isinstance(tree, Sequence):
            return 0
        return sum(self.body(item) if isinstance(item, Sequence) else self.item(item) for item in tree)

    def item(self, tree: Tree) -> int:
        if isinstance(tree, Scalar):
            return 1 + self.block(tree.value)
        assert isinstance(tree, Mapping)  # a list is a body
        if "when" in tree.entries:
            return 0
        inside = self.bodies(tree)
        for key, entry in tree.entries.items():
            if key in STRUCTURES:
                inside += self.bodies(entry) if isinstance(entry, Mapping) else self.body(entry)
            inside += self.block(key)
        op = tree.get("op")
        called = self.block(op.value) if isinstance(op, Scalar) else 0
        return 1 + called + inside * _times(tree.get("repeat"))

    def bodies(self, tree: Mapping) -> int:
        return sum(self.body(tree.get(key)) for key in BODIES)

    def block(self, name: object) -> int:
        """The items of a block; a block that calls itself is refused elsewhere."""
        if not isinstance(name, str) or name not in self.blocks:
            return 0
        block = self.blocks[name]
        if name not in self.known and isinstance(block, Mapping):
            self.known[name] = 0
            self.depth -= 1
            self.known[name] = self.body(block.get("do")) if self.depth > 0 else 0
            self.depth += 1
        return self.known.get(name, 0)


def _times(repeat: Tree | None) -> int:
    if repeat is None:
        return 1
    if isinstance(repeat, Mapping) and len(repeat.entries) == 1:
        repeat = next(iter(repeat.entries.values()))
    if isinstance(repeat, Sequence):
        return len(repeat.items)
    return repeat.value if isinstance(repeat, Scalar) and type(repeat.value) is int else 0
