"""An If whose condition never changes, or a Loop that runs a fixed number of times that is 0 or 1.

Why    one branch is dead, and the other could stand in the graph itself, where a compiler sees through it: most stop at
       an If or a Loop, and a provider that has none leaves it to the CPU.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from graphc import CaseBuilder, View, constant, lint


@lint("If", "Loop", category="graph", severity="info", help="put the branch or body that runs in its place")
def constant_condition(node: View) -> str | None:
    goes_on = _scalar(node, "cond")
    if node.op_type == "If":
        return None if goes_on is None else f"its condition is always {'true' if goes_on else 'false'}"
    times = 0 if goes_on is not None and not goes_on else _scalar(node, "M")
    if times is None or times > 1:
        return None
    return "its body never runs" if times <= 0 else "its body runs once at most"


def _scalar(node: View, name: str) -> int | None:
    """The content of an input, if it is there and constant."""
    value = node.input(name)
    if value is None or value.shape is None or len(value.shape) > 1:
        return None
    content = constant(value)
    return int(content.reshape(-1)[0]) if content is not None and content.size == 1 else None


def _branch(g: CaseBuilder, x: ir.Value, op_type: str) -> ir.Graph:
    node = ir.Node("", op_type, [x], num_outputs=1, name=op_type.lower())
    made = node.outputs[0]
    made.name, made.type, made.shape = f"{op_type.lower()}_of_x", x.type, x.shape
    return ir.Graph([], [made], nodes=[node], opset_imports={"": g.opset}, name=op_type)


def _if(g: CaseBuilder, condition: ir.Value) -> ir.Value:
    x = g.Abs(g.input(1, 3))
    branches = {"then_branch": _branch(g, x, "Relu"), "else_branch": _branch(g, x, "Neg")}
    attributes = [ir.AttrGraph(name, graph) for name, graph in branches.items()]
    node = ir.Node("", "If", [condition], attributes, num_outputs=1)
    node.outputs[0].type, node.outputs[0].shape = x.type, x.shape
    g.nodes.append(node)
    return node.outputs[0]


@constant_condition.bad
def always_true(g: CaseBuilder) -> object:
    return _if(g, g.constant(np.asarray(True)))


@constant_condition.good
def of_the_data(g: CaseBuilder) -> object:
    return _if(g, g.input(dtype=ir.DataType.BOOL))
