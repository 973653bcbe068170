"""An operator that ONNX deprecates in the opset that the model imports.

Why    its name is there, its meaning is not: the ONNX checker refuses it, and runtimes that run it do so by a
       definition of an older opset.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from graphc import CaseBuilder, Problem, Subject, lint
from graphc_passes.lints.graph._graphs import is_local, nodes, schema_at

INSTEAD = {"Upsample": "Resize", "Scatter": "ScatterElements", "GroupNormalization": "GroupNormalization of opset 21"}


@lint(category="graph", severity="error", help="use what replaces it, or import the older opset")
def deprecated_op(subject: Subject) -> Iterator[Problem]:
    for node, opsets in nodes(subject):
        schema = schema_at(node, opsets)
        if schema is not None and schema.deprecated and not is_local(subject.model, node):
            instead = f": {INSTEAD[node.op_type]} replaces it" if node.op_type in INSTEAD else ""
            yield Problem(f"{node.op_type} is deprecated in opset {opsets[node.domain]}{instead}", at=node)


def _node(g: CaseBuilder, op_type: str, *inputs: ir.Value) -> ir.Value:
    node = ir.Node("", op_type, inputs, num_outputs=1)
    node.outputs[0].type, node.outputs[0].shape = inputs[0].type, ir.Shape([1, 3, 16, 16])
    g.nodes.append(node)
    return node.outputs[0]


@deprecated_op.bad
def of_an_older_opset(g: CaseBuilder) -> object:
    return _node(g, "Upsample", g.input(1, 3, 8, 8), g.constant(np.asarray([1, 1, 2, 2], np.float32)))


@deprecated_op.bad
def in_a_spec() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, Upsample: {mode: nearest}}
    """


@deprecated_op.good
def what_replaces_it(g: CaseBuilder) -> object:
    return g.Resize(g.input(1, 3, 8, 8), None, g.constant(np.asarray([1, 1, 2, 2], np.float32)))
