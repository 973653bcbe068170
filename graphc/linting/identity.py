"""What a node is called in a finding, and what it is known by in the next run."""

from __future__ import annotations

import onnx_ir as ir


def path_of(node: ir.Node) -> str:
    """The node's name, which is its scope path; of one without a name its operator and what it makes: `Exp → e`."""
    made = next((value.name for value in node.outputs if value.name), "")
    return node.name or f"{node.op_type} → {made}"


def content_of(node: ir.Node) -> str:
    """What a node is, whatever it and its neighbours are called: operator, weights' shapes and attributes."""
    parts = [node.domain, node.op_type]
    for value in node.inputs:
        if value is not None and value.const_value is not None:
            parts.append(f"{value.const_value.dtype.name}{list(value.const_value.shape)}")
    for name, attribute in sorted(node.attributes.items()):
        parts.append(f"{name}={_shown(attribute)}")
    return " ".join(parts)


def _shown(attribute: ir.Attr) -> str:
    if attribute.is_ref():
        return f"@{attribute.ref_attr_name}"
    value = attribute.value
    if isinstance(value, ir.TensorProtocol):
        return f"{value.dtype.name}{list(value.shape)}"
    if isinstance(value, ir.Graph):
        return "graph"
    if isinstance(value, list | tuple):
        return repr([str(each)[:40] for each in value])
    return repr(value)[:200]
