"""Types and shapes of one node's outputs, by ONNX's own inference.

Used wherever graphc makes nodes: while a spec is emitted and while a rewrite is proposed. Inference is asked
node by node, so its price is linear in the graph and no model has to be serialised; networks repeat themselves, so
answers are remembered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import shape_inference

from graphc import walk
from graphc.convolution import pool_axes, read_convolution
from graphc.errors import GraphcError
from graphc.folding import fold
from graphc.view import Refusal, View, is_static

MAX_REMEMBERED = 10_000  # answers
MAX_RANK = 1 << 10  # of what a Reshape makes
ABORTS = (RuntimeError, ValueError, LookupError, MemoryError)  # what ONNX's inference ends with where it counts wrongly
MAX_KNOWN_ELEMENTS = 1024  # larger constants are never a shape, so they are not handed to inference


class InferenceError(ValueError):
    """The operator's own rules refuse these inputs; the text is ONNX's."""


class BelowZeroError(InferenceError):
    """A size below 0, where ONNX's own inference finds nothing wrong."""


@dataclass(frozen=True)
class Operand:
    """What inference knows of a value: its type, its shape (None: unknown rank) and, if small and known, content."""

    type: ir.TypeProtocol | None
    shape: ir.Shape | None = None
    content: np.ndarray | None = None


UNKNOWN = Operand(None)
_remembered: dict[object, list[Operand]] = {}
# ONNX's inference is wrong about these at times.
WINDOWED = frozenset({"AveragePool", "ConvTranspose", "LpPool", "MaxPool"})
# What is in a filter, a bias or a mean says nothing of sizes: layers of one shape have one answer.
WEIGHTED = frozenset(
    (
        *("BatchNormalization", "Conv", "ConvTranspose", "Gemm"),
        *("InstanceNormalization", "LayerNormalization", "MatMul", "PRelu"),
    )
)
# ONNX counts axes from these without a look at the rank, and crashes where there are not as many.
AXES = {"GatherND": "batch_dims", "LayerNormalization": "axis", "RMSNormalization": "axis"}
# What ONNX reads of an Einsum: it waits forever behind any other sign, and after a second ellipsis.
TERM = r"[A-Za-z]*(?:\.\.\.[A-Za-z]*)?"
EQUATION = re.compile(rf"{TERM}(?:,{TERM})*(?:->{TERM})?")
# ONNX ships these without shape inference; their output has the type and shape of their first input.
LIKE_FIRST_INPUT = frozenset({"GroupNormalization", "MeanVarianceNormalization"})


def infer(
    op_type: str,
    operands: Sequence[Operand | None],
    attributes: Mapping[str, ir.Attr],
    *,
    outputs: int,
    opset: int,
    domain: str = "",
) -> list[Operand]:
    """What is known of each output of one operator; UNKNOWN where ONNX cannot tell.

    The content of a small integer output is known where that of its operands is. Raises InferenceError when the
    operator does not accept the operands' types or shapes.
    """
    if op_type in WEIGHTED and not domain:
        operands = [o if o is None or o.content is None else replace(o, content=None) for o in operands]
    key = (op_type, domain, opset, outputs, *map(_key, operands), *map(_attribute_key, attributes.values()))
    found = _remembered.get(key)
    if found is None:
        found = _infer(op_type, operands, attributes, outputs, opset, domain)
        stated = not domain and not any(each.is_ref() for each in attributes.values())
        contents = fold(op_type, operands, attributes, opset=opset) if stated else None
        if contents is not None:
            known = zip(found, contents, strict=True)
            found = [replace(o, shape=ir.Shape(content.shape), content=content) for o, content in known]
        if len(_remembered) >= MAX_REMEMBERED:
            _remembered.clear()
        _remembered[key] = found
    return [replace(o, shape=None if o.shape is None else o.shape.copy()) for o in found]


