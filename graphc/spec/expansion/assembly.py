"""Puts a network together: the interface at both ends, what the nodes expand to, and what training adds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from math import prod

import onnx_ir as ir

from graphc.collector import uncollected
from graphc.errors import GraphcError, Where
from graphc.spec.diagnose import located, shown
from graphc.spec.emit import Emitter
from graphc.spec.expansion.bounds import least_items
from graphc.spec.expansion.expander import Body, Expander
from graphc.spec.interfaces import TensorType, points_of, sizes_at, written
from graphc.spec.items import Item
from graphc.spec.language import Target
from graphc.spec.modules import Loader, Module, parsed_overrides
from graphc.spec.network import Loss, Network, Training, WeightSource
from graphc.spec.parameters import PRECISIONS
from graphc.spec.problems import Problems, Stop
from graphc.spec.project import Opened, Project
from graphc.spec.scope import POISON, Frame, Outputs, Poisoned
from graphc.spec.tree import MappingNode, SequenceNode
from graphc.spec.weights import Weights
from graphc.splice import Names


class Expansion:
    """One expansion of one spec."""

    def __init__(
        self, project: Project, tree: MappingNode, opened: Opened | None, target: str | None, max_errors: int
    ) -> None:
        self.project, self.opened, self.target = project, opened, target
        self.tree = tree
        self.problems = Problems(max_errors)

    def network(self, variant: str | None, params: Mapping[str, object]) -> Network:
        """Raises one GraphcError that carries what is wrong."""
        network = None
        with uncollected(), suppress(Stop):
            loader = Loader(self.project, self.problems)
            module = loader.load(self.tree, self.opened, variant=variant, overrides=parsed_overrides(params))
            network = self._expanded(module) if module else None
        self.problems.raise_all()
        assert network is not None  # there is a network, or a problem
        return network

    def _expanded(self, module: Module) -> Network:
        spec = module.spec
        target = spec.targets.get(self.target or "", Target())
        g = Emitter(
            points_of(spec.dims),
            opset=target.opset,
            float_type=PRECISIONS[target.precision],
            max_nodes=self.project.limits.graph_nodes,
            bounded=all(dim.max is not None for dim in spec.dims.values()),
        )
        x = Expander(g, self.problems, self.project.limits, self.project.source)
        body = Body(module, Frame(module.variables))
        inputs = _inputs(x, body, spec.inputs, "inputs")
        if len(spec.inputs) == 1:
            body.frame.previous = next(iter(body.frame.ids.values()))
        _check_size(x, module)
        x.body(module.section("nodes"), body)
        outputs = _outputs(x, body)
        nodes = tuple(g.nodes)
        training = None if spec.train is None else _training(x, body, len(nodes))
        _name_values(g, inputs, outputs, training)
        sources = [self._source("", spec.weights or Weights(), module.place("weights"))]
        sources += self._imported_weights(module)
        return Network(
            spec,
            module.tree,
            g,
            tuple(inputs),
            tuple(outputs),
            nodes,
            target,
            training,
            tuple(sources),
            x.origins,
        )

    def _source(self, prefix: str, weights: Weights, where: Where) -> WeightSource:
        return WeightSource(prefix, weights, self.project.directory(where.file), self.project.root, where)

    def _imported_weights(self, module: Module) -> Iterator[WeightSource]:
        """The weights of each import: those given where it is imported, or else its own."""
        for name, imported in module.imports.items():
            assert imported.declared is not None  # it was imported
            if imported.declared.weights is not None:
                where = module.place("imports", name, "weights")
                yield self._source(imported.path, imported.declared.weights, where)
            elif imported.spec.weights is not None:
                yield self._source(imported.path, imported.spec.weights, imported.place("weights"))
            yield from self._imported_weights(imported)


def _check_size(x: Expander, module: Module) -> None:
    blocks = module.section("blocks")
    known = blocks.entries if isinstance(blocks, MappingNode) else {}
    try:
        x.trace.check_items(least_items(module.section("nodes"), known, module.variables, x.trace.limits.block_depth))
    except GraphcError as error:
        x.trace.report(error, module.tree.keys["nodes"])


def _inputs(x: Expander, body: Body, types: Mapping[str, str], *section: str) -> list[ir.Value]:
    """The graph inputs of a section, bound to their ids; a float input is cast to the network's precision."""
    g, module = x.g, body.module
    found = []
    for name, text in types.items():
        where = module.place(*section, name)
        outputs = POISON
        try:
            type_ = TensorType.parse(text)
            value = g.input(name, type_.dtype, sizes_at(type_, g.points, module.variables))
            x.origins[value] = where
            found.append(value)
            cast = type_.dtype == ir.DataType.FLOAT != g.float_type
            outputs = Outputs((_cast(x, name, value, g.float_type) if cast else value,))
        except Poisoned:
            pass
        except GraphcError as error:
            x.trace.report(error, where)
        try:
            body.frame.bind(name, outputs)
        except GraphcError as error:
            x.trace.report(error, where)
    return found


