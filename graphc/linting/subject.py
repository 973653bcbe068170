"""What lints look at: one model or one spec, each view of it made when it is first asked for."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import onnx_ir as ir

from graphc import walk
from graphc.analysis.contents import Contents, contents, is_floating
from graphc.analysis.intervals import Interval, intervals
from graphc.errors import GraphcError, Where
from graphc.files import lines
from graphc.inference import infer_missing
from graphc.limits import DEFAULT, Limits
from graphc.linting.settings import Layer, Settings, of_spec, resolve
from graphc.model import defects, read
from graphc.naming import is_model, split_source
from graphc.source import pass_errors
from graphc.spec import document
from graphc.spec.project import root_of
from graphc.spec.tree import MappingNode

if TYPE_CHECKING:
    from graphc.analysis.cost_report import CostReport
    from graphc.spec.network import Network

SOURCE = re.compile(r"(?P<file>[^\0:]{1,1024}\.(?:yaml|yml|json)):(?P<line>[0-9]{1,9})")  # as emitted nodes carry it
T = TypeVar("T")
SPEC_BYTES = 1 << 22  # of a file whose lines are shown; a spec is smaller


class Subject:
    """One spec or one model under lint: what a View is to a rewrite, for lints, which look at whole files, too.

    `source` is what it was opened from. `network` is the expanded spec; None for a model, and for a spec that cannot be
    expanded. `errors` are what reading said of it. A subject may be broken in any way: what a look asks for and cannot
    have raises GraphcError, and the look is not analysed.
    """

    def __init__(
        self,
        source: str = "",
        *,
        model: ir.Model | None = None,
        network: Network | None = None,
        errors: tuple[GraphcError, ...] = (),
        layers: Sequence[Layer] = (),
        limits: Limits = DEFAULT,
    ) -> None:
        self.source, self.network, self.errors = source, network, errors
        self.resolved = resolve([*self._own(), *layers])
        self.limits = limits
        self._model = model
        self._lines: dict[str, list[str]] = {}
        self._made: dict[object, Any] = {}  # by what made it
        self._costs: dict[tuple[object, ...], CostReport] = {}  # of those asked for

    @property
    def settings(self) -> Settings:
        """What the spec, the project and the caller say about linting it."""
        return self.resolved.settings

    def _own(self) -> list[Layer]:
        """What the spec says about linting it."""
        return [of_spec(self.network.spec.lint, self.source)] if self.network is not None else []

    # ---------------------------------------------------------------- views

    @property
    def path(self) -> Path | None:
        """The file, if it is one."""
        return Path(split_source(self.source)[0]) if self.source else None

    @property
    def is_model(self) -> bool:
        """Whether it was opened as a model and not as a spec."""
        return self.network is None and (not self.source or is_model(self.source))

    @cached_property
    def has_model(self) -> bool:
        """Whether there is a model to look at: not where the file could not be read or the spec not be expanded."""
        return self._model is not None or self.network is not None

    @property
    def model(self) -> ir.Model:
        """The model before any pass, with every shape that can be inferred; that of a spec has no weights.

        Raises GraphcError (run/not-analysed) where there is none.
        """
        return self._inferred[0]

    @property
    def declared(self) -> Mapping[ir.Value, ir.Shape]:
        """The shapes that the model itself states, of the values of `model`; inference may have said otherwise."""
        return self._inferred[1]

    @cached_property
    def _inferred(self) -> tuple[ir.Model, Mapping[ir.Value, ir.Shape]]:
        model = self.network.model() if self.network is not None else self._model
        if model is None:
            raise GraphcError("there is no model to look at", code="run/not-analysed")
        values = (value for node in walk.nodes(model) for value in node.outputs)
        declared = {value: value.shape.copy() for value in values if value.shape is not None}
        infer_missing(model)
        return model, declared

    @cached_property
    def weighted(self) -> ir.Model:
        """The model with weights: those of a spec are read from their file, or initialised.

        Raises GraphcError where the weights cannot be had.
        """
        if self.network is None:
            return self.model
        self.network.fill(limits=self.limits)
        model = self.network.model()
        infer_missing(model)
        return model

    @cached_property
    def has_weights(self) -> bool:
        """Whether `weighted` has somebody's weights: what a spec without a file is initialised with says nothing."""
        network = self.network
        return self.has_model and (network is None or all(s.weights.file is not None for s in network.weights))

    @cached_property
    def weights(self) -> Mapping[ir.Value, Contents]:
        """What the floating initializers of `weighted` hold; none where there are no weights. Reads them, once."""
        if not self.has_weights:
            return {}
        found = ((value, value.const_value) for value in walk.initializers(self.weighted))
        return {value: contents(tensor) for value, tensor in found if tensor is not None and is_floating(tensor)}

    @cached_property
    def intervals(self) -> Mapping[ir.Value, Interval]:
        """Between which bounds the values of `model` lie, of every graph."""
        found: dict[ir.Value, Interval] = {}
        for graph, opset in walk.graphs(self.model):
            found.update(intervals(graph, opset))
        return found

    @property
    def expanded(self) -> Network:
        """The expanded spec, which a lint on specs always has. Raises GraphcError (run/not-analysed) for a model."""
        if self.network is None:
            raise GraphcError("there is no spec to look at", code="run/not-analysed")
        return self.network

    @property
    def tree(self) -> MappingNode:
        """The spec as written, merged over what it extends. Raises GraphcError as `expanded`."""
        return self.expanded.tree

    @cached_property
    def _by_type(self) -> Mapping[str, list[tuple[ir.Node, int]]]:
        found: dict[str, list[tuple[ir.Node, int]]] = defaultdict(list)
        for graph, opset in walk.graphs(self.model):
            for node in graph:
                if not node.domain:
                    found[node.op_type].append((node, opset))
        return found

    @cached_property
    def graphs(self) -> Sequence[tuple[walk.GraphLike, Mapping[str, int]]]:
        """Every graph of the model, the main one, those inside it, and functions, with the opsets of each domain."""
        return tuple(walk.imports(self.model))

    def nodes(self, *op_types: str) -> Iterator[tuple[ir.Node, int]]:
        """The nodes of these standard operators, in any graph, each with the opset that it stands under."""
        for op_type in op_types:
            yield from self._by_type.get(op_type, ())

    @cached_property
    def named(self) -> Mapping[str, ir.Node]:
        """The nodes that have a name, by it, in the order of the model."""
        return {node.name: node for node in walk.nodes(self.model) if node.name}

    def cost(
        self, *, training: bool = False, dims: Mapping[str, int] | None = None, batch: int | None = None
    ) -> CostReport:
        """What an inference or a training step costs, at these sizes or the preferred ones. Raises GraphcError.

        With a `batch` what was opened is read once more: the size of an expanded spec is settled.
        """
        key = training, tuple(sorted((dims or {}).items())), batch
        if key not in self._costs:
            from graphc.analysis.training import cost

            source = (self.source if batch is not None else "") or self.network or self.model
            self._costs[key] = cost(source, training=training, dims=dims, batch=batch, limits=self.limits)
        return self._costs[key]

    def once(self, make: Callable[[Subject], T]) -> T:
        """What `make` makes of this subject, made when it is first asked for: several lints share it."""
        if make not in self._made:
            self._made[make] = make(self)
        found: T = self._made[make]
        return found

    # ---------------------------------------------------------------- places

    def place(self, node: ir.Node | None) -> Where | None:
        """The line of the spec that a node comes from, where the node says so and the file is there."""
        found = SOURCE.fullmatch(node.doc_string or "") if node is not None else None
        if found is None:
            return None
        for root in self._roots:
            file = root / found["file"]
            if file.is_file() and file.resolve().is_relative_to(root):
                line = int(found["line"])
                text = self.line(str(file), line)
                return Where(self._shown(file), line, len(text) - len(text.lstrip()) + 1, text)
        return None

    def _shown(self, file: Path) -> str:
        """A file as the user names it: as given, or else from here."""
        if self.path is not None and self.path.resolve() == file.resolve():
            return str(self.path)
        return os.path.relpath(file) if file.is_relative_to(Path.cwd()) else str(file)

    @cached_property
    def _roots(self) -> list[Path]:
        """The folders that the source of a node may be named from."""
        roots = [] if self.path is None else [root_of(self.path), self.path.resolve().parent]
        return list(dict.fromkeys([*roots, Path.cwd()]))

    def line(self, file: str, number: int) -> str:
        """A line of a text file, empty where there is none."""
        found = self.lines(file)
        return found[number - 1] if 0 < number <= len(found) else ""

    def lines(self, file: str) -> list[str]:
        """The lines of a text file, none where it cannot be read."""
        if file not in self._lines:
            try:
                with Path(file).open("rb") as stream:
                    content = stream.read(SPEC_BYTES)
            except (OSError, ValueError):  # ValueError: a NUL in the path
                content = b""
            self._lines[file] = lines(content.decode("utf-8", "replace"))
        return self._lines[file]


