"""What trains in a plain ONNX model, which does not say.

The rule: a floating initializer (or Constant node) trains when it feeds a weight, bias or scale input, by the names of
the operator's schema in `WEIGHTS`, directly or through nodes that only reshape, convert or quantise it (`PASSED_ON`).
The operands of Add and Mul count where they have more than one element: exporters write the bias of a product of
matrices and the scale of a layer so, and a single number is more often a constant such as 1/√d. What Sub, Div and Pow
take are constants. Models that graphc wrote mark their constants, so there every other floating initializer trains.

Running statistics never train: they are buffers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from math import prod

import onnx
import onnx_ir as ir

from graphc.errors import GraphcError, suggest
from graphc.metadata import CONSTANT
from graphc.view import constant_tensor

_AFFINE, _RECURRENT = ("scale", "B"), ("W", "R", "B")
WEIGHTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("Conv", "ConvTranspose", "DeformConv"), ("W", "B")),
    **dict.fromkeys(("BatchNormalization", "InstanceNormalization"), _AFFINE),
    "GroupNormalization": ("scale", "bias"),
    "LayerNormalization": ("Scale", "B"),
    "RMSNormalization": ("scale",),
    "PRelu": ("slope",),
    **dict.fromkeys(("RNN", "GRU"), _RECURRENT),
    "LSTM": (*_RECURRENT, "P"),
    "Gemm": ("A", "B", "C"),
    "MatMul": ("A", "B"),
    "Einsum": ("Inputs",),
    "Gather": ("data",),  # the table of an embedding
    **dict.fromkeys(("Add", "Mul"), ("A", "B")),
}
STATISTICS = {"BatchNormalization": ("input_mean", "input_var")}
PASSED_ON = frozenset(
    (
        "Cast",
        "DequantizeLinear",
        "Flatten",
        "Identity",
        "QuantizeLinear",
        "Reshape",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    )
)
BINARY = frozenset(("Add", "Mul"))


@dataclass(frozen=True)
class Stored:
    """The floating tensors that a model stores, told apart: what trains, what could but is frozen, running statistics.

    Each tensor stands in one of them, once, however often it is used.
    """

    trained: tuple[ir.Value, ...]
    frozen: tuple[ir.Value, ...]
    buffers: tuple[ir.Value, ...]

    def __iter__(self) -> Iterator[ir.Value]:
        """All of them."""
        yield from (*self.trained, *self.frozen, *self.buffers)


def stored(model: ir.Model, freeze: Sequence[str] = ()) -> Stored:
    """Apply the rule of this module. `freeze` are globs over names of initializers, whose matches do not train.

    Raises GraphcError (run/usage) for a glob that matches nothing that would train.
    """
    candidates = [value for value in _floating(model.graph) if CONSTANT not in value.metadata_props]
    buffers = {value: None for value in candidates if _feeds(value, STATISTICS)}
    rest = [value for value in candidates if value not in buffers]
    weights = rest if model.producer_name == "graphc" else [value for value in rest if _is_weight(value)]
    return frozen_by(weights, tuple(buffers), freeze)


def frozen_by(weights: Sequence[ir.Value], buffers: tuple[ir.Value, ...], freeze: Sequence[str]) -> Stored:
    """`weights` train, but for those that a glob matches. Raises GraphcError (run/usage) for a glob without a match."""
    names = [value.name or "" for value in weights]
    for glob in freeze:
        if not any(fnmatchcase(name, glob) for name in names):
            hint = suggest(glob, names) or "nothing trains in this model"
            raise GraphcError(f"no parameter matches '{glob}'", code="run/usage", hint=hint)
    still = [any(fnmatchcase(name, glob) for glob in freeze) for name in names]
    trained = tuple(value for value, frozen in zip(weights, still, strict=True) if not frozen)
    return Stored(trained, tuple(value for value, frozen in zip(weights, still, strict=True) if frozen), buffers)


def _floating(graph: ir.Graph) -> Iterator[ir.Value]:
    """Floating initializers in their order, then the floating Constant nodes that stand for one."""
    for value in graph.initializers.values():
        if _is_floating(value):
            yield value
    for node in graph:
        if node.op_type == "Constant" and not node.domain and _is_floating(node.outputs[0]):
            yield node.outputs[0]


def _is_floating(value: ir.Value) -> bool:
    """By its type, or where the model does not state that, by its content's."""
    tensor = constant_tensor(value) if value.dtype is None else None
    dtype = value.dtype if tensor is None else tensor.dtype
    return dtype is not None and dtype.is_floating_point()


def _is_weight(value: ir.Value) -> bool:
    """Whether the rule's inputs read the value, also through nodes that pass it on. Shared weights are met once."""
    found, reached = [value], {value}
    while found:
        current = found.pop()
        for node, index in current.uses():
            if _reads_weight(node, index, value):
                return True
            if node.op_type in PASSED_ON and not node.domain and index == 0 and node.outputs[0] not in reached:
                reached.add(node.outputs[0])
                found.append(node.outputs[0])
    return False


def _reads_weight(node: ir.Node, index: int, value: ir.Value) -> bool:
    if node.domain or not _is_named(node.op_type, index, WEIGHTS.get(node.op_type, ())):
        return False
    return node.op_type not in BINARY or _size(value) > 1


def _feeds(value: ir.Value, table: Mapping[str, tuple[str, ...]]) -> bool:
    uses = value.uses()
    return any(not node.domain and _is_named(node.op_type, index, table.get(node.op_type, ())) for node, index in uses)


@cache
def _is_named(op_type: str, index: int, names: tuple[str, ...]) -> bool:
    """Whether the input at that position has one of these names: in the newest schema, whose order is that of all."""
    if not names:
        return False
    formals = onnx.defs.get_schema(op_type).inputs
    return formals[min(index, len(formals) - 1)].name in names


def _size(value: ir.Value) -> int:
    if value.shape is not None and value.shape.is_static():
        return prod(value.shape.numpy())
    tensor = constant_tensor(value)
    return 0 if tensor is None else tensor.size
