"""One node in a graph of its own, and what graphc says it costs."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from graphc.costs import Cost
from graphc.inference import infer_node
from graphc.ops import cost_of, op_of
from graphc.view import View

OPSET = 20
FLOAT = ir.DataType.FLOAT


def value(name, shape, dtype=FLOAT):
    return ir.Value(name=name, shape=None if shape is None else ir.Shape(shape), type=ir.TensorType(dtype))


def node_of(op_type, *shapes, opset=OPSET, outputs=1, dtype=FLOAT, domain="", **attributes):
    """A node in a graph: no input for None, a constant for an array; the output shapes are inferred."""
    inputs = []
    for index, given in enumerate(shapes):
        if given is None or isinstance(given, ir.Value):
            inputs.append(given)
            continue
        constant = isinstance(given, np.ndarray)
        made = value(
            f"i{index}",
            given.shape if constant else given,
            ir.DataType.from_numpy(given.dtype) if constant else dtype,
        )
        made.const_value = ir.tensor(given) if constant else None
        inputs.append(made)
    made = [value(f"o{index}", None, dtype) for index in range(outputs)]
    node = ir.node(op_type, inputs, attributes, domain=domain, outputs=made, name="node")
    graph_inputs = [i for i in dict.fromkeys(inputs) if i is not None and i.const_value is None]
    constants = [i for i in dict.fromkeys(inputs) if i is not None and i.const_value is not None]
    ir.Graph(graph_inputs, made, nodes=[node], initializers=constants, opset_imports={"": opset}, name="one node")
    for out, inferred in zip(made, infer_node(node, opset), strict=True):
        out.type, out.shape = inferred.type or out.type, inferred.shape
    return node


def work(op_type, *shapes, **attributes):
    """The cost without its bytes."""
    cost = cost_of(node_of(op_type, *shapes, **attributes))
    assert cost is not None
    return Cost(cost.mac, cost.add, cost.mul, cost.cmp, cost.div, cost.transcendental)


def moved(op_type, *shapes, **attributes):
    """(bytes read, bytes written)"""
    cost = cost_of(node_of(op_type, *shapes, **attributes))
    assert cost is not None
    return cost.bytes_read, cost.bytes_written


def work_of(cost):
    """A cost without its bytes."""
    return Cost(cost.mac, cost.add, cost.mul, cost.cmp, cost.div, cost.transcendental)


def toward(index, op_type, *shapes, **attributes):
    """The work of the gradient towards one input."""
    node = node_of(op_type, *shapes, **attributes)
    return work_of(op_of(node).toward(View(node), index))


def shared(op_type, *shapes, **attributes):
    """The work that the backward pass does once."""
    node = node_of(op_type, *shapes, **attributes)
    return work_of(op_of(node).shared(View(node)))
