"""A type or shape that the model states of a value and that its nodes do not give.

Why    what reads the statement plans, allocates and optimises by it: ONNX Runtime warns and takes the other one, others
       compute nonsense. A model whose inputs were resized by hand keeps the old shapes inside.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from graphc import CaseBuilder, InferenceError, Problem, Subject, lint
from graphc_passes.lints.graph._graphs import inferred


@lint(
    category="graph",
    severity="warning",
    help="remove the shapes that the file states, and infer them again",
)
def declared_shape_contradicts(subject: Subject) -> Iterator[Problem]:
    yield from _weights(subject)
    declared = subject.declared
    for node, found in inferred(subject):
        if isinstance(found, InferenceError):
            continue  # which checker-error says
        for value, operand in zip(node.outputs, found, strict=True):
            stated: object = declared.get(value)
            made: object = operand.shape
            if _agree(declared.get(value), operand.shape):
                stated, made = value.type, operand.type
                if stated is None or made is None or stated == made:
                    continue
            message = f"'{value.name}' is stated to be {stated}, and this {node.op_type} makes {made}"
            is_type = stated is value.type  # no runtime loads a model with a wrong one
            yield Problem(message, at=node, severity="error" if is_type else None)


def _weights(subject: Subject) -> Iterator[Problem]:
    """Weights that are stated as inputs of another shape, with which ONNX Runtime opens no model."""
    for value in subject.model.graph.inputs if subject.is_model else ():
        stored = value.const_value
        if stored is not None and not _agree(value.shape, ir.Shape(stored.shape.numpy())):
            message = f"'{value.name}' is stated to be {value.shape}, and stored as {list(stored.shape.numpy())}"
            yield Problem(message, at=value, severity="error")


def _agree(stated: ir.Shape | None, found: ir.Shape | None) -> bool:
    """Whether two shapes can be those of one value."""
    if stated is None or found is None:
        return True
    if len(stated) != len(found):
        return False
    return all(a == b for a, b in zip(stated, found, strict=True) if isinstance(a, int) and isinstance(b, int))


def _two_nodes(g: CaseBuilder, stated: ir.Shape) -> ir.Value:
    middle = g.MaxPool(g.input(1, 3, 8, 8), kernel_shape=(2, 2), strides=(2, 2))
    found: ir.Value = g.Relu(middle)
    middle.shape = stated
    return found


@declared_shape_contradicts.bad
def of_another_input(g: CaseBuilder) -> object:
    return _two_nodes(g, ir.Shape([1, 3, 112, 112]))


@declared_shape_contradicts.bad
def of_another_rank(g: CaseBuilder) -> object:
    return _two_nodes(g, ir.Shape([1, 48]))


@declared_shape_contradicts.bad(ignore=["graph/initializer-is-input"])
def weights_of_another_shape(g: CaseBuilder) -> object:
    weights = g.overridable(g.weight(4))
    weights.shape = ir.Shape([2, 2])
    return g.Relu(g.Reshape(weights, g.constant([4])))


@declared_shape_contradicts.good
def as_it_is(g: CaseBuilder) -> object:
    return _two_nodes(g, ir.Shape([1, 3, 4, 4]))


@declared_shape_contradicts.good
def by_names(g: CaseBuilder) -> object:
    return _two_nodes(g, ir.Shape(["N", 3, "height", "width"]))
