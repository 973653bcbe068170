"""What the lints of this category share: every graph of a model, what ONNX declares of a node and infers of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import onnx
import onnx_ir as ir

from graphc import Case, InferenceError, Operand, Subject, infer_anew, save, schema_of

# ONNX Runtime takes these for imported: what its own optimiser writes names no opset of them.
RUNTIME = frozenset(
    {"com.microsoft", "com.microsoft.experimental", "com.microsoft.nchwc", "com.ms.internal.nhwc", "org.pytorch.aten"}
)
STANDARD = frozenset({"", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training"})
SHOWN = 3  # names in a message


def nodes(subject: Subject) -> Iterator[tuple[ir.Node, Mapping[str, int]]]:
    """Every node of a model, of whatever domain, with the opsets that it stands under."""
    for graph, opsets in subject.graphs:
        for node in graph:
            yield node, opsets


def inferred(subject: Subject) -> Sequence[tuple[ir.Node, Sequence[Operand] | InferenceError]]:
    """Each node but those of functions with what comes out of it, whatever the model states; see `infer_anew`."""
    return subject.once(_inferred)


def _inferred(subject: Subject) -> Sequence[tuple[ir.Node, Sequence[Operand] | InferenceError]]:
    return tuple(infer_anew(subject.model))


def is_local(model: ir.Model, node: ir.Node) -> bool:
    """Whether a node calls a function of the model."""
    return node.op_identifier() in model.functions


def is_unimported(node: ir.Node, opsets: Mapping[str, int]) -> bool:
    """Whether a node is of a domain besides ONNX's own of which no opset is imported, as no runtime accepts."""
    return node.domain not in opsets and node.domain not in STANDARD | RUNTIME


def schema_at(node: ir.Node, opsets: Mapping[str, int]) -> onnx.defs.OpSchema | None:
    """What ONNX declares of the operator in the opset that is imported; None where it knows none, or none is."""
    opset = opsets.get(node.domain)
    return None if opset is None else schema_of(node.op_type, node.domain, opset)


def sizes(value: ir.Value | None) -> tuple[int | None, ...] | None:
    """The sizes of a value, None for each that is not a number; None where not even the rank is known.

    Of weights as they are stored, whatever the graph states of them.
    """
    if value is None:
        return None
    shape = value.shape if value.const_value is None else value.const_value.shape
    return None if shape is None else tuple(size if isinstance(size, int) else None for size in shape)


def some(names: list[str]) -> str:
    """The first few of these names, and how many more there are."""
    shown = ", ".join(f"'{name}'" for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"


def one_node(folder: Path, op_type: str, *, domain: str = "", opset: int = 20, imported: bool = True) -> Path:
    """A file with one node that need not be any that ONNX has, for a case."""
    model = Case("one node", lambda g: g.Relu(g.input(1, 3, 8, 8))).model()
    (node,) = model.graph
    node.op_type, node.domain, node.name = op_type, domain, op_type.lower()
    model.graph.opset_imports.update({"": opset, **({domain: 1} if domain and imported else {})})
    path = folder / "net.onnx"
    save(model, path)
    return path
