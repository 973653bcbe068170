"""What an item of a spec can see: values by id, variables by name, and how they become arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import onnx_ir as ir

from graphc.errors import GraphcError, Where, collect, suggest
from graphc.spec.expressions import evaluate
from graphc.spec.language import PREVIOUS
from graphc.spec.tree import ScalarNode, SequenceNode, Tree


class Poisoned(Exception):  # noqa: N818  a signal; the error has been reported
    """What is asked for depends on something that has already been reported; never seen by a user."""


@dataclass(frozen=True)
class Outputs:
    """What an item gives: its values, and the members that dotted names reach (`half.0`, `fy.relu2_2`)."""

    values: tuple[ir.Value, ...]
    members: Mapping[str, Outputs] = field(default_factory=dict)
    poisoned: bool = False

    @classmethod
    def of(cls, result: object) -> Outputs:
        """What a layer's `emit` returned: a value, a tuple of values, or a dict of named values."""
        if isinstance(result, ir.Value):
            return cls((result,))
        if isinstance(result, Mapping):
            named = dict(result)
        elif isinstance(result, (tuple, list)):
            named = {str(index): value for index, value in enumerate(result)}
        else:
            raise TypeError(f"a layer returned {type(result).__name__} instead of values")
        values = tuple(named.values())
        return cls(values, {} if len(values) == 1 else {name: cls((v,)) for name, v in named.items()})

    @classmethod
    def together(cls, parts: list[Outputs]) -> Outputs:
        """One `Outputs` of several; a single part is itself."""
        if len(parts) == 1:
            return parts[0]
        if any(part.poisoned for part in parts):
            return POISON
        members = {str(index): part for index, part in enumerate(parts)}
        return cls(tuple(v for part in parts for v in part.values), members)

    def single(self, name: str) -> ir.Value:
        """The only value. Raises GraphcError (spec/wrong-arity) if there are more, Poisoned if it failed."""
        if self.poisoned:
            raise Poisoned
        if len(self.values) != 1:
            members = ", ".join(f"{name}.{member}" for member in list(self.members)[:4])
            raise GraphcError(
                f"'{name}' gives {len(self.values)} outputs, and one is needed here",
                code="spec/wrong-arity",
                hint=f"name one: {members}" if members else "",
            )
        return self.values[0]

    def mapped(self, change: Callable[[ir.Value], ir.Value]) -> Outputs:
        """The same outputs with every value changed."""
        members = {name: member.mapped(change) for name, member in self.members.items()}
        return Outputs(tuple(change(value) for value in self.values), members, self.poisoned)

    def member(self, name: str, path: str) -> Outputs:
        """What `name` of `path.name` stands for."""
        if self.poisoned:
            return self
        if name.isdecimal() and int(name) < len(self.values) > 1:
            return Outputs((self.values[int(name)],))
        if name not in self.members:
            raise GraphcError(
                f"'{path}' has no member '{name}'",
                code="spec/unknown-name",
                hint=suggest(name, self.members) or f"'{path}' gives one output; use it as it is",
            )
        return self.members[name]


@dataclass(frozen=True)
class Literal:
    """A number or a list that stands in `from`."""

    value: object


Input = Outputs | Literal | None  # None: an optional input that is left out
POISON = Outputs((), {}, poisoned=True)


@dataclass(frozen=True)
class DynamicDim:
    """A dimension with a range: only input and output types may compute with it."""

    name: str