def _outputs(x: Expander, body: Body) -> list[ir.Value]:
    """The graph outputs, each a value of its own that carries its id, in the type of the interface."""
    declared, module = body.module.spec.outputs, body.module
    found: list[ir.Value] = []
    for index, name in enumerate(declared):
        types = declared if isinstance(declared, dict) else {}
        where = located(module.tree, ("outputs", name if types else index), key=bool(types))
        try:
            value = body.frame.resolve(name).single(name)
            if name in module.spec.inputs or name in list(declared)[:index]:
                raise GraphcError(
                    f"'{name}' is an input or output of the graph already",
                    code="spec/duplicate-id",
                    hint=f"give it another id: {{id: {name}_out, Identity: {{}}, from: {name}}}",
                )
            found.append(_output(x, name, value, found))
            if types:
                _check_output(x, body, name, types[name], found[-1])
        except Poisoned:
            pass
        except GraphcError as error:
            x.trace.report(error, where)
    return found


def _output(x: Expander, name: str, value: ir.Value, others: list[ir.Value]) -> ir.Value:
    g = x.g
    if value.dtype == g.float_type != ir.DataType.FLOAT:
        value = _cast(x, name, value, ir.DataType.FLOAT)
    elif value.producer() is None or value in others:
        value = g.op("Identity", value, name=f"{name}/identity")
    value.name = name
    return value


def _cast(x: Expander, name: str, value: ir.Value, dtype: ir.DataType) -> ir.Value:
    """A value of the interface in another type; the node is named after the input or output."""
    return x.g.op("Cast", value, name=f"{name}/cast", to=dtype)


def _check_output(x: Expander, body: Body, name: str, text: str, value: ir.Value) -> None:
    """Raises GraphcError (spec/shape-mismatch) unless the output has the type that the spec declares."""
    where = body.module.place("outputs", name)
    try:
        type_ = TensorType.parse(text)
        sizes = sizes_at(type_, x.g.points, body.module.variables)
    except GraphcError as error:
        x.trace.report(error, where)
        return
    if value.dtype != type_.dtype or tuple(sizes) != x.g.sizes(value):
        raise GraphcError(
            f"output '{name}' is declared {text}, but is {written(value.dtype, x.g.labels(value))}",
            code="spec/shape-mismatch",
            where=where,
            notes=x.made_by([value]),
        )


def _training(x: Expander, body: Body, start: int) -> Training | None:
    """Expand the `train` section, whose items see everything that inference has."""
    train = body.module.spec.train
    assert train is not None
    inner = body.inner({}, None)
    with x.g.scope("train"):
        inputs = _inputs(x, inner, train.inputs, "train", "inputs")
        x.body(body.module.section("train", "nodes"), inner)
        losses = list(_losses(x, replace(inner, losses=True)))
    return Training(tuple(inputs), tuple(x.g.nodes[start:]), tuple(losses), train.optimizer)


def _losses(x: Expander, body: Body) -> Iterator[Loss]:
    section = body.module.section("train", "losses")
    for tree in section.items if isinstance(section, SequenceNode) else ():
        body.frame.previous = None
        x.item(tree, body)
        outputs = body.frame.previous
        if outputs is None or outputs.poisoned:
            continue  # its `when` does not hold, or it has been reported
        item = x.parsed(tree)
        try:
            yield _loss(x, item, body, outputs)
        except Poisoned:
            pass
        except GraphcError as error:
            x.trace.report(error, item.where)


def _loss(x: Expander, item: Item, body: Body, outputs: Outputs) -> Loss:
    value = outputs.single(item.label)
    if any(prod(shape) != 1 for shape in x.g.sizes(value)):
        raise GraphcError(
            f"a loss is one number, but '{item.label}' gives {x.g.show(value)}", code="spec/shape-mismatch"
        )
    tree = item.section("weight")
    weight = 1.0 if tree is None else x.value(tree, body)
    if isinstance(weight, bool) or not isinstance(weight, (int, float)):
        raise GraphcError(
            f"the weight of a loss is a number, not {shown(weight)}",
            code="spec/bad-type",
            where=tree.where if tree else None,
        )
    return Loss(item.label, value, float(weight))


def _name_values(g: Emitter, inputs: list[ir.Value], outputs: list[ir.Value], training: Training | None) -> None:
    """Give every value a name of its own: the interface and the weights keep theirs, the rest make way."""
    fixed = [*inputs, *outputs, *(training.inputs if training else ())]
    fixed += [parameter.value for parameter in g.parameters.values()]
    names, kept = Names(value.name for value in fixed), set(fixed)
    for value in (*g.constants.values(), *(output for node in g.nodes for output in node.outputs)):
        if value not in kept:
            value.name = names.fresh(value.name or "")
