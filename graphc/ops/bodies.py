"""A body at one size: a copy of a subgraph or of a function whose shapes follow from those of its inputs.

The copy is detached: what it captures from outside is copied too, so that nothing in the model is touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from graphc.inference import UNKNOWN, InferenceError, Operand, infer, operand_of
from graphc.view import constant_tensor

MAX_DEPTH = 16  # of bodies within bodies


@dataclass(frozen=True)
class Scope:
    """The functions that can be called, and how many bodies lie around."""

    functions: Mapping[ir.OperatorIdentifier, ir.Function] = field(default_factory=dict)
    depth: int = 0

    def function(self, node: ir.Node) -> ir.Function | None:
        """The function that a node calls, None when it is an operator."""
        return self.functions.get(node.op_identifier())


@dataclass(frozen=True)
class Body:
    """A graph with inferred shapes. `captured` maps what it reads from outside to the values there."""

    graph: ir.Graph
    opset: int
    captured: Mapping[ir.Value, ir.Value]


def of_subgraph(graph: ir.Graph, inputs: Sequence[Operand], opset: int, scope: Scope) -> Body:
    """A branch or a loop's body."""
    copy = graph.clone(allow_outer_scope_values=True)
    body = Body(copy, opset, _detach(copy))
    _infer(body, inputs, scope)
    return body


def of_call(node: ir.Node, function: ir.Function, inputs: Sequence[Operand], scope: Scope) -> Body:
    """A function's body with the attributes and shapes of a call."""
    copy = function.clone().graph
    given = {**{name: a for name, a in function.attributes.items() if a.value is not None}, **node.attributes}
    for inner in ir.traversal.RecursiveGraphIterator(copy):
        for name, attribute in list(inner.attributes.items()):
            if attribute.is_ref():
                _resolve(inner, name, given.get(attribute.ref_attr_name or ""))
    body = Body(copy, function.opset_imports.get("", 1), {})
    _infer(body, inputs, scope)
    return body


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
    for inner in (graph, *(g for node in nodes for g in _subgraphs(node))):
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


def _subgraphs(node: ir.Node) -> list[ir.Graph]:
    found: list[ir.Graph] = []
    for attribute in node.attributes.values():
        if attribute.is_ref():
            continue
        if attribute.type == ir.AttributeType.GRAPH:
            found.append(attribute.as_graph())
        elif attribute.type == ir.AttributeType.GRAPHS:
            found.extend(attribute.as_graphs())
    return found


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
    function = scope.function(node)
    if function is not None and scope.depth < MAX_DEPTH:
        return call_outputs(node, function, operands, scope)
    try:
        return infer(
            node.op_type, operands, node.attributes, outputs=len(node.outputs), opset=opset, domain=node.domain
        )
    except InferenceError:
        return [Operand(value.type, value.shape) for value in node.outputs]


def call_outputs(
    node: ir.Node, function: ir.Function, operands: Sequence[Operand | None], scope: Scope
) -> list[Operand]:
    """What a call gives: the types and shapes of the outputs of the function's body."""
    inner = Scope(scope.functions, scope.depth + 1)
    body = of_call(node, function, [operand or UNKNOWN for operand in operands], inner)
    return [Operand(value.type, value.shape) for value in body.graph.outputs[: len(node.outputs)]]