class Frame(Mapping[str, object]):
    """The names of one body: its variables and ids, then those of the bodies around it.

    As a mapping it is what expressions see: variables hide ids.
    """

    def __init__(self, variables: Mapping[str, object], outer: Frame | None = None) -> None:
        self.variables, self.outer = dict(variables), outer
        self.ids: dict[str, Outputs] = {}
        self.ahead: dict[str, Where] = {}  # the ids of items that are still to come
        self.previous: Outputs | None = None  # what the last item gave, or what the body began with

    def bind(self, name: str, outputs: Outputs) -> None:
        """Give a value its id. Raises GraphcError (spec/duplicate-id) if the body or one around it has it."""
        if self.find(name) is not None:
            raise GraphcError(f"id '{name}' is taken", code="spec/duplicate-id", hint="ids are unique in a body")
        self.ids[name] = outputs

    def find(self, name: str) -> Outputs | None:
        """The outputs with that id."""
        frame: Frame | None = self
        while frame is not None:
            if name in frame.ids:
                return frame.ids[name]
            frame = frame.outer
        return None

    def resolve(self, path: str) -> Outputs:
        """What a name in `from` stands for: an id, `prev`, or members of them."""
        if (refused := self.find(path)) is not None and refused.poisoned:  # an id that has dots, say
            return refused
        name, *members = path.split(".")
        outputs = self._named(name)
        for index, member in enumerate(members):
            outputs = outputs.member(member, ".".join([name, *members[:index]]))
        return outputs

    def _named(self, name: str) -> Outputs:
        found = self.previous if name == PREVIOUS else self.find(name)
        if found is None and (later := self._later(name)):
            raise GraphcError(
                f"'{name}' is defined later, at line {later.line}; an item reads earlier ones",
                code="spec/unknown-name",
                hint="move that item up, or read another value",
            )
        if found is None:
            raise GraphcError(
                f"nothing comes before '{PREVIOUS}'" if name == PREVIOUS else f"unknown value '{name}'",
                code="spec/unknown-name",
                hint=suggest(name, self.visible()),
            )
        return found

    def _later(self, name: str) -> Where | None:
        """Where an item that is still to come takes that id."""
        found = self.ahead.get(name)
        return found if found or self.outer is None else self.outer._later(name)

    def visible(self) -> list[str]:
        """Every id that can be named here."""
        return [*self.ids, *(self.outer.visible() if self.outer else ())]

    def __getitem__(self, name: str) -> object:
        value = self._lookup(name)
        if value is None and name not in self:
            raise KeyError(name)
        if isinstance(value, DynamicDim):
            raise GraphcError(
                f"dimension '{name}' has a range, so it is no number here",
                code="spec/dim-not-fixed",
                hint="give it one size in 'dims', or use it in input and output types only",
            )
        if value is POISON:
            raise Poisoned
        return value

    def _lookup(self, name: str) -> object:
        frame: Frame | None = self
        while frame is not None:
            if name in frame.variables:
                return frame.variables[name]
            frame = frame.outer
        return self.previous if name == PREVIOUS else self.find(name)

    def __contains__(self, name: object) -> bool:
        frame: Frame | None = self
        while frame is not None:
            if name in frame.variables or name in frame.ids:
                return True
            frame = frame.outer
        return name == PREVIOUS and self.previous is not None

    def __iter__(self) -> Iterator[str]:
        frame: Frame | None = self
        seen: set[str] = set()
        while frame is not None:
            seen |= {*frame.variables, *frame.ids}
            frame = frame.outer
        return iter(sorted(seen))

    def __len__(self) -> int:
        return len(list(iter(self)))


Functions = Mapping[str, Callable[..., object]]


def value_of(tree: Tree, names: Mapping[str, object], functions: Functions | None = None) -> object:
    """A tree as plain data, with every `=expression` in it evaluated.

    A result such as 4.0 is the integer 4. Raises one GraphcError that carries every expression that fails.
    """
    errors: list[GraphcError] = []
    value = _value(tree, names, functions or {}, errors)
    if errors:
        raise collect(errors, limit=len(errors))
    return value


def _value(tree: Tree, names: Mapping[str, object], functions: Functions, errors: list[GraphcError]) -> object:
    if isinstance(tree, SequenceNode):
        return [_value(item, names, functions, errors) for item in tree]
    if not isinstance(tree, ScalarNode):
        return {key: _value(entry, names, functions, errors) for key, entry in tree.entries.items()}
    if not is_expression(tree):
        return tree.value
    try:
        result = evaluate(str(tree.value)[1:], names, functions)
    except GraphcError as error:
        errors.append(placed(error, tree.where))
        return None
    return int(result) if isinstance(result, float) and result.is_integer() else result


def is_expression(tree: Tree | None) -> bool:
    """Whether a tree is a text that begins with `=`."""
    return isinstance(tree, ScalarNode) and isinstance(tree.value, str) and tree.value.startswith("=")


def placed(error: GraphcError, where: Where | None) -> GraphcError:
    """The error with a place, if it has none yet."""
    if error.where is None:
        error.where = where
    return error
