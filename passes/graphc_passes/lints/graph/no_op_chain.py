"""Nodes in a model file that do nothing: an Identity, a Dropout in inference, two Transposes that undo each other.

Why    exporters leave them behind. A runtime that does not look for them reads and writes the data once for each, and
       they hide from a fusion that the nodes around them are neighbours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod

import onnx_ir as ir

from graphc import CaseBuilder, Fix, Problem, Rewrite, Subject, lint
from graphc_passes.lints.graph._graphs import sizes
from graphc_passes.nodes.deployed import deployed
from graphc_passes.rewrites.dropping.drop_addition_of_zero import drop_addition_of_zero
from graphc_passes.rewrites.dropping.drop_cast_to_same_type import drop_cast_to_same_type
from graphc_passes.rewrites.dropping.drop_concat_of_one import drop_concat_of_one
from graphc_passes.rewrites.dropping.drop_dropout import drop_dropout
from graphc_passes.rewrites.dropping.drop_empty_pad import drop_empty_pad
from graphc_passes.rewrites.dropping.drop_expand_to_same_shape import drop_expand_to_same_shape
from graphc_passes.rewrites.dropping.drop_identity import drop_identity
from graphc_passes.rewrites.dropping.drop_multiplication_by_one import drop_multiplication_by_one
from graphc_passes.rewrites.dropping.drop_reshape_to_same_shape import drop_reshape_to_same_shape
from graphc_passes.rewrites.dropping.drop_resize_by_one import drop_resize_by_one
from graphc_passes.rewrites.dropping.drop_whole_slice import drop_whole_slice
from graphc_passes.rewrites.folding.fuse_transposes import fuse_transposes
from graphc_passes.rewrites.layout.drop_inverse_rearrangement import drop_inverse_rearrangement

DROPS = (
    *(drop_addition_of_zero, drop_cast_to_same_type, drop_concat_of_one, drop_dropout, drop_empty_pad),
    *(drop_expand_to_same_shape, drop_identity, drop_multiplication_by_one, drop_reshape_to_same_shape),
    *(drop_resize_by_one, drop_whole_slice),
)
NEUTRAL = 1 << 12  # elements of a constant that is looked into: a zero or one for each channel
FEWEST = 2  # an Identity or a Dropout alone is no chain


@lint(category="graph", severity="info", help="remove them")
def no_op_chain(subject: Subject) -> Iterator[Problem]:
    found = dict(_single(subject))
    pairs = dict(_pairs(subject))
    if len(found) + 2 * len(pairs) < FEWEST:
        return
    first = next(iter(found or pairs))
    counts = Counter(node.op_type for node in found)
    counts.update({f"pair of {node.op_type}s": 1 for node in pairs})
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    passes = tuple(dict.fromkeys(rewrite.name for rewrite in (*found.values(), *pairs.values())))
    yield Problem(
        f"nodes that do nothing, of which this is the first: {kinds}",
        at=first,
        measured=len(found) + 2 * len(pairs),
        fix=Fix(f"run {', '.join(passes)}", passes=passes),
    )


def _single(subject: Subject) -> Iterator[tuple[ir.Node, Rewrite]]:
    """The nodes that do nothing by themselves, each with what drops it."""
    for rewrite in DROPS:
        arithmetic = rewrite in (drop_addition_of_zero, drop_multiplication_by_one)
        for node, opset in deployed(subject, *rewrite.roots):
            if not (arithmetic and not _by_a_constant(node)) and rewrite.would_fire(node, opset):
                yield node, rewrite


def _by_a_constant(node: ir.Node) -> bool:
    """Whether an operand is a small constant: large ones are weights, and not read."""
    for value in node.inputs:
        made = value.producer() if value is not None else None
        is_constant = made.op_type == "Constant" if made is not None else value is not None and value.is_initializer()
        known = sizes(value) if is_constant else None
        if known is not None and prod(size or 0 for size in known) <= NEUTRAL:
            return True
    return False


def _pairs(subject: Subject) -> Iterator[tuple[ir.Node, Rewrite]]:
    """The nodes that undo the one before them, each with what drops both."""
    for node, opset in deployed(subject, "Transpose"):
        if _undoes(node) and fuse_transposes.would_fire(node, opset):
            yield node, fuse_transposes
    for node, opset in deployed(subject, *drop_inverse_rearrangement.roots):
        if drop_inverse_rearrangement.would_fire(node, opset):
            yield node, drop_inverse_rearrangement


def _undoes(node: ir.Node) -> bool:
    """Whether a Transpose and the one before it leave every axis where it was."""
    before = node.inputs[0].producer() if node.inputs and node.inputs[0] is not None else None
    if before is None or before.op_type != "Transpose" or before.domain:
        return False
    inner, outer = _permutation(before), _permutation(node)
    axes = list(range(len(inner)))
    return sorted(inner) == sorted(outer) == axes and [inner[axis] for axis in outer] == axes


def _permutation(node: ir.Node) -> list[int]:
    """Of a Transpose that states it; one that does not turns the axes round."""
    stated = node.attributes.get("perm")
    if stated is not None:
        return [] if stated.is_ref() else list(stated.as_ints())
    shape = node.inputs[0].shape if node.inputs and node.inputs[0] is not None else None
    return [] if shape is None else list(reversed(range(len(shape))))


@no_op_chain.bad
def two_transposes(g: CaseBuilder) -> object:
    x = g.Transpose(g.Relu(g.input(1, 3, 8, 8)), perm=[0, 2, 3, 1])
    return g.Neg(g.Transpose(x, perm=[0, 3, 1, 2]))


@no_op_chain.bad
def what_an_exporter_left(g: CaseBuilder) -> object:
    x = g.Reshape(g.Relu(g.input(1, 3, 8, 8)), g.constant([1, 3, 8, 8]))
    return g.Neg(g.Pad(x, g.constant([0] * 8)))


@no_op_chain.good
def another_order_of_axes(g: CaseBuilder) -> object:
    x = g.Relu(g.Transpose(g.input(1, 3, 8, 8), perm=[0, 2, 3, 1]))
    return g.Neg(g.Transpose(x, perm=[0, 3, 1, 2]))


@no_op_chain.good
def a_dropout_alone(g: CaseBuilder) -> object:
    return g.Neg(g.Dropout(g.Relu(g.input(1, 3, 8, 8))))
