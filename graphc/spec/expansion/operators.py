"""Raw ONNX operators, written in CamelCase with ONNX's own attribute names.

    - {Resize: {mode: cubic}, from: [x, null, [1, 1, 2, 2]]}
    - {id: top, TopK: {axis: 1, outputs: 2}, from: [x, [5]]}

Inputs stand in `from`: names of values, null for an optional input that is left out, and numbers or lists,
which become constants of a type that the operator takes. `outputs: n` asks for more outputs than the least;
they are members by number and by ONNX's name: `top.0`, `top.Indices`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx_ir as ir

from graphc.errors import GraphcError, collect, suggest
from graphc.spec.diagnose import shown
from graphc.spec.items import Item
from graphc.spec.parameters import PRECISIONS
from graphc.spec.scope import Literal, Outputs
from graphc.spec.tree import MappingNode, Tree

if TYPE_CHECKING:
    from graphc.spec.expansion.expander import Body, Expander

OUTPUTS = "outputs"  # no ONNX operator has an attribute of that name
Schema = onnx.defs.OpSchema

# Per attribute type: the Python types of one element, and what a message calls them.
ELEMENTS: dict[str, tuple[tuple[type, ...], str]] = {
    "INT": ((int,), "an integer"),
    "FLOAT": ((int, float), "a number"),
    "STRING": ((str,), "a text"),
}
INTEGERS = (ir.DataType.INT64, ir.DataType.INT32)
FLOATS = (*PRECISIONS.values(), ir.DataType.DOUBLE)


def emit(x: Expander, item: Item, body: Body) -> Outputs:
    """One node of the operator that the item names."""
    schema = schema_of(item.what, x.g.opset)
    attributes, count = _attributes(x, schema, item, body)
    inputs = x.inputs(item, body, schema.min_input, schema.max_input)
    given = [None if one is None else one if isinstance(one, Literal) else x.single(one, item) for one in inputs]
    values = [value for value in given if isinstance(value, ir.Value)]
    with x.scope(item, body), x.emitting(item, values):
        operands = [
            _constant(x, schema, index, one, given) if isinstance(one, Literal) else one
            for index, one in enumerate(given)
        ]
        result = x.g.op(item.what, *operands, outputs=count, **attributes)
    return _named(Outputs.of(result), schema)


@cache
def schema_of(name: str, opset: int) -> Schema:
    """The operator's schema. Raises GraphcError: spec/unknown-layer, graph/deprecated-op."""
    if not onnx.defs.has(name, max_inclusive_version=opset, domain=""):
        known = {s.name for s in onnx.defs.get_all_schemas() if not s.domain}
        raise GraphcError(
            f"ONNX has no operator '{name}' in opset {opset}",
            code="spec/unknown-layer",
            hint=suggest(name, known),
        )
    schema = onnx.defs.get_schema(name, opset, "")
    if schema.deprecated:
        raise GraphcError(f"ONNX deprecates '{name}' in opset {opset}", code="graph/deprecated-op")
    return schema


# ---------------------------------------------------------------- attributes


def _attributes(x: Expander, schema: Schema, item: Item, body: Body) -> tuple[dict[str, Any], int]:
    """The attributes of the node and its number of outputs; all that is wrong is raised together."""
    tree = item.arguments
    entries = tree.entries if isinstance(tree, MappingNode) else {}
    if not (tree is None or isinstance(tree, MappingNode)):
        raise GraphcError(
            f"{schema.name}: an ONNX operator takes a mapping of attributes",
            code="spec/bad-type",
            where=tree.where,
            hint=f"attributes: {', '.join(schema.attributes) or 'none'}",
        )
    errors: list[GraphcError] = []
    found: dict[str, Any] = {}
    count = schema.min_output
    for name, entry in entries.items():
        try:
            value = x.value(entry, body)
            if name == OUTPUTS:
                count = _count(schema, value, entry)
            elif name in schema.attributes:
                found[name] = _attribute(x, schema, name, value, entry)
            else:
                raise GraphcError(
                    f"{schema.name}: unknown attribute '{name}'",
                    code="spec/unknown-argument",
                    where=tree.keys.get(name) if isinstance(tree, MappingNode) else None,
                    hint=suggest(name, schema.attributes) or f"{schema.name} has no attributes",
                )
        except GraphcError as error:
            errors.append(error)
    missing = [name for name, a in schema.attributes.items() if a.required and name not in entries]
    errors += [GraphcError(f"{schema.name}: '{name}' is required", code="spec/missing-argument") for name in missing]
    if errors:
        raise collect(errors, limit=len(errors))
    return found, count