def _infer(
    op_type: str,
    operands: Sequence[Operand | None],
    attributes: Mapping[str, ir.Attr],
    outputs: int,
    opset: int,
    domain: str,
) -> list[Operand]:
    known = onnx.defs.has(op_type, max_inclusive_version=opset, domain=domain)
    if not known or any(operand is not None and operand.type is None for operand in operands):
        return [UNKNOWN] * outputs
    if not domain and op_type in LIKE_FIRST_INPUT and operands and operands[0]:
        return [Operand(operands[0].type, operands[0].shape)] * outputs
    schema = onnx.defs.get_schema(op_type, opset, domain)
    _check_types(schema, operands)
    _check_outputs(op_type, attributes, outputs)
    _check_sizes(operands)
    _check_axis(op_type, attributes, operands)
    _check_equations(op_type, attributes)
    node = onnx.NodeProto(op_type=op_type, domain=domain, output=[f"o{i}" for i in range(outputs)])
    try:
        node.attribute.extend(
            ir.serde.serialize_attribute(a) for a in attributes.values() if not a.is_ref() and a.value is not None
        )
    except ir.serde.SerdeError:
        raise InferenceError("an attribute is beyond 64 bits") from None
    types: dict[str, onnx.TypeProto] = {}
    data: dict[str, onnx.TensorProto] = {}
    for index, operand in enumerate(operands):
        name = f"i{index}" if operand is not None else ""
        node.input.append(name)
        if operand is None:
            continue
        types[name] = ir.serde.serialize_type(operand.type)  # type: ignore[arg-type] # a type is there, see above
        if operand.shape is not None:
            ir.serde.serialize_shape_into(types[name], operand.shape)
        if operand.content is not None and operand.content.dtype.kind not in "OSU":  # no shape is made of texts
            data[name] = ir.serde.serialize_tensor(ir.Tensor(operand.content, name=name))
    opsets = [onnx.OperatorSetIdProto(domain="", version=opset)]
    try:
        found = shape_inference.infer_node_outputs(schema, node, types, data, opset_imports=opsets)
    except (shape_inference.InferenceError, onnx.checker.ValidationError, *ABORTS) as error:
        raise InferenceError(str(error).removeprefix("[ShapeInferenceError] ")) from None
    made = [_operand(found.get(name)) for name in node.output]
    _check_sizes(made)
    return made if domain else [_mended(op_type, operands, attributes, opset, operand) for operand in made]


def _mended(
    op_type: str, operands: Sequence[Operand | None], attributes: Mapping[str, ir.Attr], opset: int, operand: Operand
) -> Operand:
    """An output as it is where ONNX's inference says too little or something wrong."""
    if op_type == "Reshape" and opset >= 5 and operands[1] is not None:
        return _of_rank(operand, operands[1].shape)
    return _windowed(op_type, operands, attributes, opset, operand) if op_type in WINDOWED else operand


def _windowed(
    op_type: str, operands: Sequence[Operand | None], attributes: Mapping[str, ir.Attr], opset: int, operand: Operand
) -> Operand:
    """What comes out of a sliding window, as far as ONNX and the one equation agree: the rest is not known.

    ONNX's inference counts windows of `ceil_mode` that begin behind the data, forgets the output padding under
    `auto_pad`, and breaks off where an `output_shape` is smaller than the data. Its checker refuses a model that says
    otherwise, so what is right is not stated either.
    """
    data = operands[0].shape if operands and operands[0] else None
    if data is None or operand.shape is None:
        return operand
    if len(operand.shape) != len(data):
        return replace(operand, shape=None)
    if not all(isinstance(size, int) for size in data[2:]):
        return operand
    node = ir.Node("", op_type, [ir.val(f"i{index}") for index in range(len(operands))], list(attributes.values()))
    spatial = [int(size) for size in data[2:] if isinstance(size, int)]
    try:
        sizes = _output_sizes(View(node, opset), spatial, operands)
    except (GraphcError, Refusal) as error:
        raise InferenceError(str(error)) from None
    if sizes is None:
        return operand
    agreed = [a if a == b else None for a, b in zip(operand.shape[2:], sizes, strict=True)]
    return replace(operand, shape=ir.Shape([*operand.shape[:2], *agreed]))


def _output_sizes(view: View, spatial: Sequence[int], operands: Sequence[Operand | None]) -> list[int] | None:
    """The sizes of the output; None where those of the filter are not known."""
    if view.op_type != "ConvTranspose":
        return [axis.output for axis in pool_axes(view, spatial)]
    filter_ = operands[1].shape if operands[1] else None
    if not is_static(filter_):
        return None
    weights = list(filter_.numpy())
    return [axis.output for axis in read_convolution(view, [1, weights[0], *spatial], weights).axes]


