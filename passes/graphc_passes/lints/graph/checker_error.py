"""What the ONNX checker refuses, or the shape inference of an operator: attributes, inputs, types, sizes, names.

Why    it is no valid model: what one runtime makes of it by accident, the next one refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx
import onnx_ir as ir

from graphc import CaseBuilder, GraphcError, InferenceError, Problem, Refusal, Subject, View, bodies, lint
from graphc_passes.lints.graph._graphs import inferred, is_local, nodes, schema_at
from graphc_passes.lints.graph.conv_channel_mismatch import conv_channel_mismatch
from graphc_passes.lints.graph.ir_version_too_new import ir_version_too_new
from graphc_passes.lints.graph.opset_out_of_range import opset_out_of_range
from graphc_passes.lints.graph.unknown_mode import unknown_mode

LARGEST = 1 << 30  # bytes inside of nodes and of the graphs in them; weights of the main graph are not handed over
ELSEWHERE = (ir_version_too_new, opset_out_of_range)  # lints of the whole model whose findings the checker repeats
REPORTED = frozenset({"graph/dangling-input", "graph/unsorted"})


@lint(category="graph", severity="error", help="mend the node, or export the model again")
def checker_error(subject: Subject) -> Iterator[Problem]:
    if not subject.is_model:  # a spec's nodes are checked one by one where it states them
        return
    whole = list(_of_model(subject))
    known = _told_elsewhere(subject)
    refused = dict(_of_nodes(subject, known)) if whole else {}
    for node, found in inferred(subject):
        if isinstance(found, InferenceError) and node not in known:
            refused.setdefault(node, f"{node.op_type} does not accept this: {_first_line(found)}")
    yield from (Problem(message, at=node) for node, message in refused.items())
    if not refused and not known and not _is_told(subject):
        yield from list(_without_rank(subject.model)) or whole


def _told_elsewhere(subject: Subject) -> set[ir.Node]:
    """The nodes that other lints of this category speak of, and those that hold one of them."""
    model = subject.model
    found = {problem.at for problem in unknown_mode.problems(subject) if isinstance(problem.at, ir.Node)}
    for node, opsets in nodes(subject):
        schema = schema_at(node, opsets)
        if not is_local(model, node) and (schema is None or schema.deprecated):
            found.add(node)
    for node, opset in subject.nodes(*conv_channel_mismatch.roots):
        if _contradicts(node, opset):
            found.add(node)
    for node, _ in reversed(list(nodes(subject))):
        if any(inner in found for graph in bodies(node) for inner in graph):
            found.add(node)
    return found


def _contradicts(node: ir.Node, opset: int) -> bool:
    assert conv_channel_mismatch.look is not None
    try:
        return bool(conv_channel_mismatch.look(View(node, opset)))
    except (Refusal, GraphcError):
        return False


def _is_told(subject: Subject) -> bool:
    """Whether another lint has something to say of the whole model that the checker says too."""
    reported = any(error.code in REPORTED for error in subject.errors)
    return reported or any(True for each in ELSEWHERE for _ in each.problems(subject))


def _of_nodes(subject: Subject, known: set[ir.Node]) -> Iterator[tuple[ir.Node, str]]:
    """The nodes that the checker refuses, those in graphs inside of a node by themselves."""
    for node, opsets in nodes(subject):
        if node in known or bodies(node) or is_local(subject.model, node):
            continue
        context = onnx.checker.C.CheckerContext()
        context.ir_version, context.opset_imports = subject.model.ir_version, dict(opsets)
        try:
            onnx.checker.check_node(ir.serde.serialize_node(node), context)
        except (onnx.checker.ValidationError, ir.serde.SerdeError) as error:
            yield node, _first_line(error)


def _of_model(subject: Subject) -> Iterator[Problem]:
    """What the checker says of all of it: the first thing that is wrong."""
    size = sum(_inner_bytes(graph) for graph, _ in subject.graphs if graph is not subject.model.graph)
    if size > LARGEST:
        yield Problem(f"its inner graphs hold {size} bytes, too many to hand them to the checker", unfinished=True)
        return
    try:
        onnx.checker.check_model(_without_weights(subject.model))
    except (onnx.checker.ValidationError, ir.serde.SerdeError) as error:
        yield Problem(_first_line(error))


def _without_rank(model: ir.Model) -> Iterator[Problem]:
    """Inputs and outputs of which not even the rank is stated, or can be inferred."""
    for value in (*model.graph.inputs, *model.graph.outputs):
        if isinstance(value.type, ir.TensorType) and value.shape is None:
            yield Problem(f"'{value.name}' has no shape: ONNX wants the rank of each input and output", at=value)


def _inner_bytes(graph: ir.Graph | ir.Function) -> int:
    values = graph.initializers.values() if isinstance(graph, ir.Graph) else ()
    return sum(value.const_value.nbytes for value in values if value.const_value is not None)


def _without_weights(model: ir.Model) -> onnx.ModelProto:
    """The model with the initializers of its main graph as inputs, for which the checker reads no content."""
    graph = onnx.GraphProto(name=model.graph.name or "graph")
    graph.node.extend(ir.serde.serialize_node(node) for node in model.graph)
    inputs = dict.fromkeys([*model.graph.inputs, *model.graph.initializers.values()])
    graph.input.extend(ir.serde.serialize_value(value) for value in inputs)
    graph.output.extend(ir.serde.serialize_value(value) for value in model.graph.outputs)
    made = onnx.ModelProto(graph=graph, ir_version=model.ir_version)
    made.functions.extend(ir.serde.serialize_function(function) for function in model.functions.values())
    for domain, version in model.opset_imports.items():
        made.opset_import.add(domain=domain, version=version)
    return made


def _first_line(error: Exception) -> str:
    """What onnx says, without the dump of the node that follows."""
    return str(error).partition("\n")[0].partition("==>")[0].strip()


def _node(g: CaseBuilder, op_type: str, *inputs: ir.Value, **attributes: Any) -> ir.Value:
    """A node that need not be valid."""
    node = ir.Node("", op_type, inputs, ir.convenience.convert_attributes(attributes), num_outputs=1)
    node.outputs[0].type = inputs[0].type
    g.nodes.append(node)
    return node.outputs[0]


@checker_error.bad
def an_attribute_it_does_not_have(g: CaseBuilder) -> object:
    return _node(g, "LeakyRelu", g.input(1, 3, 8, 8), slope=0.1)


@checker_error.bad
def an_input_too_many(g: CaseBuilder) -> object:
    return _node(g, "Relu", g.input(1, 3), g.input(1, 3))


@checker_error.bad
def sizes_that_do_not_go_together(g: CaseBuilder) -> object:
    return _node(g, "Add", g.input(1, 3), g.input(1, 4))


@checker_error.good
def all_is_well(g: CaseBuilder) -> object:
    return g.Add(g.LeakyRelu(g.input(1, 3), alpha=0.1), g.input(1, 3))
