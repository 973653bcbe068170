"""A model at given sizes: which input dimensions change, and every shape inferred anew from there, in place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from math import prod

import onnx_ir as ir

from graphc.errors import GraphcError
from graphc.inference import UNKNOWN, InferenceError, Operand, infer_node, operand_of
from graphc.metadata import preferred_dims, sized
from graphc.runtime.sizes import bindings, required
from graphc.view import is_static as is_static_shape

BATCHES = frozenset(("n", "b", "batch", "batch_size"))

Shapes = dict[ir.Value, ir.Shape]


def input_shapes(model: ir.Model, dims: Mapping[str, int], batch: int | None) -> Shapes:
    """The inputs whose shapes change, with their new shapes. Dims without a size are at their declared `opt`.

    `batch` is the size of the first dimension named N, batch or the like; without one, of the first axis of every
    input that has as many examples as the first. Raises GraphcError (run/usage) for a dimension that the model lacks
    and for a batch of less than 1.
    """
    if batch is not None and batch < 1:
        raise GraphcError(f"a batch has at least 1 example, not {batch}", code="run/usage")
    bindings(model, dims)  # for what it refuses
    sizes = preferred_dims(model) | dict(dims)
    name = None if batch is None else batch_name(model)
    if name is not None and batch is not None:
        sizes[name] = batch
    found = {}
    for value in required(model.graph):
        if value.shape is not None:
            shape = ir.Shape([sized(dim, sizes) for dim in value.shape])
            if shape != value.shape:
                found[value] = shape
    if batch is not None and name is None:
        _set_first_axis(model, batch, found)
    return found


def batch_name(model: ir.Model) -> str | None:
    """The name of the batch among the symbolic dimensions of the inputs."""
    names = (str(d.value) for v in required(model.graph) for d in v.shape or () if isinstance(d, ir.SymbolicDim))
    return next((name for name in names if name.lower() in BATCHES), None)


def _set_first_axis(model: ir.Model, batch: int, found: Shapes) -> None:
    """Give the inputs that have as many examples as the first that batch."""
    shapes = {value: found.get(value) or value.shape for value in required(model.graph)}
    batched = {value: list(shape) for value, shape in shapes.items() if shape is not None and len(shape)}
    examples = next((sizes[0] for sizes in batched.values()), None)
    found.update({value: ir.Shape([batch, *rest]) for value, (size, *rest) in batched.items() if size == examples})


def is_static(graph: ir.Graph) -> bool:
    """Whether every value of the main graph has a type and a shape of numbers."""
    return all(value.type is not None and is_static_shape(value.shape) for value in _values(graph))


def propagate(graph: ir.Graph, opset: int, shapes: Shapes, weights: Iterable[ir.Value]) -> None:
    """Give these inputs their shapes and infer all others from there, in place.

    Where ONNX cannot tell, a value keeps the shape that the model declares if no input changes, and else has none: a
    shape of another size is worse than none. That holds for a Reshape to a constant shape of as many elements too.
    The content of `weights` is not looked at.
    """
    for value, shape in shapes.items():
        value.shape = shape
    known = {value: Operand(value.type, value.shape) for value in weights}
    for node in graph:
        for value, operand in zip(node.outputs, _outputs(node, opset, known), strict=True):
            if operand.type is None:  # ONNX does not know the operator, or an operand
                operand = Operand(value.type)
            if not shapes and not is_static_shape(operand.shape) and is_static_shape(value.shape):
                operand = replace(operand, shape=value.shape)
            value.type, value.shape = operand.type, operand.shape
            known[value] = operand


def _outputs(node: ir.Node, opset: int, known: Mapping[ir.Value, Operand]) -> list[Operand]:
    unknown = [UNKNOWN] * len(node.outputs)
    try:
        found = infer_node(node, opset, known)
    except InferenceError:
        return unknown
    data = node.inputs[0] if node.op_type == "Reshape" else None
    if data is not None and _elements(operand_of(data, known)) != _elements(found[0]):
        return unknown
    return found


def _elements(operand: Operand) -> int | None:
    return prod(operand.shape.numpy()) if is_static_shape(operand.shape) else None


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    for node in graph:
        yield from node.outputs