def _of_rank(operand: Operand, target: ir.Shape | None) -> Operand:
    """A Reshape to a target that is computed: as many axes as the target has elements, which ONNX does not say."""
    if operand.shape is not None or target is None or len(target) != 1 or not isinstance(target[0], int):
        return operand
    if target[0] > MAX_RANK:
        raise InferenceError(f"it would make {target[0]} axes")
    return replace(operand, shape=ir.Shape([None] * target[0]))


def _check_sizes(operands: Iterable[Operand | None]) -> None:
    """Raises BelowZeroError for a size below 0, which a window larger than its data leaves: ONNX may abort there."""
    for operand in operands:
        if (
            operand is not None
            and operand.shape is not None
            and any(isinstance(d, int) and d < 0 for d in operand.shape)
        ):
            raise BelowZeroError(f"a size of {operand.shape} is below 0")


def _check_axis(op_type: str, attributes: Mapping[str, ir.Attr], operands: Sequence[Operand | None]) -> None:
    """Raises InferenceError for an axis that the first operand does not have, of operators in AXES."""
    stated = attributes.get(AXES.get(op_type, ""))
    shape = operands[0].shape if operands and operands[0] else None
    if stated is None or stated.is_ref() or shape is None:
        return
    least = 0 if op_type == "GatherND" else -len(shape)
    if not (isinstance(stated.value, int) and least <= stated.value < max(1, len(shape))):
        raise InferenceError(f"{stated.name} is {stated.value}, and the data has {len(shape)} axes")


def _check_equations(op_type: str, attributes: Mapping[str, ir.Attr]) -> None:
    """Raises InferenceError for the equation of an Einsum, or of one in a graph inside, that ONNX would not finish."""
    stated = attributes.get("equation") if op_type == "Einsum" else None
    if stated is not None and not stated.is_ref() and not EQUATION.fullmatch(str(stated.value).replace(" ", "")):
        raise InferenceError(f"'{stated.value}' is no equation")
    for node in (node for graph in walk.held(attributes) for node in graph if not node.domain):
        _check_equations(node.op_type, node.attributes)


def _check_outputs(op_type: str, attributes: Mapping[str, ir.Attr], outputs: int) -> None:
    """Raises InferenceError for a Split that says another number of outputs than it has: ONNX aborts the process."""
    stated = attributes.get("num_outputs") if op_type == "Split" else None
    if stated is not None and not stated.is_ref() and stated.value != outputs:
        raise InferenceError(f"num_outputs is {stated.value}, and there are {outputs} outputs")


def _check_types(schema: onnx.defs.OpSchema, operands: Sequence[Operand | None]) -> None:
    """Raises InferenceError for a tensor type that the operator does not take, or two where it wants one."""
    chosen: dict[str, str] = {}  # the type that each of the schema's type variables stands for
    for index, operand in enumerate(operands):
        if operand is None or not isinstance(operand.type, ir.TensorType) or not schema.inputs:
            continue
        formal = schema.inputs[min(index, len(schema.inputs) - 1)]
        found = f"tensor({operand.type.dtype.name.lower()})"
        if found not in formal.types:
            raise InferenceError(f"input '{formal.name}' cannot be a {found}")
        if formal.is_homogeneous and chosen.setdefault(formal.type_str, found) != found:
            raise InferenceError(f"input '{formal.name}' is a {found}, but another a {chosen[formal.type_str]}")


def infer_node(node: ir.Node, opset: int, known: Mapping[ir.Value, Operand] = {}) -> list[Operand]:
    """`infer` for a node whose inputs carry their types, shapes and constants, but for what is `known` of them."""
    operands = [None if value is None else operand_of(value, known) for value in node.inputs]
    return infer(node.op_type, operands, node.attributes, outputs=len(node.outputs), opset=opset, domain=node.domain)