def _count(schema: Schema, value: object, tree: Tree) -> int:
    if isinstance(value, int) and schema.min_output <= value <= schema.max_output:
        return value
    raise GraphcError(
        f"{schema.name}: gives {schema.min_output} to {schema.max_output} outputs, not {shown(value)}",
        code="spec/wrong-arity",
        where=tree.where,
    )


def _attribute(x: Expander, schema: Schema, name: str, value: object, tree: Tree) -> ir.Attr:
    """A value as the attribute's type wants it. Raises GraphcError (spec/bad-type)."""
    kind = str(schema.attributes[name].type).rpartition(".")[2]  # "AttrType.INTS" -> "INTS"
    if kind == "TENSOR":
        return ir.AttrTensor(name, _tensor(x, value, tree))
    types, word = ELEMENTS.get(kind.removesuffix("S"), ((), ""))
    if not types:
        raise GraphcError(
            f"{schema.name}: '{name}' is a {kind.lower()}, which a spec cannot write",
            code="spec/bad-type",
            where=tree.where,
            hint="use 'repeat', 'when' or a layer of a plugin",
        )
    several = kind.endswith("S")
    if several and isinstance(value, list) and all(isinstance(one, types) for one in value):
        return ir.Attr(name, ir.AttributeType[kind], [_element(kind, one) for one in value])
    if not several and isinstance(value, types):
        return ir.Attr(name, ir.AttributeType[kind], _element(kind, value))
    wanted = f"a list, each {word}" if several else word
    raise GraphcError(
        f"{schema.name}: '{name}' must be {wanted}, not {shown(value)}",
        code="spec/non-integral" if kind == "INT" and isinstance(value, float) else "spec/bad-type",
        where=tree.where,
    )


def _element(kind: str, value: object) -> object:
    if kind.startswith("FLOAT"):
        return float(value)  # type: ignore[arg-type]  # an int or a float, as ELEMENTS says
    return int(value) if isinstance(value, bool) else value


def _tensor(x: Expander, value: object, tree: Tree) -> ir.TensorProtocol:
    array = _array(value, tree)
    return ir.tensor(array, dtype=x.g.float_type if array.dtype.kind == "f" else None)


# ---------------------------------------------------------------- constants among the inputs


def _constant(
    x: Expander, schema: Schema, index: int, literal: Literal, given: Sequence[ir.Value | Literal | None]
) -> ir.Value:
    """A literal input: in the type of an input that must have the same, or else one the operator takes."""
    formal = schema.inputs[min(index, len(schema.inputs) - 1)]
    array = _array(literal.value, None)
    for other, value in enumerate(given):
        same = schema.inputs[min(other, len(schema.inputs) - 1)].type_str == formal.type_str
        if same and isinstance(value, ir.Value) and value.dtype is not None:
            return x.g.constant(array, value.dtype)
    wanted = {
        "b": (ir.DataType.BOOL,),
        "i": (*INTEGERS, x.g.float_type, *FLOATS),
        "f": (x.g.float_type, *FLOATS),
    }[array.dtype.kind]
    for dtype in wanted:
        if f"tensor({dtype.name.lower()})" in formal.types:
            return x.g.constant(array, dtype)
    raise GraphcError(
        f"{schema.name}: input '{formal.name}' cannot be {shown(literal.value)}",
        code="spec/bad-type",
        hint=f"it takes {', '.join(sorted(formal.types))}",
    )


def _array(value: object, tree: Tree | None) -> np.ndarray:
    """Numbers or truth values, nested evenly. Raises GraphcError (spec/bad-type)."""
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(None)  # lists of different lengths
    if array.size == 0:
        array = array.astype(np.int64)
    if array.dtype.kind not in "bif":
        raise GraphcError(
            f"{shown(value)} is not a number or an even list of numbers",
            code="spec/bad-type",
            where=tree.where if tree else None,
        )
    return array


def _named(outputs: Outputs, schema: Schema) -> Outputs:
    """Several outputs, also under the names that ONNX gives them."""
    formal = [one.name for one in schema.outputs]
    names = {name: outputs.members[str(i)] for i, name in enumerate(formal) if str(i) in outputs.members}
    return Outputs(outputs.values, {**outputs.members, **names})
