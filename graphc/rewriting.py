"""Rewrites: laws with conditions, and the engine that applies them.

A rewrite is a pure function of a View and a Tape. Running it is the legality check (`require` and the view's own
refusals) and yields the candidate, so that it can be priced, explained and thrown away. The engine refuses what the
function did not read (the closed world), whatever would change a type or shape, and whatever the price says no to.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any

import onnx
import onnx_ir as ir

from graphc import splice
from graphc.errors import GraphcError, suggest
from graphc.price import Judge
from graphc.price import cheaper as by_cost
from graphc.registry import kebab
from graphc.tape import Tape
from graphc.view import Refusal, View
from graphc.walk import GraphLike, scopes, subgraphs

if TYPE_CHECKING:
    from graphc.cases import Case

NUMERICS = ("exact", "reassociates", "approximates")
CLAIMS = ("macs", "bytes", "nodes")
FAILURE = "it fails here"  # begins the reason where a construction raised something else than a Refusal
Construction = Callable[..., Any]

_waived: ContextVar[frozenset[str]] = ContextVar("waived", default=frozenset())
_spared: ContextVar[Callable[[str, ir.Node], bool]] = ContextVar("spared", default=lambda rewrite, node: False)


def require(condition: object, reason: str, *, conservative: str = "") -> None:
    """A condition of a rewrite. Raises Refusal(reason) when it does not hold.

    `reason` is a literal, one per condition: tests and the catalogue are generated from it. `conservative` says why
    a condition is kept although the rewrite would be right without it.
    """
    if not condition and reason not in _waived.get():
        raise Refusal(reason)


@contextmanager
def waive(*reasons: str) -> Iterator[None]:
    """Ignore these conditions inside the block: how tests show that a condition is needed."""
    token = _waived.set(_waived.get() | set(reasons))
    try:
        yield
    finally:
        _waived.reset(token)


@contextmanager
def spare(spared: Callable[[str, ir.Node], bool]) -> Iterator[None]:
    """Inside the block no rewrite of that name takes a node for which `spared(name, node)` is true."""
    token = _spared.set(spared)
    try:
        yield
    finally:
        _spared.reset(token)


@dataclass(frozen=True)
class Condition:
    """A `require` as found in the source: its reason, and why it is stricter than needed, if it is."""

    reason: str
    conservative: str = ""


@dataclass(frozen=True)
class Rewrite:
    """A law with conditions. `improves` names what it claims to lower: macs, bytes, nodes.

    A rewrite that claims to improve something fires only where the price agrees; one that claims nothing brings a
    node to another form and fires wherever it is legal. For a target it is the target that judges, of either kind. The
    option `when` (cheaper | always) overrides that.
    """

    name: str
    roots: tuple[str, ...]
    construct: Construction
    numerics: str
    improves: tuple[str, ...]
    bound: float = 0.0
    _cases: list[Callable[[], Iterator[Case]]] = field(default_factory=list, compare=False)
    _samplers: list[Callable[[Random], Case]] = field(default_factory=list, compare=False)

    def cases(self, generator: Callable[[], Iterator[Case]]) -> Callable[[], Iterator[Case]]:
        """Decorator: the generator that yields this rewrite's cases."""
        self._cases.append(generator)
        return generator

    def all_cases(self) -> list[Case]:
        """Every case, firing and refusing."""
        return [case for generator in self._cases for case in generator()]

    def samples(self, sampler: Callable[[Random], Case]) -> Callable[[Random], Case]:
        """Decorator: makes a case of random attributes and shapes, for which the rewrite may fire or refuse.

        Its `refuses` says nothing. The sampler draws from the `random.Random` that it gets, and from nothing else.
        """
        self._samplers.append(sampler)
        return sampler

    def sample(self, random: Random) -> Case:
        """One random case, of one of the samplers. Raises ValueError where there is none."""
        if not self._samplers:
            raise ValueError(f"'{self.name}' has no samples")
        return random.choice(self._samplers)(random)

    @property
    def doc(self) -> str:
        """The docstring of the rewrite's module: what, law, why."""
        return inspect.cleandoc(sys.modules[self.construct.__module__].__doc__ or "")

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Every `require` in the rewrite's module, in source order."""
        return conditions_of(inspect.getsource(sys.modules[self.construct.__module__]))

    @cached_property
    def options(self) -> Mapping[str, Any]:
        """Options with their defaults: the construction's keyword-only parameters, and `when`."""
        parameters = inspect.signature(self.construct).parameters.values()
        own = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        return {**own, "when": "cheaper" if self.improves else "always"}

    def bind(self, given: Mapping[str, Any], *, priced: bool = False) -> dict[str, Any]:
        """`given` over the defaults; `priced`: the price is asked unless `given` says otherwise.

        Raises GraphcError (spec/unknown-pass-option) on an unknown name or type.
        """
        bound = {**self.options, **({"when": "cheaper"} if priced else {})}
        for key, value in given.items():
            name = key.replace("-", "_")
            if name not in bound:
                raise GraphcError(
                    f"'{self.name}' has no option '{key}'",
                    code="spec/unknown-pass-option",
                    hint=suggest(name, bound),
                )
            default = bound[name]
            if default is not None and not isinstance(value, type(default)):
                raise GraphcError(
                    f"option '{key}' of '{self.name}' is {value!r}, not a {type(default).__name__}",
                    code="spec/unknown-pass-option",
                    hint=f"its default is {default!r}",
                )
            bound[name] = value
        if bound["when"] not in ("cheaper", "always"):
            raise GraphcError(
                f"'when' of '{self.name}' is {bound['when']!r}",
                code="spec/unknown-pass-option",
                hint="cheaper or always",
            )
        return bound

    def propose(
        self, node: ir.Node, opset: int, options: Mapping[str, Any], cheaper: Judge = by_cost
    ) -> splice.Proposal:
        """The replacement of `node`, built but not applied. Raises Refusal with the reason why not."""
        view, tape = View(node, opset), Tape(opset)
        try:
            return self._propose(view, tape, options, cheaper)
        except BaseException as error:
            tape.discard()
            if isinstance(error, Refusal | ConstructionError) or not isinstance(error, Exception):
                raise
            if isinstance(error, GraphcError):  # a node that contradicts itself, as `read_convolution` finds it
                raise Refusal(error.message) from error
            # an unchecked model may contradict itself in any way; the laws tell it from a bug
            raise Refusal(f"{FAILURE}: {type(error).__name__}: {error}") from error

    def _propose(self, view: View, tape: Tape, options: Mapping[str, Any], cheaper: Judge) -> splice.Proposal:
        keywords = {name: value for name, value in options.items() if name != "when"}
        result = self.construct(view, tape, **keywords)
        spared = _spared.get()
        for seen in view.trail:
            if spared(self.name, seen.node):
                raise Refusal(f"{seen.op_type} '{seen.node.name}' is to stay as it is")
            for leftover in seen.unread():
                raise Refusal(leftover)
        proposal = splice.Proposal(
            root=view.node,
            matched=tuple(dict.fromkeys(seen.node for seen in view.trail)),
            nodes=tuple(tape.nodes),
            initializers=tuple(tape.initializers),
            replaced=_mapping(view.node, result),
        )
        splice.check(proposal)
        if options["when"] == "cheaper" and not _is_cheaper(proposal, view.opset, cheaper):
            raise Refusal("it would not be cheaper here")
        return proposal

    def would_fire(self, node: ir.Node, opset: int, **options: Any) -> bool:
        """Whether it would replace `node`: tried, and thrown away. `options` as of a call; the graph stays as it is."""
        if node.op_type not in self.roots or node.domain:
            return False
        try:
            splice.discard(self.propose(node, opset, self.bind(options)))
        except Refusal:
            return False
        return True

    def __call__(self, judge: Judge | None = None, /, **options: Any) -> RewritePass:
        """This rewrite as a pass of any onnx_ir PassManager; `judge` is a target's, by default that of the cost."""
        return RewritePass(self, self.bind(options, priced=judge is not None), judge or by_cost)


