"""The tape: nodes recorded by name of operator, with their types and shapes, in no graph yet.

    y = op.Conv(x, weights, bias, strides=(2, 2))

A rewrite writes its construction on one, a case its small model; nothing changes in any graph until the engine
splices the nodes in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from graphc.inference import InferenceError, infer_node
from graphc.view import Refusal, constant_tensor


class Tape:
    """Records nodes at one opset. Every operator of the standard is a method; attributes that are None are left out."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.nodes: list[ir.Node] = []
        self.initializers: list[ir.Value] = []

    def __getattr__(self, op_type: str) -> Callable[..., Any]:
        if op_type.startswith("_"):
            raise AttributeError(op_type)
        return lambda *inputs, **attributes: self.record(op_type, *inputs, **attributes)

    def record(self, op_type: str, *inputs: ir.Value | None, outputs: int = 1, **attributes: Any) -> Any:
        """One node; returns its output, or a tuple when `outputs` is not 1.

        Raises Refusal when the opset has no such operator or the operator does not accept the inputs.
        """
        if not onnx.defs.has(op_type, max_inclusive_version=self.opset):
            raise Refusal(f"opset {self.opset} has no {op_type}")
        while inputs and inputs[-1] is None:  # written, an empty last input keeps ONNX Runtime from blocked layouts
            inputs = inputs[:-1]
        given = [_attribute(name, value) for name, value in attributes.items() if value is not None]
        node = ir.Node("", op_type, inputs, given, num_outputs=outputs)
        self.nodes.append(node)
        try:
            found = infer_node(node, self.opset)
        except InferenceError as error:
            raise Refusal(f"{op_type} would not be valid here: {error}") from error
        for value, operand in zip(node.outputs, found, strict=True):
            value.type, value.shape = operand.type, operand.shape
        return node.outputs[0] if outputs == 1 else tuple(node.outputs)

    def constant(self, content: Any, *, like: ir.Value | None = None, name: str = "const") -> ir.Value:
        """An initializer; in the type of `like` when given, else integers are INT64 and the rest as numpy has it.

        Raises Refusal when the type of `like` is not known.
        """
        array = np.asarray(content)
        if like is not None:
            with np.errstate(over="ignore"):  # a rewrite that must not overflow says so with `require`
                array = array.astype(_dtype(like).numpy())
        elif array.dtype.kind in "iu":
            array = array.astype(np.int64)
        tensor = ir.Tensor(np.ascontiguousarray(array).reshape(array.shape), name=name)
        value = ir.val(name, const_value=tensor)
        self.initializers.append(value)
        return value

    def discard(self) -> None:
        """Forget every node, so that the values they read no longer count them as users."""
        for node in self.nodes:
            for index in range(len(node.inputs)):
                node.replace_input_with(index, None)
        self.nodes.clear()
        self.initializers.clear()


def _attribute(name: str, value: Any) -> ir.Attr:
    """The attribute that this value says; onnx_ir asks of each whether it is a tensor or a graph, which takes time."""
    kind = type(value[0]) if isinstance(value, list | tuple) and value else type(value)
    plain = _PLAIN.get((kind, isinstance(value, list | tuple)))
    if plain is None or (isinstance(value, list | tuple) and any(type(item) is not kind for item in value)):
        return ir.convenience.convert_attribute(name, value)
    return plain(name, value)


_PLAIN: dict[tuple[type, bool], Callable[[str, Any], ir.Attr]] = {
    (int, False): ir.AttrInt64,
    (float, False): ir.AttrFloat32,
    (str, False): ir.AttrString,
    (int, True): ir.AttrInt64s,
    (float, True): ir.AttrFloat32s,
    (str, True): ir.AttrStrings,
}


def _dtype(value: ir.Value) -> ir.DataType:
    """The element type of a value; inside a function, where values have no types, that of its content."""
    tensor = constant_tensor(value)
    dtype = value.dtype or (tensor.dtype if tensor is not None else None)
    if dtype is None:
        raise Refusal(f"the type of '{value.name}' is not known")
    return dtype
