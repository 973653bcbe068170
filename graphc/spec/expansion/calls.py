"""Calls of what a spec defines itself: blocks and imported specs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from graphc.errors import GraphcError, Where, collect, suggest
from graphc.spec.diagnose import located
from graphc.spec.emit import Sizes
from graphc.spec.interfaces import TensorType, written
from graphc.spec.items import Item
from graphc.spec.language import Block
from graphc.spec.modules import Module, bind
from graphc.spec.scope import DynamicDim, Frame, Outputs, Poisoned, placed
from graphc.spec.tree import MappingNode, Tree

if TYPE_CHECKING:
    from graphc.spec.expansion.expander import Body, Expander


def call_block(x: Expander, item: Item, body: Body) -> Outputs:
    """Expand a block's body, which sees its inputs, its parameters and the spec's parameters only."""
    module, name = body.module, item.what
    block = module.spec.blocks[name]
    given = _block_arguments(x, item, body, block)
    inputs = _inputs(x, item, body, f"block '{name}'", block.inputs)
    frame = Frame(module.variables)
    for label, outputs in inputs.items():
        frame.bind(label, outputs)
    frame.previous = next(iter(inputs.values())) if len(inputs) == 1 else None
    with x.scope(item, body), x.trace.calling(module, name, item.where):
        for section, values in (("params", given), ("let", {})):
            bind(module.section("blocks", name, section), values, frame, x.functions, x.trace.report)
        last = x.body(module.section("blocks", name, "do"), replace(body, frame=frame))
        if not block.outputs:
            return x.given(last, f"block '{name}'")
        return _named(x, frame, block.outputs, module.section("blocks", name, "outputs"))


def _block_arguments(x: Expander, item: Item, body: Body, block: Block) -> dict[str, object]:
    """The parameters that a call gives; a value that is no mapping is the block's first parameter."""
    tree = item.arguments
    if tree is None:
        trees: dict[str, Tree] = {}
    elif isinstance(tree, MappingNode):
        trees = dict(tree.entries)
    elif block.params:
        trees = {next(iter(block.params)): tree}
    else:
        raise GraphcError(f"block '{item.what}' has no params", code="spec/unknown-argument", where=tree.where)
    errors = [
        GraphcError(
            f"{item.what}: unknown argument '{name}'",
            code="spec/unknown-argument",
            where=located(tree, (name,), key=True) if tree else None,
            hint=suggest(name, block.params) or "the block has no params",
        )
        for name in trees
        if name not in block.params
    ]
    errors += [
        GraphcError(f"{item.what}: '{name}' is required", code="spec/missing-argument")
        for name, default in block.params.items()
        if default is None and name not in trees
    ]
    if errors:
        raise collect(errors, limit=len(errors))
    return {name: x.value(one, body) for name, one in trees.items()}


def call_import(x: Expander, item: Item, body: Body) -> Outputs:
    """Expand an imported spec on the given inputs; its weights are named after it, so that calls share them.

    Dimensions of the imported spec that its inputs name take the sizes that the inputs have here.
    """
    module, name = body.module.imports[item.what], item.what
    declared = module.declared
    assert declared is not None  # every module in `imports` was imported
    if item.arguments is not None:
        raise GraphcError(
            f"import '{name}' takes no arguments here",
            code="spec/unknown-argument",
            where=item.arguments.where,
            hint="give it 'params' where it is imported",
        )
    inputs = _inputs(x, item, body, f"import '{name}'", list(module.spec.inputs))
    frame = Frame({**module.variables, **_bound_dims(x, item, module, inputs)})
    bind(module.section("let"), {}, frame, x.functions, x.trace.report)
    for label, outputs in inputs.items():
        frame.bind(label, outputs)
    frame.previous = next(iter(inputs.values())) if len(inputs) == 1 else None
    inner = replace(body, module=replace(module, variables=frame.variables), frame=frame)
    with (
        x.scope(item, body, shared=module.path, frozen=declared.frozen),
        x.trace.entered(item.where, f"in import '{name}'"),
    ):
        x.body(module.section("nodes"), inner, until=declared.until)
    if declared.until is None:
        found = _named(x, frame, list(module.spec.outputs), module.section("outputs"))
    else:
        found = _until(frame, declared.until, body.module.place("imports", name, "until"))
    return Outputs(found.values, dict(frame.ids), found.poisoned)


