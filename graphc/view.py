"""A node read by the names of its ONNX schema, with defaults filled in, remembering what was read.

What was not read is what a rewrite did not think of: `unread` is the closed world that stops it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, TypeGuard

import numpy as np
import onnx
import onnx_ir as ir

MAX_SCHEMA_VERSION = onnx.defs.onnx_opset_version()


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not an error
    """A rewrite does not apply here; the reason is its text."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class View:
    """One node through its schema at the model's opset.

    Views made by `producer` share one trail, so that the engine can ask all of them what was left unread.
    """

    def __init__(self, node: ir.Node, opset: int | None = None, trail: list[View] | None = None) -> None:
        self.node = node
        self.opset = opset or _opset_of(node)
        self.schema = schema_of(node.op_type, node.domain, self.opset)
        self.trail = [] if trail is None else trail
        self.trail.append(self)
        self._read: set[str] = set()

    def __repr__(self) -> str:
        return f"View({self.node.op_type} '{self.node.name}')"

    @property
    def op_type(self) -> str:
        """The operator's name in its domain."""
        return self.node.op_type

    # ---------------------------------------------------------------- attributes

    def attr(self, name: str) -> Any:
        """An attribute as a Python value (str, int, float, tuple, ...): as set, else the schema's default, else None.

        Attributes that the operator gained only in a later opset are None. Raises KeyError for a name that the
        operator never had, which is a mistake in the caller.
        """
        self._read.add(f"attribute {name}")
        attribute = self.node.attributes.get(name)
        if attribute is not None:
            if attribute.is_ref():
                raise Refusal(f"{self.op_type}.{name} is a parameter of a function, not a value")
            stated = self.schema.attributes.get(name) if self.schema is not None else None
            kind = None if stated is None else str(stated.type).rpartition(".")[2]
            if kind is not None and kind != attribute.type.name:
                raise Refusal(f"{self.op_type}.{name} is of type {attribute.type.name}, not {kind}")
            return _python(attribute.value)
        if self.schema is None:
            return None
        declared = self.schema.attributes.get(name)
        if declared is None:
            newest = schema_of(self.op_type, self.node.domain, MAX_SCHEMA_VERSION)
            if newest is None or name not in newest.attributes:
                raise KeyError(f"{self.op_type} has no attribute '{name}'")
            return None
        return _default(self.op_type, self.node.domain, self.opset, name)

    # ---------------------------------------------------------------- inputs and outputs

    def input(self, name: str) -> ir.Value | None:
        """The value of the input with that schema name, None when it is absent or empty."""
        index = self._position(name, "inputs")
        self._read.add(f"input {index}")
        return self.node.inputs[index] if index < len(self.node.inputs) else None

    def inputs(self) -> tuple[ir.Value | None, ...]:
        """Every input in order, for operators that take any number."""
        self._read.update(f"input {index}" for index in range(len(self.node.inputs)))
        return tuple(self.node.inputs)

    def required(self, name: str) -> ir.Value:
        """An input that must be there. Raises Refusal when it is not."""
        value = self.input(name)
        if value is None:
            raise Refusal(f"{self.op_type} has no {name}")
        return value

    def output(self, name: str) -> ir.Value | None:
        """The value of the output with that schema name, None when the node does not give it."""
        index = self._position(name, "outputs")
        self._read.add(f"output {index}")
        if index >= len(self.node.outputs) or self.node.outputs[index].name == "":
            return None
        return self.node.outputs[index]

    def outputs(self) -> tuple[ir.Value, ...]:
        """Every output in order, for operators that give any number."""
        self._read.update(f"output {index}" for index in range(len(self.node.outputs)))
        return tuple(self.node.outputs)

    def constant(self, name: str) -> np.ndarray:
        """The content of a constant input. Raises Refusal when it is absent or not a constant."""
        content = constant(self.required(name))
        if content is None:
            raise Refusal(f"{name} of {self.op_type} is not a constant")
        return content

    def optional_constant(self, name: str) -> np.ndarray | None:
        """The content of an input that may be absent (None). Raises Refusal when it is there but not a constant."""
        return None if self.input(name) is None else self.constant(name)

    def producer(self, name: str, *op_types: str) -> View:
        """The node behind an input. Raises Refusal unless it is one of `op_types` in the same graph."""
        return self.made_by(self.required(name), *op_types)

    def made_by(self, value: ir.Value, *op_types: str) -> View:
        """The node that makes `value`, viewed on this view's trail. Raises Refusal unless it is one of `op_types`."""
        node = value.producer()
        if node is None or node.op_type not in op_types or node.domain:
            raise Refusal(f"the input of {self.op_type} does not come from {' or '.join(op_types)}")
        if node.graph is not self.node.graph:
            raise Refusal(f"{node.op_type} lies outside this subgraph")
        view = View(node, self.opset, self.trail)
        view._read.add(f"output {value.index()}")
        return view

    def beside(self, node: ir.Node) -> View:
        """Another node of the same graph, viewed on this view's trail: one that reads the same value, say.

        Unlike a producer's, none of its outputs counts as read. Raises Refusal for a node of another graph.
        """
        if node.graph is not self.node.graph:
            raise Refusal(f"{node.op_type} lies outside this subgraph")
        return View(node, self.opset, self.trail)

    # ---------------------------------------------------------------- the closed world

    def unread(self) -> Iterator[str]:
        """What the node says that nobody read: attributes off their default, inputs, outputs in use."""
        for name, attribute in self.node.attributes.items():
            if f"attribute {name}" not in self._read and not self._is_default(attribute):
                yield f"{self.op_type}.{name}={_show(attribute)} is not accounted for"
        for index, value in enumerate(self.node.inputs):
            if value is not None and f"input {index}" not in self._read:
                yield f"input {index} of {self.op_type} is not accounted for"
        for index, value in enumerate(self.node.outputs):
            if index and f"output {index}" not in self._read and (value.uses() or value.is_graph_output()):
                yield f"output {index} of {self.op_type} is in use and not accounted for"

    def _is_default(self, attribute: ir.Attr) -> bool:
        if attribute.is_ref():
            return False
        declared = self.schema.attributes.get(attribute.name) if self.schema else None
        if declared is None:
            return False
        default = _default(self.op_type, self.node.domain, self.opset, attribute.name)
        return bool(default == _python(attribute.value))

    def _position(self, name: str, kind: str) -> int:
        if self.schema is None:
            raise Refusal(f"{self.op_type} is not an operator that graphc knows")
        names = [formal.name for formal in getattr(self.schema, kind)]
        if name not in names:
            raise KeyError(f"{self.op_type} has no {kind.removesuffix('s')} '{name}', only {names}")
        return names.index(name)


