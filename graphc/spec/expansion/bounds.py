"""A lower bound on what a spec expands to, so that a bomb of blocks is refused before it is lit.

Thirty blocks that each call the one before twice are two to the thirtieth items. Counting each block once
tells that in no time. What cannot be told without expanding (`when`, a `repeat` that is computed from a block's
parameters, a loop variable or a size) counts as nothing here; the expansion itself counts exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graphc.errors import GraphcError
from graphc.spec.expansion.structures import COUNTER
from graphc.spec.language import STRUCTURES
from graphc.spec.scope import POISON, Frame, Poisoned, value_of
from graphc.spec.tree import MappingNode, ScalarNode, SequenceNode, Tree

BODIES = ("do", "shortcut", "paths")


def least_items(nodes: Tree | None, blocks: Mapping[str, Tree], names: Mapping[str, object], depth: int) -> int:
    """How many items a list of items expands to at the least, blocks more than `depth` deep left out.

    `names` are the variables of the spec.
    """
    return _Count(blocks, names, depth).body(nodes, Frame(names))


class _Count:
    def __init__(self, blocks: Mapping[str, Tree], names: Mapping[str, object], depth: int) -> None:
        self.blocks, self.names, self.depth = blocks, names, depth
        self.known: dict[str, int] = {}

    def body(self, tree: Tree | None, names: Frame) -> int:
        """A list of items; a list in it (a path of a branch) is another body."""
        if not isinstance(tree, SequenceNode):
            return 0
        return sum(
            self.body(item, names) if isinstance(item, SequenceNode) else self.item(item, names) for item in tree
        )

    def item(self, tree: Tree, names: Frame) -> int:
        if isinstance(tree, ScalarNode):
            return 1 + self.block(tree.value)
        assert isinstance(tree, MappingNode)  # a list is a body
        if "when" in tree.entries:
            return 0
        times, variable = _times(tree.get("repeat"), names)
        inner = _hiding([variable], names) if variable else names
        inside = self.bodies(tree, inner)
        for key, entry in tree.entries.items():
            if key in STRUCTURES:
                inside += self.bodies(entry, inner) if isinstance(entry, MappingNode) else self.body(entry, inner)
            inside += self.block(key)
        op = tree.get("op")
        called = self.block(op.value) if isinstance(op, ScalarNode) else 0
        return 1 + called + inside * times

    def bodies(self, tree: MappingNode, names: Frame) -> int:
        return sum(self.body(tree.get(key), names) for key in BODIES)

    def block(self, name: object) -> int:
        """The items of a block; a block that calls itself is refused elsewhere."""
        if not isinstance(name, str) or name not in self.blocks:
            return 0
        block = self.blocks[name]
        if name not in self.known and isinstance(block, MappingNode):
            self.known[name] = 0
            self.depth -= 1
            self.known[name] = self.body(block.get("do"), self.inside(block)) if self.depth > 0 else 0
            self.depth += 1
        return self.known.get(name, 0)

    def inside(self, block: MappingNode) -> Frame:
        """What a block sees: its own parameters are not known before it is called."""
        own = [section for key in ("params", "let") if isinstance(section := block.get(key), MappingNode)]
        return _hiding([name for section in own for name in section], Frame(self.names))


def _hiding(variables: Iterable[str], names: Frame) -> Frame:
    return Frame(dict.fromkeys(variables, POISON), names)


def _times(repeat: Tree | None, names: Frame) -> tuple[int, str]:
    """How often at the least, and the loop variable."""
    if repeat is None:
        return 1, ""
    variable = COUNTER
    if isinstance(repeat, MappingNode) and len(repeat.entries) == 1:
        variable, repeat = next(iter(repeat.entries.items()))
    if isinstance(repeat, SequenceNode):
        return len(repeat.items), variable
    try:
        values = value_of(repeat, names)
    except (GraphcError, Poisoned):
        return 0, variable
    if isinstance(values, list):
        return len(values), variable
    return (max(values, 0) if type(values) is int else 0), variable
