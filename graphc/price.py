"""The price of a proposal when no target says otherwise: multiply-accumulates, then bytes, then nodes.

A target (`graphc.target`) has a judge of its own, and this is the seam where it enters: one that forbids operators, one
that prices in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import onnx_ir as ir

from graphc.inference import InferenceError, Operand, infer, operand_of
from graphc.ops import total
from graphc.splice import Proposal

Price = tuple[int, int, int]  # macs, bytes, nodes
Judge = Callable[[Proposal, int], bool]  # whether what would be born, at that opset, costs less than what would die

BATCH, SIZE = 1, 64  # of a first axis and of any other whose size only the data knows


def cheaper(proposal: Proposal, opset: int) -> bool:
    """Whether what would be born costs less than what would die.

    Where sizes are not known both are priced at the same ones, BATCH and SIZE. Where that does not do, because a shape
    depends on data, fewer nodes must, all matched ones gone.
    """
    before, after = price(proposal.dying, opset), price(proposal.born, opset)
    if before is None or after is None:
        with _sized((*proposal.dying, *proposal.born), opset):
            before, after = price(proposal.dying, opset), price(proposal.born, opset)
    if before is not None and after is not None:
        return after < before
    return len(proposal.born) < len(proposal.dying) and set(proposal.matched) <= set(proposal.dying)


def price(nodes: Sequence[ir.Node], opset: int) -> Price | None:
    """(macs, bytes, nodes) of some nodes; None if one of them is uncosted."""
    found = total(nodes, opset)
    if found.uncosted:
        return None
    return found.cost.mac, found.cost.bytes, len(nodes)


@contextmanager
def _sized(nodes: Sequence[ir.Node], opset: int) -> Iterator[None]:
    """Inside the block the values that these nodes read and make have sizes, inferred from what comes from outside."""
    known: dict[ir.Value, Operand] = {}
    for node in nodes:
        _infer(node, frozenset(nodes), opset, known)
    stated = {value: value.shape for value in known}
    try:
        for value, operand in known.items():
            value.shape = operand.shape
        yield
    finally:
        for value, shape in stated.items():
            value.shape = shape


def _infer(node: ir.Node, nodes: frozenset[ir.Node], opset: int, known: dict[ir.Value, Operand]) -> None:
    """Add what `node` reads and makes, after what the nodes before it make."""
    if all(value in known for value in node.outputs):
        return
    for value in node.inputs:
        if value is None or value in known:
            continue
        maker = value.producer()
        if maker is not None and maker in nodes:
            _infer(maker, nodes, opset, known)
        else:
            known[value] = _nominal(value)
    operands = [None if value is None else known[value] for value in node.inputs]
    outputs = len(node.outputs)
    try:
        found = infer(node.op_type, operands, node.attributes, outputs=outputs, opset=opset, domain=node.domain)
    except InferenceError:  # sizes that do not go together: they are not known after all
        found = [operand_of(value) for value in node.outputs]
    known.update(zip(node.outputs, found, strict=True))


def _nominal(value: ir.Value) -> Operand:
    """What is known of a value, with a size for every axis."""
    operand = operand_of(value)
    if operand.shape is None or operand.shape.is_static():
        return operand
    sizes = [d if isinstance(d, int) else SIZE if axis else BATCH for axis, d in enumerate(operand.shape)]
    return Operand(operand.type, ir.Shape(sizes), operand.content)
