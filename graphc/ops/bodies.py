"""A body at one size: a copy of a subgraph or of a function whose shapes follow from those of its inputs.

The copy is detached: what it captures from outside is copied too, so that nothing in the model is touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import onnx_ir as ir

from graphc import walk
from graphc.costs import Cost
from graphc.inference import UNKNOWN, InferenceError, Operand, infer, operand_of
from graphc.view import Refusal, constant_tensor

MAX_DEPTH = 16  # of bodies within bodies


@dataclass(frozen=True)
class Body:
    """A graph with inferred shapes. `captured` maps what it reads from outside to the values there."""

    graph: ir.Graph
    opset: int
    captured: Mapping[ir.Value, ir.Value]


@dataclass(frozen=True)
class Scope:
    """The functions that can be called, those that are being called, and how many bodies lie around.

    Calls that look alike share a body, so that functions which call functions several times are not copied over and
    over.
    """

    functions: Mapping[ir.OperatorIdentifier, ir.Function] = field(default_factory=dict)
    depth: int = 0
    calling: frozenset[ir.OperatorIdentifier] = frozenset()
    bodies: dict[object, Body] = field(default_factory=dict)
    costs: dict[object, Cost] = field(default_factory=dict)

    def function(self, node: ir.Node) -> ir.Function | None:
        """The function that a node calls, None when it is an operator."""
        return self.functions.get(node.op_identifier())

    def inner(self, call: ir.Node | None = None) -> Scope:
        """The scope of a body, of a function if `call` says which. Raises Refusal when bodies lie too deep."""
        calling = self.calling if call is None else self.calling | {call.op_identifier()}
        if call is not None and calling == self.calling:
            raise Refusal(f"the function {call.op_type} calls itself")
        if self.depth >= MAX_DEPTH:
            raise Refusal(f"bodies lie more than {MAX_DEPTH} deep")
        return replace(self, depth=self.depth + 1, calling=calling)


def of_subgraph(graph: ir.Graph, inputs: Sequence[Operand], opset: int, scope: Scope) -> Body:
    """A branch or a loop's body."""
    copy = graph.clone(allow_outer_scope_values=True)
    body = Body(copy, opset, _detach(copy))
    _infer(body, inputs, scope)
    return body


def of_call(node: ir.Node, inputs: Sequence[Operand], scope: Scope) -> Body:
    """A function's body with the attributes and shapes of a call. Raises Refusal when it calls itself."""
    function, inner = scope.functions[node.op_identifier()], scope.inner(node)
    key = look(node, inputs)
    if key not in scope.bodies:
        copy = function.graph.clone(allow_outer_scope_values=True)
        given = {**{name: a for name, a in function.attributes.items() if a.value is not None}, **node.attributes}
        for called in ir.traversal.RecursiveGraphIterator(copy):
            for name, attribute in list(called.attributes.items()):
                if attribute.is_ref():
                    _resolve(called, name, given.get(attribute.ref_attr_name or ""))
        body = Body(copy, function.opset_imports.get("", 1), _detach(copy))
        _infer(body, inputs, inner)
        scope.bodies[key] = body
    return scope.bodies[key]


def look(node: ir.Node, inputs: Sequence[Operand]) -> object:
    """What two calls must share to have the same body."""
    operands = tuple((operand.type, None if operand.shape is None else operand.shape.dims) for operand in inputs)
    return node.op_identifier(), operands, tuple(map(_argument, node.attributes.values()))


def _argument(attribute: ir.Attr) -> object:
    plain = isinstance(attribute.value, int | float | str)
    return attribute.name, attribute.ref_attr_name, attribute.value if plain else id(attribute.value)


def _resolve(node: ir.Node, name: str, given: ir.Attr | None) -> None:
    """Put the argument in the place of a function's parameter; without one, the operator's default holds."""
    if given is None:
        del node.attributes[name]
    else:
        node.attributes[name] = ir.Attr(name, given.type, given.value)


def _detach(graph: ir.Graph) -> dict[ir.Value, ir.Value]:
    """Copies of captured values in their place: copy -> captured."""
    nodes = list(ir.traversal.RecursiveGraphIterator(graph))
    own = {output for node in nodes for output in node.outputs}
    for inner in (graph, *(g for node in nodes for g in walk.bodies(node))):
        own.update(inner.inputs)
        own.update(inner.initializers.values())
    copies: dict[ir.Value, ir.Value] = {}
    for node in nodes:
        for index, value in enumerate(node.inputs):
            if value is None or value in own:
                continue
            if value not in copies:
                shape = None if value.shape is None else value.shape.copy()
                known = constant_tensor(value)
                copies[value] = ir.Value(name=value.name, type=value.type, shape=shape, const_value=known)
            node.replace_input_with(index, copies[value])
    return {copy: value for value, copy in copies.items()}


def _infer(body: Body, inputs: Sequence[Operand], scope: Scope) -> None:
    """Shapes of everything in a body, from its inputs on."""
    known: dict[ir.Value, Operand] = {}
    for value, operand in zip(body.graph.inputs, inputs, strict=False):
        if operand.type is not None:
            value.type, value.shape = operand.type, operand.shape
        known[value] = operand
    for node in body.graph:
        operands = [None if v is None else known.get(v) or operand_of(v) for v in node.inputs]
        for value, operand in zip(node.outputs, _outputs(node, operands, body.opset, scope), strict=True):
            if operand.type is not None:
                value.type, value.shape = operand.type, operand.shape
            known[value] = operand


def _outputs(node: ir.Node, operands: list[Operand | None], opset: int, scope: Scope) -> list[Operand]:
    try:
        if scope.function(node) is not None:
            return call_outputs(node, operands, scope)
        return infer(
            node.op_type, operands, node.attributes, outputs=len(node.outputs), opset=opset, domain=node.domain
        )
    except (InferenceError, Refusal):
        return [Operand(value.type, value.shape) for value in node.outputs]


def call_outputs(node: ir.Node, operands: Sequence[Operand | None], scope: Scope) -> list[Operand]:
    """What a call gives: the types and shapes of the outputs of the function's body. Raises Refusal."""
    known = [UNKNOWN if operand is None else Operand(operand.type, operand.shape) for operand in operands]
    body = of_call(node, known, scope)
    found = [Operand(value.type, value.shape) for value in body.graph.outputs]
    return [*found, *[UNKNOWN] * len(node.outputs)][: len(node.outputs)]
