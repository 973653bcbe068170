"""The doors to a spec: `expand` makes a network of a file, `build` a model with weights.

In between, the module of the file is put together to a network: the interface at both ends, what the nodes
expand to, and what training adds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path

import onnx_ir as ir

from graphc.errors import GraphcError, Where, suggest
from graphc.limits import DEFAULT, Limits
from graphc.spec.bounds import least_items
from graphc.spec.diagnose import located, shown
from graphc.spec.document import parse
from graphc.spec.emit import Emitter
from graphc.spec.expansion import Body, Expander
from graphc.spec.interfaces import TensorType, points_of, sizes_at, written
from graphc.spec.items import Item
from graphc.spec.language import Target
from graphc.spec.modules import COMMAND_LINE, Loader, Module, parsed_overrides
from graphc.spec.network import Loss, Network, Training, WeightSource
from graphc.spec.problems import Problems, Stop
from graphc.spec.project import Opened, Project, root_of, split_variant
from graphc.spec.scope import POISON, Frame, Outputs, Poisoned
from graphc.spec.tree import Mapping as MappingTree
from graphc.spec.tree import Scalar, Sequence, Tree
from graphc.spec.weights import Weights

FLOATS = {"fp32": ir.DataType.FLOAT, "fp16": ir.DataType.FLOAT16, "bf16": ir.DataType.BFLOAT16}


def expand(
    source: str | Path,
    *,
    variant: str | None = None,
    params: Mapping[str, object] | None = None,
    dims: Mapping[str, int] | None = None,
    target: str | None = None,
    limits: Limits = DEFAULT,
    max_errors: int = 20,
) -> Network:
    """The network of a spec file, without weights: `expand("edsr.yaml@x4", params={"feats": 32})`.

    `params` overrides the spec's parameters; texts are read as YAML values. `dims` gives dimensions one size each.
    `target` names one of its targets. Raises one GraphcError that carries every independent error of the spec.
    """
    path = source
    if isinstance(source, str):
        path, named = split_variant(source)
        variant = variant if variant is not None else named
    project = Project(root_of(Path(path)), limits)
    tree, opened = project.open(Path(path))
    tree = _fixed(_narrowed(tree, target), dims or {})
    return _Expansion(project, tree, opened, target, max_errors).network(variant, params or {})


def expand_text(
    text: str,
    file: str = "spec.yaml",
    *,
    root: Path | None = None,
    variant: str | None = None,
    params: Mapping[str, object] | None = None,
    dims: Mapping[str, int] | None = None,
    target: str | None = None,
    limits: Limits = DEFAULT,
    max_errors: int = 20,
) -> Network:
    """As `expand`, for the text of a spec that stands in the folder `root` (default: the current one)."""
    project = Project(root or Path(), limits)
    project.adopt(file, root or Path())
    tree = _fixed(_narrowed(project.extended(parse(text, file, limits), None), target), dims or {})
    return _Expansion(project, tree, None, target, max_errors).network(variant, params or {})


def build(
    source: str | Path,
    *,
    variant: str | None = None,
    params: Mapping[str, object] | None = None,
    dims: Mapping[str, int] | None = None,
    target: str | None = None,
    seed: int | None = None,
    limits: Limits = DEFAULT,
) -> ir.Model:
    """The inference model of a spec file, with weights; arguments and errors as for `expand`.

    `seed` overrides the spec's seed for initialised weights.
    """
    network = expand(source, variant=variant, params=params, dims=dims, target=target, limits=limits)
    network.fill(seed=seed, limits=limits)
    return network.model()


# ---------------------------------------------------------------- expansion


class _Expansion:
    """One expansion of one spec."""

    def __init__(
        self, project: Project, tree: MappingTree, opened: Opened | None, target: str | None, max_errors: int
    ) -> None:
        self.project, self.opened, self.target = project, opened, target
        self.tree = tree
        self.problems = Problems(max_errors)

    def network(self, variant: str | None, params: Mapping[str, object]) -> Network:
        """Raises one GraphcError that carries what is wrong."""
        network = None
        try:
            module = Loader(self.project, self.problems).load(
                self.tree, self.opened, variant=variant, overrides=parsed_overrides(params)
            )
            if module is not None:
                network = self._expanded(module)
        except Stop:
            pass
        self.problems.raise_all()
        assert network is not None  # there is a network, or a problem
        return network

    def _expanded(self, module: Module) -> Network:
        spec = module.spec
        target = spec.targets.get(self.target or "", Target())
        g = Emitter(
            points_of(spec.dims),
            opset=target.opset,
            float_type=FLOATS[target.precision],
            max_nodes=self.project.limits.graph_nodes,
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
        sources = [WeightSource("", spec.weights or Weights(), *self._written(module, "weights"))]
        sources += self._imported_weights(module)
        return Network(spec, g, tuple(inputs), tuple(outputs), nodes, target, training, tuple(sources))

    def _written(self, module: Module, *keys: str) -> tuple[Path, Where]:
        """The folder that a section's files are named from, and the section's place."""
        where = module.place(*keys)
        return self.project.directory(where.file), where

    def _imported_weights(self, module: Module) -> Iterator[WeightSource]:
        """The weights of each import: those given where it is imported, or else its own."""
        for name, imported in module.imports.items():
            assert imported.declared is not None  # it was imported
            if imported.declared.weights is not None:
                written = self._written(module, "imports", name, "weights")
                yield WeightSource(imported.path, imported.declared.weights, *written)
            elif imported.spec.weights is not None:
                yield WeightSource(imported.path, imported.spec.weights, *self._written(imported, "weights"))
            yield from self._imported_weights(imported)


def _check_size(x: Expander, module: Module) -> None:
    blocks = module.section("blocks")
    known = blocks.entries if isinstance(blocks, MappingTree) else {}
    try:
        x.trace.check_items(least_items(module.section("nodes"), known, x.trace.limits.block_depth))
    except GraphcError as error:
        x.trace.report(error, module.tree.keys["nodes"])


def _narrowed(tree: MappingTree, target: str | None) -> MappingTree:
    """The spec with the dims that a target narrows.

    Raises GraphcError: spec/unknown-target, spec/undeclared-dim.
    """
    if target is None:
        return tree
    targets = tree.get("targets")
    known = targets.entries if isinstance(targets, MappingTree) else {}
    if target not in known:
        raise GraphcError(
            f"unknown target '{target}'",
            code="spec/unknown-target",
            where=tree.keys.get("targets", tree.where),
            hint=suggest(target, known) or "this spec has no targets",
        )
    chosen = known[target]
    shapes = chosen.get("shapes") if isinstance(chosen, MappingTree) else None
    if not isinstance(shapes, MappingTree):
        return tree
    return _with_dims(tree, shapes)


def _fixed(tree: MappingTree, sizes: Mapping[str, int]) -> MappingTree:
    """The spec with one size for each of these dims. Raises GraphcError (spec/undeclared-dim)."""
    given: dict[str, Tree] = {name: Scalar(size, COMMAND_LINE) for name, size in sizes.items()}
    return _with_dims(tree, MappingTree(given, COMMAND_LINE, dict.fromkeys(sizes, COMMAND_LINE)))


def _with_dims(tree: MappingTree, changed: MappingTree) -> MappingTree:
    """The spec with other dims. Raises GraphcError (spec/undeclared-dim, spec/bad-value for a size out of range)."""
    dims = tree.get("dims")
    declared = dims.entries if isinstance(dims, MappingTree) else {}
    for name in changed:
        if name not in declared:
            raise GraphcError(
                f"dimension '{name}' is not declared",
                code="spec/undeclared-dim",
                where=changed.keys.get(name, changed.where),
                hint=suggest(name, declared) or "this spec has no dims",
            )
        _check_range(name, declared[name], changed.entries[name])
    if not isinstance(dims, MappingTree):
        return tree
    merged = replace(dims, entries={**dims.entries, **changed.entries}, keys={**dims.keys, **changed.keys})
    return replace(tree, entries={**tree.entries, "dims": merged})


def _check_range(name: str, declared: Tree, size: Tree) -> None:
    if not (isinstance(declared, MappingTree) and isinstance(size, Scalar) and isinstance(size.value, int)):
        return
    bounds = {key: value.value for key, value in declared.entries.items() if isinstance(value, Scalar)}
    least, most, step = (bounds.get(key) for key in ("min", "max", "multiple_of"))
    low = isinstance(least, int) and size.value < least
    high = isinstance(most, int) and size.value > most
    if low or high or (isinstance(step, int) and size.value % step):
        allowed = ", ".join(f"{key}: {value}" for key, value in bounds.items() if key != "opt")
        raise GraphcError(
            f"{name} = {size.value} is not in the range of the dimension",
            code="spec/bad-value",
            where=size.where,
            hint=f"it is declared {{{allowed}}}",
        )


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
    for tree in section.items if isinstance(section, Sequence) else ():
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
    taken = {value.name for value in fixed}
    kept = set(fixed)
    for value in (*g.constants.values(), *(output for node in g.nodes for output in node.outputs)):
        if value in kept:
            continue
        name, number = value.name, 1
        while value.name in taken:
            number += 1
            value.name = f"{name}_{number}"
        taken.add(value.name)