def of_model(model: ir.Model, layers: Sequence[Layer] = (), limits: Limits = DEFAULT) -> Subject:
    """A model under lint, which is left as it is."""
    errors = tuple(defects(model, limits))
    own = ir.from_proto(ir.to_proto(model)) if errors else model.clone()  # a broken one cannot be cloned
    return Subject(model=own, errors=errors, layers=layers, limits=limits)


def opened(source: str, layers: Sequence[Layer] = (), limits: Limits = DEFAULT) -> Subject:
    """A spec (`net.yaml@variant`) or a model under lint; what reading it says is in `errors`, never raised.

    `layers` are the settings of the project and of the caller, which go before those of the spec.
    """
    if is_model(source):
        return _opened_model(source, layers, limits)
    from graphc.spec.doors import expand  # not for a model: it takes long

    try:
        network = expand(source, limits=limits)
    except GraphcError as error:
        return Subject(source, errors=error.all, layers=layers, limits=limits)
    errors = tuple(pass_errors(network))
    try:
        network.check_weights(limits)
    except GraphcError as error:
        errors += error.all
    return Subject(source, network=network, errors=errors, layers=layers, limits=limits)


def _opened_model(source: str, layers: Sequence[Layer], limits: Limits) -> Subject:
    try:
        model = read(source, limits)
        errors = tuple(defects(model, limits))
    except GraphcError as error:
        return Subject(source, errors=error.all, layers=layers, limits=limits)
    usable = not any(error.code == "security/expansion-bomb" for error in errors)
    return Subject(source, model=model if usable else None, errors=errors, layers=layers, limits=limits)


def opened_with_variants(source: str, layers: Sequence[Layer] = (), limits: Limits = DEFAULT) -> list[Subject]:
    """A spec as named and, if no variant is, with each that it has; anything else as it is. Of one that is no YAML the
    reader's error is all there is."""
    try:
        names = _variants(source, limits)
    except GraphcError as error:
        return [Subject(source, errors=error.all, layers=layers, limits=limits)]
    return [opened(name, layers, limits) for name in names]


def _variants(source: str, limits: Limits) -> list[str]:
    """`net.yaml`, `net.yaml@x2`, ...; raises what reading the file raises."""
    if is_model(source) or split_source(source)[1] is not None:
        return [source]
    found = document.read(Path(source), limits).get("variants")
    return [source, *(f"{source}@{name}" for name in found)] if isinstance(found, MappingNode) else [source]
