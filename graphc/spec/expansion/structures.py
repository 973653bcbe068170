"""The forms that hold bodies: `repeat`, a plain `do`, `residual` and `branch`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import TYPE_CHECKING

import onnx_ir as ir

from graphc.errors import GraphcError
from graphc.spec.diagnose import shown, validated
from graphc.spec.items import Item
from graphc.spec.language import Branch, Residual
from graphc.spec.scope import Outputs
from graphc.spec.tree import MappingNode, ScalarNode, SequenceNode, Tree

if TYPE_CHECKING:
    from graphc.spec.emit import Emitter
    from graphc.spec.expansion.expander import Body, Expander

COUNTER = "i"  # the loop variable of `repeat: 3`


def repeat(x: Expander, item: Item, body: Body) -> Outputs:
    """The body once for each value, each time beginning with what the time before gave."""
    outputs = x.begin(item, body)
    variable, values = _iterations(x, item, body)
    label = x.g.unique(item.label) if values else ""
    for index, value in enumerate(values):
        x.trace.count()
        step = f"in repeat {variable}={shown(value)}"
        with x.scope(item, body, f"{label}.{index}"), x.trace.entered(item.where, step):
            outputs = x.body(item.section("do"), body.inner({variable: value}, outputs))
    return x.given(outputs, "the repeat")


def _iterations(x: Expander, item: Item, body: Body) -> tuple[str, Sequence[object]]:
    tree = item.section("repeat")
    if tree is None:
        raise GraphcError("'repeat' needs a count or {name: list}", code="spec/missing-argument")
    variable, source = COUNTER, tree
    if isinstance(tree, MappingNode):
        if len(tree.entries) != 1:
            raise GraphcError("'repeat' takes one loop variable", code="spec/bad-type", where=tree.where)
        variable, source = next(iter(tree.entries.items()))
    values = x.value(source, body)
    if isinstance(values, int) and not isinstance(values, bool) and values >= 0:
        return variable, range(values)
    if isinstance(values, list):
        return variable, values
    raise GraphcError(
        f"'repeat' must be a count or a list, not {shown(values)}",
        code="spec/non-integral" if isinstance(values, float) else "spec/bad-type",
        where=source.where,
        hint="for example repeat: 3, or repeat: {d: [1, 2, 4]}",
    )


def group(x: Expander, item: Item, body: Body) -> Outputs:
    """The body once: `{when: =deep, do: [...]}`."""
    begin = x.begin(item, body)
    with x.scope(item, body), x.trace.entered(item.where):
        return x.given(x.body(item.section("do"), body.inner({}, begin)), "'do'")


def residual(x: Expander, item: Item, body: Body) -> Outputs:
    """y = act(shortcut(x) + scale f(x))."""
    parts = _parts(item, "do")
    form = validated(
        Residual,
        {key: _checkable(x, tree, body) for key, tree in parts.items()},
        item.arguments,
        owner="residual",
        unknown="spec/unknown-argument",
    )
    begin = x.begin(item, body)
    with x.scope(item, body), x.trace.entered(item.where):
        inner = x.body(parts["do"], body.inner({}, begin))
        with x.g.scope("shortcut"):
            short = x.body(parts.get("shortcut"), body.inner({}, begin))
        f, way = (
            x.given(inner, "residual").single("the body"),
            x.given(short, "residual").single("the shortcut"),
        )
        with x.emitting(item, (f, way)):
            if differing := x.differing(f, way):
                x.g.fail(
                    "residual: body gives {}, shortcut {}".format(*differing.shown) + differing.at,
                    code="spec/shape-mismatch",
                    hint=differing.hint
                    or ("add 'shortcut: [conv: ...]'" if "shortcut" not in parts else "make both shapes the same"),
                )
            if form.scale != 1:
                f = x.g.op("Mul", f, x.g.constant(float(form.scale)), name="scale")
            y = x.g.op("Add", way, f)
            return Outputs.of(y if form.act is None else x.g.layer(form.act, y))


def branch(x: Expander, item: Item, body: Body) -> Outputs:
    """Every path over the same input, merged."""
    parts = _parts(item, "paths")
    form = validated(
        Branch,
        {key: _checkable(x, tree, body) for key, tree in parts.items()},
        item.arguments,
        owner="branch",
        unknown="spec/unknown-argument",
    )
    begin = x.begin(item, body)
    paths = parts["paths"]
    assert isinstance(paths, SequenceNode)
    with x.scope(item, body), x.trace.entered(item.where):
        found = []
        for index, path in enumerate(paths):
            with x.g.scope(f"path.{index}"):
                found.append(x.body(path, body.inner({}, begin)))
        values = [x.given(end, "the path").single(f"path {index}") for index, end in enumerate(found)]
        with x.emitting(item, values):
            y = _merged(x, form, values)
            return Outputs.of(y if form.act is None else x.g.layer(form.act, y))


def _merged(x: Expander, form: Branch, values: list[ir.Value]) -> ir.Value:
    g: Emitter = x.g
    if len(values) == 1:
        return values[0]
    _check_paths(x, form, values)
    if form.merge == "concat":
        return g.op("Concat", *values, axis=form.axis)
    if form.merge == "mul":
        return reduce(lambda a, b: g.op("Mul", a, b), values)
    return reduce(lambda a, b: g.op("Add", a, b), values)


def _check_paths(x: Expander, form: Branch, values: list[ir.Value]) -> None:
    """Sums need equal shapes, concatenations equal shapes beside their axis; products may broadcast."""
    if form.merge == "mul":
        return
    beside = form.axis if form.merge == "concat" else None
    for index, value in enumerate(values[1:], 1):
        if differing := x.differing(values[0], value, beside):
            x.g.fail(
                f"branch: path 0 gives {differing.shown[0]}, path {index} {differing.shown[1]}{differing.at}",
                code="spec/shape-mismatch",
                hint=differing.hint
                or f"'merge: {form.merge}' needs the same shape"
                + (f" beside axis {beside}" if beside is not None else ""),
            )


def _parts(item: Item, body_key: str) -> dict[str, Tree]:
    """The arguments of a form; a list alone is its body."""
    tree = item.arguments
    if isinstance(tree, MappingNode):
        return dict(tree.entries)
    return {body_key: tree if tree is not None else ScalarNode(None, item.where)}


def _checkable(x: Expander, tree: Tree, body: Body) -> object:
    """A part of a form as its model sees it: bodies only as far as being lists, all else evaluated."""
    if isinstance(tree, SequenceNode):
        return [[] if isinstance(item, SequenceNode) else None for item in tree]
    return x.value(tree, body)


FORMS: dict[str, Callable[[Expander, Item, Body], Outputs]] = {
    "repeat": repeat,
    "do": group,
    "residual": residual,
    "branch": branch,
}