def infer_missing(model: ir.Model) -> None:
    """Give the values of the main graph the types and shapes that the model does not state, where ONNX can tell them.

    What is stated stays, unless ONNX's inference may have stated it and be wrong (`WINDOWED`): then all but the
    interface is stated anew. Subgraphs and functions are left as they are.
    """
    stated = all(_is_stated(value) for node in model.graph for value in node.outputs)
    if _may_be_misstated(model):
        for value in (value for node in model.graph for value in node.outputs if not value.is_graph_output()):
            value.shape = None
    elif stated:
        return
    opset, known = model.opset_imports.get("", 1), dict[ir.Value, Operand]()
    for node in model.graph:
        try:
            found = infer_node(node, opset, known)
        except InferenceError:
            continue
        for value, operand in zip(node.outputs, found, strict=True):
            value.type = value.type or operand.type
            value.shape = operand.shape if value.shape is None else value.shape
            known[value] = replace(operand, type=value.type, shape=value.shape)


def infer_anew(model: ir.Model) -> Iterator[tuple[ir.Node, list[Operand] | InferenceError]]:
    """Each node of the main graph and of those inside of it with what comes out of it, or why nothing can, whatever the
    model states in between.

    Where ONNX cannot tell a shape, the stated one stands. A node that holds a refused one is not refused itself; a size
    below 0 in a branch is not known, for the branch may be there for other data, and runtimes open the model.
    """
    yield from _anew(model.graph, model.opset_imports, {})


def _anew(
    graph: ir.Graph, opsets: Mapping[str, int], known: dict[ir.Value, Operand], *, is_inner: bool = False
) -> Iterator[tuple[ir.Node, list[Operand] | InferenceError]]:
    for node in graph:
        inside = list[tuple[ir.Node, list[Operand] | InferenceError]]()
        for body in walk.bodies(node):
            known.update((value, Operand(value.type)) for value in body.inputs)  # of a Loop, other sizes each time
            inside += _anew(body, opsets, known, is_inner=True)
        yield from inside
        is_broken = any(isinstance(found, InferenceError) for _, found in inside)
        try:
            found = [UNKNOWN] * len(node.outputs) if is_broken else infer_node(node, opsets.get(node.domain, 1), known)
        except InferenceError as error:
            if not (is_inner and isinstance(error, BelowZeroError)):
                yield node, error
                continue
            found = [UNKNOWN] * len(node.outputs)
        yield node, found
        for value, operand in zip(node.outputs, found, strict=True):
            shape = value.shape if operand.shape is None else operand.shape
            known[value] = replace(operand, type=operand.type or value.type, shape=shape)


def _may_be_misstated(model: ir.Model) -> bool:
    """Whether some window states a size on which ONNX and the equation do not agree."""
    opset = model.opset_imports.get("", 1)
    for node in model.graph:
        if node.op_type not in WINDOWED or node.domain:
            continue
        try:
            found = infer_node(node, opset)
        except InferenceError:
            continue
        if any(is_static(a.shape) and not is_static(b.shape) for a, b in zip(node.outputs, found, strict=True)):
            return True
    return False


def _is_stated(value: ir.Value) -> bool:
    return value.type is not None and value.shape is not None


def operand_of(value: ir.Value, known: Mapping[ir.Value, Operand] = {}) -> Operand:
    """A value as inference sees it, unless it is `known`; only small initializers are read, never weights."""
    if value in known:
        return known[value]
    tensor = value.const_value
    readable = tensor is not None and not value.is_graph_input() and tensor.size <= MAX_KNOWN_ELEMENTS
    return Operand(value.type, value.shape, tensor.numpy() if tensor is not None and readable else None)


def _operand(proto: onnx.TypeProto | None) -> Operand:
    if proto is None:
        return UNKNOWN
    return Operand(ir.serde.deserialize_type_proto_for_type(proto), ir.serde.deserialize_type_proto_for_shape(proto))


def _key(operand: Operand | None) -> object:
    """A hashable stand-in for all that inference sees of an operand."""
    if operand is None:
        return None
    sizes = None if operand.shape is None else tuple(d if isinstance(d, int) else d.value for d in operand.shape)
    content = operand.content
    known = None if content is None else (content.dtype.str, content.shape, content.tobytes())
    return operand.type, sizes, known


def _attribute_key(attribute: ir.Attr) -> object:
    value: Any = attribute.value
    if attribute.is_ref() or isinstance(value, int | float | str):
        return attribute.name, attribute.ref_attr_name, value
    if isinstance(value, list | tuple) and all(isinstance(item, int | float | str) for item in value):
        return attribute.name, tuple(value)
    return attribute.name, ir.serde.serialize_attribute(attribute).SerializeToString(deterministic=True)