def rewrite(
    *roots: str, numerics: str, improves: Sequence[str] = (), bound: float = 0.0
) -> Callable[[Construction], Rewrite]:
    """Declare a rewrite whose last node is one of `roots`.

    `numerics`: "exact" (bit-equal), "reassociates" (the same real function, rounded otherwise) or "approximates"
    (within `bound`, relative; opt-in only). The function's name is the rewrite's name and its file's stem.
    """
    if numerics not in NUMERICS or (numerics == "approximates") != (bound > 0):
        raise ValueError(f"numerics is one of {NUMERICS}, with a bound for 'approximates' only")
    for root in roots:
        if not onnx.defs.has(root):
            known = (schema.name for schema in onnx.defs.get_all_schemas() if not schema.domain)
            raise ValueError(f"ONNX has no operator '{root}': {suggest(root, known)}")
    if not set(improves) <= set(CLAIMS):
        raise ValueError(f"improves holds some of {CLAIMS}, not {improves}")

    def declare(construct: Construction) -> Rewrite:
        return Rewrite(kebab(construct.__name__), roots, construct, numerics, tuple(improves), bound)

    return declare


@dataclass(frozen=True)
class Site:
    """Where a rewrite fired or was refused: the node's name and, if refused, the reason, else the nodes it `made`."""

    node: str
    reason: str = ""
    made: tuple[str, ...] = ()


