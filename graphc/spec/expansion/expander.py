"""Expands a module into nodes: calls layers, blocks, imports and operators, and unrolls repeats.

Nothing here recurses without a bound: the depth of bodies, the number of expanded items and the number of
nodes are limited. An item that fails gives POISON, which everything that depends on it passes on in silence,
so that the rest of the spec is still looked at and each mistake is reported once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial

import onnx_ir as ir

from graphc.errors import GraphcError, Note, Where, collect
from graphc.limits import Limits
from graphc.metadata import LINT, STOP_GRADIENT
from graphc.spec.diagnose import located, shown, validated
from graphc.spec.emit import Emitter
from graphc.spec.expansion import operators, structures
from graphc.spec.expansion.calls import call_block, call_import
from graphc.spec.items import Item, id_of, parse_item
from graphc.spec.layers import Layer, as_arguments, emitted, find
from graphc.spec.layers._axes import Difference, difference
from graphc.spec.modules import Module
from graphc.spec.problems import LIMIT, Problems, Trace
from graphc.spec.scope import (
    POISON,
    Frame,
    Input,
    Literal,
    Outputs,
    Poisoned,
    is_expression,
    placed,
    value_of,
)
from graphc.spec.tree import MappingNode, ScalarNode, SequenceNode, Tree


@dataclass(frozen=True)
class Body:
    """Where items stand: in which module, what they see, and whether they are losses, which have weights."""

    module: Module
    frame: Frame
    losses: bool = False

    def inner(self, variables: Mapping[str, object], begin: Outputs | None) -> Body:
        """A body inside this one, which begins with `begin` as its previous output."""
        frame = Frame(variables, self.frame)
        frame.previous = begin
        return replace(self, frame=frame, losses=False)


class Expander:
    """Expands bodies of items with one Emitter. `source` gives a place in the spec as nodes carry it."""

    def __init__(self, g: Emitter, problems: Problems, limits: Limits, source: Callable[[Where], str] = str) -> None:
        self.g, self.trace, self.source = g, Trace(problems, limits), source
        self.functions: Mapping[str, Callable[..., object]] = {"dim": self._dim}
        self.origins: dict[ir.Value, Where] = {}
        self._parsed: dict[int, Item] = {}

    # ---------------------------------------------------------------- bodies

    def body(self, items: Tree | None, body: Body, until: str | None = None) -> Outputs | None:
        """Expand a list of items, up to the one with the id `until`; returns what the last one gives."""
        trees = items.items if isinstance(items, SequenceNode) else ()
        ahead = body.frame.ahead = {name: tree.where for tree in trees if (name := id_of(tree))}
        for tree in trees:
            name = id_of(tree)
            if name and ahead.get(name) == tree.where:
                del ahead[name]
            self.item(tree, body)
            if until is not None and name == until and body.frame.find(until):
                break
        ahead.clear()
        return body.frame.previous

    def item(self, tree: Tree, body: Body) -> None:
        """Expand one item into the body; what is wrong with it is reported, and it gives POISON."""
        outputs: Outputs | None = POISON
        where = tree.where
        try:
            self.trace.count()
            item = self.parsed(tree)
            where = item.where
            outputs = self._expand(item, body)
        except Poisoned:
            pass
        except GraphcError as error:
            self.trace.report(error, where)
        if outputs is None:
            return
        if name := id_of(tree):
            self._bind(body, name, outputs, tree)
        body.frame.previous = outputs

    def _bind(self, body: Body, name: str, outputs: Outputs, tree: Tree) -> None:
        try:
            if name in body.module.spec.imports:
                raise GraphcError(f"'{name}' is the name of an import", code="spec/duplicate-id")
            body.frame.bind(name, outputs)
        except GraphcError as error:
            self.trace.report(error, located(tree, ("id",)))
            body.frame.ids[name] = POISON

    def parsed(self, tree: Tree) -> Item:
        """The item of a tree; see `parse_item`."""
        found = self._parsed.get(id(tree))
        if found is None:
            found = self._parsed[id(tree)] = parse_item(tree)
        return found

    # ---------------------------------------------------------------- what is emitted

    def scope(
        self,
        item: Item,
        body: Body,
        label: str | None = None,
        *,
        shared: str | None = None,
        frozen: bool = False,
    ) -> AbstractContextManager[None]:
        """The Emitter's scope for an item: its step in the path, its place, what its keys say of weights."""
        if item.keys.shared:
            shared = "/".join(filter(None, (body.module.path, item.keys.shared)))
        return self.g.scope(
            label or item.label,
            source=self.source(item.where),
            shared=shared,
            frozen=frozen or item.keys.frozen,
        )

    @contextmanager
    def emitting(self, item: Item, values: Sequence[ir.Value]) -> Iterator[None]:
        """While nodes are emitted: remember where they come from, and on failure say where inputs do."""
        start = len(self.g.nodes)
        try:
            yield
        except GraphcError as error:
            if error.where is None and error.code != LIMIT:
                error.notes = (*error.notes, *self.made_by(values))
            raise placed(error, item.where) from None
        for node in self.g.nodes[start:]:
            for output in node.outputs:
                self.origins.setdefault(output, item.where)

    def made_by(self, values: Sequence[ir.Value]) -> list[Note]:
        """Where values come from."""
        notes = []
        for value in dict.fromkeys(values):
            producer = value.producer()
            name = f"'{producer.name}'" if producer else f"input '{value.name}'"
            notes.append(Note(f"{self._shape(value)} comes from {name}", self.origins.get(value)))
        return notes

    def _shape(self, value: ir.Value) -> str:
        try:
            return self.g.show(value)
        except GraphcError:  # a shape that ONNX cannot infer
            return "a value of unknown shape"

    def differing(self, a: ir.Value, b: ir.Value, beside: int | None = None) -> Difference | None:
        """How two shapes differ on axes other than `beside`, if they do."""
        try:
            return difference(self.g, (a, b), beside)
        except GraphcError:  # a shape that ONNX cannot infer: its own inference decides
            return None

    # ---------------------------------------------------------------- items

    def _expand(self, item: Item, body: Body) -> Outputs | None:
        """What the item gives, or None if its `when` does not hold."""
        if (weight := item.section("weight")) is not None and not body.losses:
            raise GraphcError("'weight' belongs to a loss", code="spec/unknown-key", where=weight.where)
        if not self._wanted(item, body):
            return None
        start = len(self.g.nodes)
        outputs = self._callee(item, body)(item, body)
        if item.keys.stop_gradient or item.keys.lint:
            outputs = self._annotated(item, body, outputs, start)
        return outputs

    def _wanted(self, item: Item, body: Body) -> bool:
        when = item.section("when")
        value = True if when is None else self.value(when, body)
        if isinstance(value, (bool, int)):
            return bool(value)
        raise GraphcError(
            f"'when' must be true or false, not {shown(value)}",
            code="spec/bad-type",
            where=when.where if when else None,
            hint="write it as an expression: when: =scale == 3",
        )

    def _callee(self, item: Item, body: Body) -> Callable[[Item, Body], Outputs]:
        module = body.module
        if item.what in module.broken:
            raise Poisoned
        if item.what in structures.FORMS:
            return partial(structures.FORMS[item.what], self)
        if item.what in module.spec.blocks:
            return partial(call_block, self)
        if item.what in module.spec.imports:
            return partial(call_import, self)
        if item.what[:1].isupper():
            return partial(operators.emit, self)
        others = (*module.spec.blocks, *module.spec.imports, *structures.FORMS)
        return partial(self._layer, find(item.what, others))

    def _layer(self, cls: type[Layer], item: Item, body: Body) -> Outputs:
        arguments = None if item.arguments is None else self.value(item.arguments, body)
        made = validated(
            cls,
            as_arguments(cls, arguments),
            None if arguments is None else item.arguments,
            owner=item.what,
            unknown="spec/unknown-argument",
        )
        least, most = cls.arity()
        given = self.inputs(item, body, least, most)
        values = [None if one is None and i >= least else self.single(one, item) for i, one in enumerate(given)]
        with self.scope(item, body), self.emitting(item, [value for value in values if value is not None]):
            return Outputs.of(emitted(made, self.g, *values))

    def _annotated(self, item: Item, body: Body, outputs: Outputs, start: int) -> Outputs:
        """Mark the item's nodes with what its keys say; a value it only passes on gets a node to mark."""
        made = {output for node in self.g.nodes[start:] for output in node.outputs}
        if not made.issuperset(outputs.values):
            with self.scope(item, body):
                outputs = outputs.mapped(lambda v: v if v in made else self.g.op("Identity", v))
        for node in self.g.nodes[start:]:
            if item.keys.stop_gradient:
                node.metadata_props[STOP_GRADIENT] = "true"
            if item.keys.lint:
                node.metadata_props[LINT] = json.dumps(item.keys.lint.model_dump())
        return outputs

    # ---------------------------------------------------------------- arguments and inputs

    def value(self, tree: Tree, body: Body) -> object:
        """A tree as plain data, its expressions evaluated in the body."""
        return value_of(tree, body.frame, self.functions)

    def _dim(self, value: object, axis: object) -> int:
        """`dim(x, 1)` in expressions."""
        if not isinstance(value, Outputs) or isinstance(axis, bool) or not isinstance(axis, int):
            raise GraphcError("dim(x, 1) takes an id and an axis", code="spec/bad-expression")
        return self.g.size(value.single("x"), axis)

    def inputs(self, item: Item, body: Body, least: int, most: int | None, takes: str = "") -> list[Input]:
        """What `from` names, or else the previous output.

        Raises GraphcError: spec/unknown-name, spec/wrong-arity.
        """
        source = item.section("from")
        if source is not None:
            found = self._named(source, body)
        else:
            found = [body.frame.previous] if body.frame.previous is not None and most != 0 else []
        if least <= len(found) and (most is None or len(found) <= most):
            return found
        count = str(least) if most == least else f"{least} or more" if most is None else f"{least} to {most}"
        takes = takes or f"'{item.what}' takes {count} input{'s' if count != '1' else ''}"
        raise GraphcError(
            f"{takes}, given {len(found)}",
            code="spec/wrong-arity",
            where=None if source is None else source.where,
            hint=f"name them in 'from'; here are {', '.join(body.frame.visible()) or 'none'}" if source is None else "",
        )

    def _named(self, source: Tree, body: Body) -> list[Input]:
        errors: list[GraphcError] = []
        found: list[Input] = []
        for tree in source.items if isinstance(source, SequenceNode) else (source,):
            try:
                found.append(self._input(tree, body))
            except GraphcError as error:
                errors += placed(error, tree.where).all
        if errors:
            raise collect(errors, limit=len(errors))
        return found

    def _input(self, tree: Tree, body: Body) -> Input:
        if isinstance(tree, MappingNode):
            raise GraphcError(
                "an input is the name of a value",
                code="spec/bad-type",
                hint="give the item that makes it an id, and name that",
            )
        if isinstance(tree, ScalarNode) and tree.value in (None, ""):
            return None
        if isinstance(tree, ScalarNode) and isinstance(tree.value, str) and not is_expression(tree):
            return body.frame.resolve(tree.value)
        return Literal(self.value(tree, body))

    def one(self, given: Input, item: Item) -> Outputs:
        """An input that must be one value, or POISON. Raises GraphcError: spec/wrong-arity, spec/bad-type."""
        if isinstance(given, Outputs):
            if not given.poisoned:
                given.single(self._spelled(item))
            return given
        what = "nothing" if given is None else shown(given.value)
        raise GraphcError(
            f"'{item.what}' needs a value here, not {what}",
            code="spec/bad-type",
            where=from_.where if (from_ := item.section("from")) else None,
            hint="numbers as inputs are for ONNX operators" if given is not None else "",
        )

    def single(self, given: Input, item: Item) -> ir.Value:
        """The one value of an input; see `one`. Raises Poisoned too."""
        return self.one(given, item).single(self._spelled(item))

    def _spelled(self, item: Item) -> str:
        source = item.section("from")
        return str(source.value) if isinstance(source, ScalarNode) else "the previous item"

    def begin(self, item: Item, body: Body) -> Outputs | None:
        """What the body of a form begins with: `from`, or else the previous output."""
        source = item.section("from")
        if source is None:
            return body.frame.previous
        parts = [given for given in self._named(source, body) if isinstance(given, Outputs)]
        return Outputs.together(parts) if parts else None

    def given(self, outputs: Outputs | None, what: str) -> Outputs:
        """What a body gave. Raises GraphcError (spec/empty-output) if it gave nothing."""
        if outputs is None:
            raise GraphcError(f"{what} gives nothing: it has no items and no input", code="spec/empty-output")
        return outputs
