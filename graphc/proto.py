"""What stands between a model as its file says it and onnx_ir's: what that drops is carried over, or told."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
import onnx
import onnx_ir as ir

from graphc.errors import GraphcError
from graphc.limits import Limits


def normalise(proto: onnx.ModelProto, limits: Limits) -> None:
    """Spell the default domain one way, and store sparse initializers dense, for onnx_ir drops them.

    Raises GraphcError: spec/limit-exceeded for one that is too large dense, graph/checker-error for a malformed one.
    """
    for imports in (proto.opset_import, *(function.opset_import for function in proto.functions)):
        for opset in imports:
            opset.domain = "" if opset.domain == "ai.onnx" else opset.domain
    for graph in _graphs(proto):
        for sparse in graph.sparse_initializer:
            graph.initializer.append(_dense(sparse, limits))
        del graph.sparse_initializer[:]


def carry_function_types(proto: onnx.ModelProto, model: ir.Model) -> None:
    """The types that functions state of their inputs, of which onnx_ir only reads the names."""
    for said in proto.functions:
        function = model.functions[said.domain, said.name, said.overload]
        stated = {info.name: info for info in said.value_info}
        for value in function.inputs:
            if value.name in stated:
                ir.serde.deserialize_value_info_proto(stated[value.name], value)


def uncarried(proto: onnx.ModelProto) -> Iterator[str]:
    """What a model says that is not in onnx_ir's: its training, and all but the last of what has one name twice.

    Of functions and of dense initializers `scan.scan` refuses two.
    """
    if proto.training_info:
        yield "its training (training_info)"
    named = {
        "opset of the domain": [each.domain for each in proto.opset_import],
        "metadata": [each.key for each in proto.metadata_props],
    }
    for kind, names in named.items():
        yield from _twice(kind, names)
    for graph in _graphs(proto):
        yield from _twice("initializer", [each.name for each in graph.initializer if each.name])
        if any(not each.name for each in graph.initializer):
            yield "the initializer that has no name"


def _twice(kind: str, names: list[str]) -> Iterator[str]:
    """Each name that is there more than once."""
    yield from (f"all but one {kind} '{name}' of {n}" for name, n in Counter(names).items() if n > 1)


def _graphs(proto: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    pending = [proto.graph]
    bodies = [node for function in proto.functions for node in function.node]
    pending += [graph for node in bodies for graph in _inner(node)]
    while pending:
        graph = pending.pop()
        yield graph
        pending += [inner for node in graph.node for inner in _inner(node)]


def _inner(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [g for a in node.attribute for g in ([a.g] if a.HasField("g") else a.graphs)]


def _dense(sparse: onnx.SparseTensorProto, limits: Limits) -> onnx.TensorProto:
    name, shape = sparse.values.name, tuple(sparse.dims)
    values, indices = (ir.serde.deserialize_tensor(part).numpy() for part in (sparse.values, sparse.indices))
    if min(shape, default=0) < 0 or math.prod(shape) * values.itemsize > limits.weight_bytes:
        raise GraphcError(f"the sparse initializer '{name}' is too large: {shape}", code="spec/limit-exceeded")
    dense = np.zeros(shape, values.dtype)
    try:
        flat = indices if indices.ndim == 1 else np.ravel_multi_index(tuple(indices.T), shape)
        dense.reshape(-1)[flat] = values
    except (ValueError, IndexError) as error:
        raise GraphcError(
            f"the sparse initializer '{name}' is malformed: {error}", code="graph/checker-error"
        ) from None
    return ir.serde.serialize_tensor(ir.tensor(dense, name=name))