def _until(frame: Frame, name: str, where: Where) -> Outputs:
    try:
        return frame.resolve(name)
    except GraphcError as error:
        raise placed(error, where) from None


def _inputs(x: Expander, item: Item, body: Body, what: str, names: list[str]) -> dict[str, Outputs]:
    """What each input of a block or import is given."""
    found = x.inputs(item, body, len(names), len(names), f"{what} takes {', '.join(names) or 'nothing'}")
    return {name: x.one(outputs, item) for name, outputs in zip(names, found, strict=True)}


def _named(x: Expander, frame: Frame, names: list[str], tree: Tree | None) -> Outputs:
    """The outputs that a section names, as members too."""
    found = {}
    for index, name in enumerate(names):
        try:
            found[name] = frame.resolve(name)
        except GraphcError as error:
            where = located(tree, (name,), key=True) if isinstance(tree, MappingNode) else None
            x.trace.report(placed(error, where or (located(tree, (index,)) if tree else None)))
            raise Poisoned from None
    outputs = Outputs.together(list(found.values()))
    return outputs if len(found) == 1 else Outputs(outputs.values, found, outputs.poisoned)


# ---------------------------------------------------------------- dimensions of an import


def _bound_dims(x: Expander, item: Item, module: Module, inputs: Mapping[str, Outputs]) -> dict[str, object]:
    """Sizes for the dims of the imported spec, from the inputs it is called with.

    Raises GraphcError (spec/shape-mismatch) if an input does not fit its declared type.
    """
    types = {name: _type(module, name) for name in module.spec.inputs}
    columns: dict[str, tuple[int, ...]] = {}
    for name, type_ in types.items():
        sizes = _sizes(x, item, module, name, type_, inputs[name])
        for axis, dim in enumerate(type_.dims):
            if dim in module.spec.dims:
                columns.setdefault(dim, tuple(shape[axis] for shape in sizes))
    bound: dict[str, object] = {
        dim: column[0] if len(set(column)) == 1 else DynamicDim(dim) for dim, column in columns.items()
    }
    for name, type_ in types.items():
        actual = x.g.sizes(inputs[name].single(name))
        for point, shape in enumerate(actual):
            at = {dim: column[point] for dim, column in columns.items()}
            if type_.sizes(Frame({**module.variables, **bound, **at})) != shape:
                _refuse(x, item, module, name, inputs[name])
    return bound


def _type(module: Module, name: str) -> TensorType:
    try:
        return TensorType.parse(module.spec.inputs[name])
    except GraphcError as error:
        raise placed(error, module.place("inputs", name)) from None


def _sizes(x: Expander, item: Item, module: Module, name: str, type_: TensorType, given: Outputs) -> tuple[Sizes, ...]:
    value = given.single(name)
    sizes = x.g.sizes(value)
    floats = type_.dtype.is_floating_point() and value.dtype == x.g.float_type
    if len(sizes[0]) != len(type_.dims) or not (floats or value.dtype == type_.dtype):
        _refuse(x, item, module, name, given)
    return sizes


def _refuse(x: Expander, item: Item, module: Module, name: str, given: Outputs) -> None:
    value = given.single(name)
    found = written(value.dtype, x.g.labels(value))
    raise GraphcError(
        f"import '{item.what}': input '{name}' is {module.spec.inputs[name]}, given {found}",
        code="spec/shape-mismatch",
        notes=x.made_by([value]),
    )
