"""Cases: small models with what must happen to them, and their neighbours.

    Case("stride 2", lambda g: g.Relu(g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3), strides=(2, 2))))
    Case("training", ..., refuses="training mode: the statistics depend on the batch")

Rewrites and lints carry their cases with them; tests, catalogues and plugins' own tests are made from these.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnx
import onnx_ir as ir

from graphc.inference import InferenceError, infer_node
from graphc.tape import Tape

DEFAULT_OPSET = 20
IR_VERSION = 10


class CaseBuilder(Tape):
    """A tape with inputs and seeded random weights; what its function returns are the model's outputs."""

    def __init__(self, opset: int, dtype: ir.DataType, seed: int = 0) -> None:
        super().__init__(opset)
        self.dtype = dtype
        self.graph_inputs: list[ir.Value] = []
        self.random = np.random.default_rng(seed)

    def input(self, *shape: int | str | None, dtype: ir.DataType | None = None) -> ir.Value:
        """A graph input `x0`, `x1`, ...; a string is a symbolic dimension."""
        value = ir.Value(
            name=f"x{len(self.graph_inputs)}", type=ir.TensorType(dtype or self.dtype), shape=ir.Shape(shape)
        )
        self.graph_inputs.append(value)
        return value

    def weight(self, *shape: int, low: float | None = None, high: float = 1.5) -> ir.Value:
        """A random initializer: standard normal, or uniform in [low, high) when `low` is given."""
        content = self.random.standard_normal(shape) if low is None else self.random.uniform(low, high, shape)
        return self.constant(np.asarray(content, self.dtype.numpy()), name=f"w{len(self.initializers)}")

    def overridable(self, value: ir.Value) -> ir.Value:
        """Make an initializer a graph input too, so that a caller may override it."""
        self.graph_inputs.append(value)
        return value

    def model(self, outputs: Sequence[ir.Value]) -> ir.Model:
        """The model of everything recorded so far."""
        for index, node in enumerate(self.nodes):
            node.name = f"n{index}_{node.op_type.lower()}"
            for position, value in enumerate(node.outputs):
                value.name = value.name or (node.name if len(node.outputs) == 1 else f"{node.name}.{position}")
        for index, value in enumerate(self.initializers):
            value.name = f"{value.name}_{index}"
        graph = ir.Graph(
            self.graph_inputs,
            outputs,
            nodes=self.nodes,
            initializers=self.initializers,
            opset_imports={"": self.opset},
            name="case",
        )
        return ir.Model(graph, ir_version=IR_VERSION)


@dataclass(frozen=True)
class Case:
    """A small model and what must happen to it: it fires, or it refuses with exactly that reason.

    `build` gets a CaseBuilder, whose weights come from `seed`, and returns the output value or values; `options` go to
    the rewrite. `oracle` says who knows what the model computes: "reference" where ONNX Runtime refuses it or gets it
    wrong.
    """

    name: str
    build: Callable[[CaseBuilder], Any] = field(repr=False)
    refuses: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    opset: int = DEFAULT_OPSET
    dtype: ir.DataType = ir.DataType.FLOAT
    seed: int = 0
    oracle: Literal["runtime", "reference"] = "runtime"

    def model(self) -> ir.Model:
        """A fresh copy of the model, the same every time."""
        builder = CaseBuilder(self.opset, self.dtype, self.seed)
        result = self.build(builder)
        return builder.model(list(result) if isinstance(result, tuple) else [result])


@dataclass(frozen=True)
class Neighbour:
    """A case with one thing changed; it may no longer be a valid model, which is for the caller to see."""

    label: str
    model: ir.Model = field(repr=False)


def neighbours(case: Case) -> Iterator[Neighbour]:
    """Each case perturbed: attributes off default, boundary constants, constants as inputs, shared constants,
    intermediates as outputs or as inputs, other shapes and types."""
    for change in (
        _attributes,
        _constants,
        _constants_as_inputs,
        _shared_constants,
        _intermediates_as_outputs,
        _intermediates_as_inputs,
        _shapes,
        _types,
    ):
        yield from change(case)


# What an attribute's strings may be; schemas only say so in prose.
STRINGS = {
    "auto_pad": ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"),
    "mode": ("constant", "reflect", "edge", "wrap", "DCR", "CRD", "nearest", "linear", "cubic"),
    "direction": ("forward", "reverse", "bidirectional"),
    "coordinate_transformation_mode": ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"),
}
FLAGS = frozenset({"saturate"})  # 0 or 1; for another number ONNX Runtime leaves the result of a Cast unwritten


def _attributes(case: Case) -> Iterator[Neighbour]:
    for index, node in enumerate(case.model().graph):
        schema = onnx.defs.get_schema(node.op_type, case.opset, node.domain)
        for name, declared in schema.attributes.items():
            for value in _other_values(node, name, declared):
                model = case.model()
                changed = model.graph[index]
                changed.attributes[name] = ir.convenience.convert_attributes({name: value})[0]
                yield Neighbour(f"{node.op_type}.{name}={value}", _unshaped(model))


def _other_values(node: ir.Node, name: str, declared: onnx.defs.OpSchema.Attribute) -> Iterator[Any]:
    kind = str(declared.type).rpartition(".")[2]
    rank = next((len(v.shape) - 2 for v in node.inputs if v is not None and v.shape is not None), 2)
    given = node.attributes[name].value if name in node.attributes else None
    if kind == "INT":
        yield from ({0, 1} if name in FLAGS else {0, 1, 2, -1}) - {given}
    elif kind == "FLOAT":
        yield from {0.0, 0.5, 3.0} - {given}
    elif kind == "INTS" and given:
        yield [int(v) + 1 for v in given]
        yield [int(v) + (i == 0) for i, v in enumerate(given)]
        yield [max(0, int(v) - 1) for v in given]
    elif kind == "INTS" and rank > 0:
        yield from ([2] * rank, [1] * rank, [1] * (2 * rank), [0] * rank + [1] * rank, [2] + [1] * (rank - 1))
    elif kind == "STRING":
        yield from (text for text in STRINGS.get(name, ()) if text != given)