def constant(value: ir.Value) -> np.ndarray | None:
    """The content of a value that no run can change, else None.

    An initializer that is also a graph input can be overridden by the caller, so it is not a constant. Reads weights.
    """
    tensor = constant_tensor(value)
    return None if tensor is None else tensor.numpy()


def constant_tensor(value: ir.Value) -> ir.TensorProtocol | None:
    """As `constant`, without reading the content."""
    if value.is_graph_input():
        return None
    if value.const_value is not None:
        return value.const_value
    node = value.producer()
    if node is None or node.op_type != "Constant" or node.domain:
        return None
    if len(node.attributes) != 1:
        return None  # not valid: it has exactly one
    (attribute,) = node.attributes.values()
    if attribute.is_ref():
        return None
    if attribute.type == ir.AttributeType.TENSOR:
        return attribute.as_tensor()
    plain = attribute.type in (
        ir.AttributeType.INT,
        ir.AttributeType.INTS,
        ir.AttributeType.FLOAT,
        ir.AttributeType.FLOATS,
    )
    return ir.tensor(attribute.value) if plain else None


def is_static(shape: ir.Shape | None) -> TypeGuard[ir.Shape]:
    """Whether a shape is known, each of its sizes a number."""
    return shape is not None and shape.is_static()


def shapes_agree(a: ir.Shape | None, b: ir.Shape | None) -> bool:
    """Whether two shapes can be those of one value: same rank, and no two numbers that differ; None is any shape."""
    if a is None or b is None:
        return True
    if len(a) != len(b):
        return False
    return all(x == y for x, y in zip(a, b, strict=True) if isinstance(x, int) and isinstance(y, int))


@cache
def schema_of(op_type: str, domain: str, opset: int) -> onnx.defs.OpSchema | None:
    """What ONNX declares of an operator at that opset; None where it knows none."""
    if not onnx.defs.has(op_type, max_inclusive_version=opset, domain=domain):
        return None
    return onnx.defs.get_schema(op_type, opset, domain)


def _opset_of(node: ir.Node) -> int:
    imports = node.graph.opset_imports if node.graph is not None else {}
    return imports.get(node.domain) or MAX_SCHEMA_VERSION


@cache
def _default(op_type: str, domain: str, opset: int, attribute: str) -> Any:
    """What an operator takes for an attribute that is not set, None where it has no default; it declares both."""
    schema = schema_of(op_type, domain, opset)
    assert schema is not None
    declared = schema.attributes[attribute]
    if declared.default_value.type == onnx.AttributeProto.UNDEFINED:
        return None
    return _python(ir.serde.deserialize_attribute(declared.default_value).value)


def _python(value: Any) -> Any:
    """An attribute's value as the file has it: ONNX's floats are 32 bits wide, also where memory holds 64."""
    if isinstance(value, float):
        return float(np.float32(value))
    return tuple(_python(item) for item in value) if isinstance(value, list | tuple) else value


def _show(attribute: ir.Attr) -> str:
    scalar = attribute.type not in (
        ir.AttributeType.TENSOR,
        ir.AttributeType.GRAPH,
        ir.AttributeType.GRAPHS,
        ir.AttributeType.TENSORS,
    )
    return str(_python(attribute.value)) if scalar else attribute.type.name.lower()
