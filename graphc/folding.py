"""Folding of small integer tensors, so that shape arithmetic (`Shape`, `Gather`, `Concat`, ...) is known.

ONNX's reference evaluator does the arithmetic; only tensors of at most 64 integers or booleans are folded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnx_ir as ir

if TYPE_CHECKING:
    from graphc.inference import Operand

MAX_ELEMENTS = 64
LARGEST = int(np.iinfo(np.int64).max)
FOLDABLE = frozenset(
    (
        *("Add", "Cast", "Concat", "Constant", "ConstantOfShape", "Div", "Equal", "Expand", "Gather"),
        *("Identity", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Range", "ReduceProd", "ReduceSum"),
        *("Reshape", "Slice", "Squeeze", "Sub", "Unsqueeze", "Where"),
    )
)


def fold(
    op_type: str, operands: Sequence[Operand | None], attrs: Mapping[str, ir.Attr], *, opset: int
) -> list[np.ndarray] | None:
    """The single output's content when every operand's content is known, else None."""
    if op_type in ("Shape", "Size") and operands and operands[0] and operands[0].shape is not None:
        sizes = [int(d) for d in operands[0].shape if isinstance(d, int)]
        if len(sizes) != len(operands[0].shape):
            return None
        if op_type == "Size":
            elements = prod(sizes)
            return [np.asarray(elements, np.int64)] if elements <= LARGEST else None
        start = attrs["start"].as_int() if "start" in attrs else 0
        end = attrs["end"].as_int() if "end" in attrs else None
        return [np.asarray(sizes[start:end], np.int64)]
    contents = [None if o is None else o.content for o in operands]
    if op_type not in FOLDABLE or any(o is not None and o.content is None for o in operands):
        return None
    if any(c is not None and (c.size > MAX_ELEMENTS or c.dtype.kind not in "iub") for c in contents):
        return None
    if _may_be_large(op_type, contents):
        return None
    result = evaluate_node(op_type, contents, attrs, opset=opset)
    if result is None or result.size > MAX_ELEMENTS or result.dtype.kind not in "iub":
        return None
    return [result]


def _may_be_large(op_type: str, contents: Sequence[np.ndarray | None]) -> bool:
    """Whether the contents themselves ask for more than MAX_ELEMENTS; a file may ask for any number."""
    first, last = contents[0] if contents else None, contents[-1] if contents else None
    if op_type in ("Expand", "ConstantOfShape") and last is not None:
        return prod(int(size) for size in last.reshape(-1)) > MAX_ELEMENTS
    if op_type == "Range" and first is not None:
        start, limit, delta = (int(c.reshape(-1)[0]) for c in contents if c is not None and c.size)
        return delta == 0 or (limit - start) // delta > MAX_ELEMENTS
    return False


def evaluate_node(
    op_type: str, contents: Sequence[np.ndarray | None], attrs: Mapping[str, ir.Attr], *, opset: int
) -> np.ndarray | None:
    """What an operator of one output makes of these inputs, by ONNX's reference evaluator.

    None where that refuses: the model is wrong there, which is for its check to say.
    """
    from onnx.reference import ReferenceEvaluator  # it imports every operator, for the few models that compute shapes

    node = onnx.NodeProto(op_type=op_type, output=["y"])
    node.input.extend("" if c is None else f"x{i}" for i, c in enumerate(contents))
    node.attribute.extend(ir.serde.serialize_attribute(a) for a in attrs.values())
    graph = onnx.GraphProto(node=[node], name="fold", output=[onnx.ValueInfoProto(name="y")])
    graph.input.extend(onnx.ValueInfoProto(name=f"x{i}") for i, c in enumerate(contents) if c is not None)
    model = onnx.ModelProto(graph=graph, ir_version=10, opset_import=[onnx.OperatorSetIdProto(version=opset)])
    feeds = {f"x{i}": c for i, c in enumerate(contents) if c is not None}
    try:
        (result,) = ReferenceEvaluator(model).run(None, feeds)
    except Exception:  # numpy and the reference raise whatever a wrong model leads them to
        return None
    return np.asarray(result)
