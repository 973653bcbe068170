"""What an untrusted ONNX model may look like, checked on its protobuf before the checker or a runtime sees it.

Native code crashes or explodes on some of these: functions that call themselves, a chain of functions each of which
calls the next twice (24 of them, 1.5 kB, are 16 million nodes), a tensor that declares more elements than the file has.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from graphc.errors import GraphcError
from graphc.external import check_external, data_type, stored_bytes
from graphc.limits import Limits

Identifier = tuple[str, str, str]  # domain, name, overload

MAX_VERSION = (1 << 31) - 1
TYPED_FIELDS = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")


def scan(model: onnx.ModelProto, directory: Path, limits: Limits) -> None:
    """Refuse a model that is too large once expanded, or whose tensors are not what they declare.

    Raises GraphcError: run/not-a-model, graph/checker-error (an attribute given twice), graph/defined-twice,
    security/nesting, security/expansion-bomb, security/tensor-larger-than-file, spec/limit-exceeded, and what
    `external.check_external` raises.
    """
    _check_texts(model)
    _check_once("functions", ((f"{_domain(f.domain)}.{f.name}".lstrip("."), f.overload) for f in model.functions))
    _check_versions(model)
    _check_depth(model, limits)
    bodies = {
        (_domain(f.domain), f.name, f.overload): _Body().read(f.node).attributes(f.attribute_proto)
        for f in model.functions
    }
    main = _Body().graph(model.graph)
    for training in model.training_info:
        main.graph(training.initialization).graph(training.algorithm)
    _check_size(main, bodies, limits)
    for body in (main, *bodies.values()):
        for tensor in body.tensors:
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                check_external(tensor, directory)
            else:
                _check_inline(tensor)


def _check_texts(message: Message) -> None:
    """Every name is text. Protobuf hands over one that is not UTF-8 as bytes, which nothing later expects."""
    for descriptor, value in message.ListFields():
        if descriptor.type == FieldDescriptor.TYPE_MESSAGE:
            for part in [value] if isinstance(value, Message) else value:
                _check_texts(part)
        elif descriptor.type == FieldDescriptor.TYPE_STRING:
            for text in [value] if isinstance(value, (str, bytes)) else value:
                if isinstance(text, bytes):
                    raise GraphcError(f"{descriptor.full_name} is not UTF-8: {text[:40]!r}", code="run/not-a-model")


def _check_versions(model: onnx.ModelProto) -> None:
    """The versions of the IR and of opsets are numbers that ONNX's own code can take."""
    if not 0 <= model.ir_version <= MAX_VERSION:
        raise GraphcError(f"there is no IR version {model.ir_version}", code="run/not-a-model")
    for each in (*model.opset_import, *(each for function in model.functions for each in function.opset_import)):
        if not 0 <= each.version <= MAX_VERSION:
            raise GraphcError(f"'{each.domain}' has no opset {each.version}", code="run/not-a-model")


def _check_depth(model: onnx.ModelProto, limits: Limits) -> None:
    """Graphs lie in graphs at most so deep."""
    level: list[onnx.NodeProto] = [*model.graph.node, *(node for each in model.functions for node in each.node)]
    for _ in range(limits.graph_depth):
        inner = [graph for node in level for graph in _graphs(node.attribute)]
        if not inner:
            return
        level = [node for graph in inner for node in graph.node]
    raise GraphcError(f"graphs lie in graphs more than {limits.graph_depth} deep", code="security/nesting")


def _graphs(attributes: Iterable[onnx.AttributeProto]) -> Iterator[onnx.GraphProto]:
    for attribute in attributes:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