def _constants(case: Case) -> Iterator[Neighbour]:
    for index, name in enumerate(case.model().graph.initializers):
        tensor = case.model().graph.initializers[name].const_value
        if tensor is None or tensor.size == 0:
            continue
        content = tensor.numpy()
        changes: list[tuple[str, float]] = [("0", 0), ("1", 1)]
        if content.dtype.kind != "u":
            changes.append(("-1", -1))
        if content.dtype.kind == "f":
            changes += [("large", 1e4), ("tiny", 1e-7)]
        for label, value in changes:
            yield Neighbour(f"constant {index} = {label}", _with_constant(case, name, np.full_like(content, value)))
        one = content.copy().reshape(-1)
        one[0] = ~one[0] if content.dtype.kind in "biu" else -one[0] - 1
        yield Neighbour(f"constant {index} first element off", _with_constant(case, name, one.reshape(content.shape)))


def _with_constant(case: Case, name: str, content: np.ndarray) -> ir.Model:
    model = case.model()
    model.graph.initializers[name].const_value = ir.tensor(content, name=name)
    return _unshaped(model)


def _constants_as_inputs(case: Case) -> Iterator[Neighbour]:
    for name in case.model().graph.initializers:
        for keep in (True, False):
            model = case.model()
            value = model.graph.initializers[name]
            if value.is_graph_input():
                continue
            model.graph.inputs.append(value)
            if not keep:
                del model.graph.initializers[name]
                value.const_value = None
            yield Neighbour(f"{name} is {'an overridable' if keep else 'a plain'} input", _unshaped(model))


def _shared_constants(case: Case) -> Iterator[Neighbour]:
    for name in case.model().graph.initializers:
        model = case.model()
        value = model.graph.initializers[name]
        extra = ir.node("Identity", [value], name="shares")
        extra.outputs[0].name, extra.outputs[0].type, extra.outputs[0].shape = (
            "shared",
            value.type,
            value.shape,
        )
        model.graph.append(extra)
        model.graph.outputs.append(extra.outputs[0])
        yield Neighbour(f"{name} is used elsewhere", model)


def _intermediates_as_outputs(case: Case) -> Iterator[Neighbour]:
    for index, node in enumerate(case.model().graph):
        for position, value in enumerate(node.outputs):
            if value.is_graph_output() or not value.name or value.type is None:
                continue
            model = case.model()
            model.graph.outputs.append(model.graph[index].outputs[position])
            yield Neighbour(f"{value.name} is an output", model)


def _intermediates_as_inputs(case: Case) -> Iterator[Neighbour]:
    """What a node reads comes from outside, and no longer has what its producer gave it (a sign, a range)."""
    for index, node in enumerate(case.model().graph):
        for position, value in enumerate(node.inputs):
            if value is None or value.producer() is None or value.type is None:
                continue
            model = case.model()
            fresh = ir.Value(name=f"cut_{index}_{position}", type=value.type, shape=value.shape)
            model.graph[index].replace_input_with(position, fresh)
            model.graph.inputs.append(fresh)
            yield Neighbour(f"{value.name} is an input", model)


def _shapes(case: Case) -> Iterator[Neighbour]:
    base = case.model()
    for index, value in enumerate(base.graph.inputs):
        if value.is_initializer() or value.shape is None:
            continue
        for axis in range(len(value.shape)):
            old = value.shape[axis]
            changes: list[int | str | None] = ["D", None, 1, 0]
            changes += [old + 1, old + 4] if isinstance(old, int) else []
            for size in changes:
                model = case.model()
                sizes: list[Any] = list(value.shape)
                sizes[axis] = size
                model.graph.inputs[index].shape = ir.Shape(sizes)
                yield Neighbour(f"{value.name} axis {axis} is {size}", _unshaped(model))


def _types(case: Case) -> Iterator[Neighbour]:
    for dtype in (ir.DataType.DOUBLE, ir.DataType.FLOAT16):
        yield Neighbour(f"in {dtype.name.lower()}", as_type(case.model(), dtype))


def as_type(model: ir.Model, dtype: ir.DataType) -> ir.Model:
    """The model with every float tensor of its main graph in another float type (a copy; `model` is left alone)."""
    changed = copy.copy(model.clone())
    floats = (ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16)
    for value in changed.graph.inputs:
        if value.dtype in floats:
            value.type = ir.TensorType(dtype)
    for name, value in changed.graph.initializers.items():
        tensor = value.const_value
        if value.dtype in floats and tensor is not None:
            value.type = ir.TensorType(dtype)
            with np.errstate(over="ignore"):
                value.const_value = ir.tensor(tensor.numpy().astype(dtype.numpy()), name=name)
    return _unshaped(changed)


def _unshaped(model: ir.Model) -> ir.Model:
    """The model with its derived types and shapes inferred anew, as after loading it from a file."""
    for node in model.graph:
        for value in node.outputs:
            value.type, value.shape = None, None
    opset = model.opset_imports[""]
    for node in model.graph:
        try:
            found = infer_node(node, opset)
        except InferenceError:
            return model  # not a valid model: the checker will say so
        for value, operand in zip(node.outputs, found, strict=True):
            value.type, value.shape = operand.type, operand.shape
    return model