class RewritePass(ir.passes.InPlacePass):
    """One rewrite with its options, applied until nothing changes; `fired` and `refused` tell about the last run."""

    def __init__(self, rewrite: Rewrite, options: dict[str, Any], judge: Judge = by_cost) -> None:
        self.rewrite, self.options, self.judge = rewrite, options, judge
        self.fired: list[Site] = []
        self.refused: list[Site] = []

    def __repr__(self) -> str:
        return self.rewrite.name

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rewrite everywhere. Raises GraphcError if it never comes to an end."""
        self.fired, self.refused = [], []
        for scope, opset in scopes(model):
            taken = splice.Taken(scope)
            for graph in (scope, *subgraphs(scope)):
                self._exhaust(graph, opset, taken)
        return ir.passes.PassResult(model, bool(self.fired))

    def _exhaust(self, graph: GraphLike, opset: int, taken: splice.Taken) -> None:
        limit, refused = len(self.fired) + 10 * len(graph) + 100, len(self.refused)
        while self._sweep(graph, opset, taken):
            del self.refused[refused:]  # the last sweep over each graph tells what is left, and why
            if len(self.fired) > limit:
                raise GraphcError(
                    f"'{self.rewrite.name}' does not come to an end: it fired {len(self.fired)} times",
                    code="run/endless-rewrite",
                    hint="it makes what it matches; report this to whoever ships the rewrite",
                )

    def _sweep(self, graph: GraphLike, opset: int, taken: splice.Taken) -> bool:
        """One walk over the graph, in order; True if anything fired."""
        fired = len(self.fired)
        for node in graph:
            if node.op_type not in self.rewrite.roots or node.domain:
                continue
            try:
                proposal = self.rewrite.propose(node, opset, self.options, self.judge)
            except Refusal as refusal:
                self.refused.append(Site(node.name or "", refusal.reason))
                continue
            name = node.name or ""
            splice.apply(graph, proposal, self.rewrite.name, taken)
            self.fired.append(Site(name, made=tuple(born.name or "" for born in proposal.born)))
        return len(self.fired) > fired


def _is_cheaper(proposal: splice.Proposal, opset: int, cheaper: Judge) -> bool:
    try:
        return cheaper(proposal, opset)
    except GraphcError as error:  # the replacement contradicts itself, where ONNX's inference does not look
        raise Refusal(f"the replacement would not be valid: {error.message}") from error


def conditions_of(source: str) -> tuple[Condition, ...]:
    """The `require` calls of a module's source. Raises ValueError if a reason is not a literal string."""
    found = []
    for call in ast.walk(ast.parse(textwrap.dedent(source))):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "require"):
            continue
        reason = ast.literal_eval(call.args[1])
        notes = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
        found.append((call.lineno, Condition(reason, notes.get("conservative", ""))))
    return tuple(condition for _, condition in sorted(found, key=lambda pair: pair[0]))


class ConstructionError(TypeError):
    """What a construction returned is no replacement of its root, on whatever model."""


def _mapping(root: ir.Node, result: Any) -> dict[ir.Value, ir.Value]:
    """What a construction returned, as old value -> new value."""
    if isinstance(result, ir.Value):
        return {root.outputs[0]: result}
    if isinstance(result, tuple) and len(result) <= len(root.outputs):
        return dict(zip(root.outputs, result, strict=False))
    if isinstance(result, tuple):
        raise ConstructionError(f"{len(result)} results for a {root.op_type} with {len(root.outputs)} outputs")
    if isinstance(result, dict):
        return result
    raise ConstructionError(f"a rewrite returns a value, a tuple of values or a mapping, not {type(result).__name__}")