@dataclass
class _Body:
    """What the nodes of a graph or a function hold, those of nested graphs included."""

    calls: Counter[Identifier] = field(default_factory=Counter)
    tensors: list[onnx.TensorProto] = field(default_factory=list)

    def graph(self, graph: onnx.GraphProto) -> _Body:
        _check_once("initializers", ((tensor.name, "") for tensor in graph.initializer if tensor.name))
        self.tensors += graph.initializer
        self.tensors += _parts(graph.sparse_initializer)
        return self.read(graph.node)

    def read(self, nodes: Iterable[onnx.NodeProto]) -> _Body:
        for node in nodes:
            self.calls[_domain(node.domain), node.op_type, node.overload] += 1
            _check_attributes(node)
            self.attributes(node.attribute)
        return self

    def attributes(self, attributes: Sequence[onnx.AttributeProto]) -> _Body:
        for attribute in attributes:
            if attribute.type == onnx.AttributeProto.UNDEFINED:
                raise GraphcError(f"attribute '{attribute.name}' has no type", code="run/not-a-model")
            self.tensors += [attribute.t] if attribute.HasField("t") else []
            self.tensors += attribute.tensors
            self.tensors += _parts(attribute.sparse_tensors)
            self.tensors += _parts([attribute.sparse_tensor]) if attribute.HasField("sparse_tensor") else []
        for graph in _graphs(attributes):
            self.graph(graph)
        return self


def _check_attributes(node: onnx.NodeProto) -> None:
    """A node has each attribute once: of two, onnx_ir would keep one, and ONNX Runtime refuses the model."""
    names = [attribute.name for attribute in node.attribute]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise GraphcError(
            f"node '{node.name}' ({node.op_type}) has the attribute '{twice}' twice",
            code="graph/checker-error",
            node=node.name,
            hint="remove the one that is not meant",
        )


def _check_once(kind: str, names: Iterable[tuple[str, str]]) -> None:
    """Two of one name (and overload) are one that is meant and one that is not: onnx_ir would keep the last one."""
    counts = Counter(names)
    for (name, _), count in counts.items():
        if count > 1:
            raise GraphcError(
                f"{count} {kind} are called '{name}'",
                code="graph/defined-twice",
                hint="remove the one that is not meant, or rename it where it is read",
            )


def _parts(tensors: Iterable[onnx.SparseTensorProto]) -> Iterator[onnx.TensorProto]:
    for tensor in tensors:
        yield from (tensor.values, tensor.indices)


def _check_size(main: _Body, bodies: dict[Identifier, _Body], limits: Limits) -> None:
    """Count nodes with every call replaced by its body: a sum over the call graph, callees first."""
    callees = {name: [c for c in body.calls if c in bodies] for name, body in bodies.items()}
    try:
        order = list(TopologicalSorter(callees).static_order())
    except CycleError as error:
        circle = " -> ".join(name for _, name, _ in error.args[1][:8])
        raise GraphcError(f"functions call each other in a circle: {circle}", code="security/expansion-bomb") from None
    nodes: dict[Identifier, int] = {}
    for name in order:
        nodes[name] = _expanded(bodies[name], nodes, limits.graph_nodes)
    total = _expanded(main, nodes, limits.graph_nodes)
    if total > limits.graph_nodes:
        raise GraphcError(
            f"the model has more than {limits.graph_nodes} nodes"
            + (" once its functions are expanded" if bodies else ""),
            code="security/expansion-bomb" if bodies else "spec/limit-exceeded",
            hint=f"allow more with `limits.graph_nodes={10 * limits.graph_nodes}`, if you trust this model",
        )


def _expanded(body: _Body, nodes: dict[Identifier, int], limit: int) -> int:
    """At most `limit` + 1, so that numbers stay small however deep the doubling is."""
    return min(sum(count * nodes.get(name, 1) for name, count in body.calls.items()), limit + 1)


def _check_inline(tensor: onnx.TensorProto) -> None:
    """The bytes or numbers that a tensor carries are as many as its shape declares."""
    elements = math.prod(tensor.dims)
    if tensor.HasField("raw_data"):
        stored, allowed = len(tensor.raw_data), {stored_bytes(tensor)}
    else:
        dtype = data_type(tensor)
        width = dtype.bitwidth if dtype.name != "STRING" else 8
        stored = sum(len(getattr(tensor, name)) for name in TYPED_FIELDS)
        packed = -(-elements * width // 8) if width < 8 else elements
        allowed = {packed, 2 * elements} if dtype.name.startswith("COMPLEX") else {packed, elements}
    if any(d < 0 for d in tensor.dims) or stored not in allowed:
        raise GraphcError(
            f"tensor '{tensor.name}' of shape {tuple(tensor.dims)} has {stored} values, not {max(allowed)}",
            code="security/tensor-larger-than-file",
        )


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain
