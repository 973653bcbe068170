"""What stands in a model file that is to run on the target `portable`, which runs plain convolutions only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx_ir as ir

from graphc import Fix, NotAsked, Problem, Rewrite, Subject, find_target
from graphc_passes.nodes.deployed import deployed

PORTABLE = "portable"


def forbidden(subject: Subject, op_type: str, why: str) -> Iterator[tuple[ir.Node, int]]:
    """The nodes of an operator that the target forbids for this reason, with their opsets.

    Raises NotAsked where the settings name another target, or none.
    """
    if subject.settings.target != PORTABLE:
        raise NotAsked
    target = find_target(PORTABLE, subject.limits)
    for node, opset in deployed(subject, op_type):
        if any(what == why for _, what in target.forbids(node, opset)):
            yield node, opset


def lowered(node: ir.Node, opset: int, message: str, rewrites: Sequence[Rewrite]) -> Problem:
    """The problem at a node, with the first of these rewrites that would fire there as its fix."""
    name = next((rewrite.name for rewrite in rewrites if rewrite.would_fire(node, opset)), None)
    return Problem(message, at=node, fix=Fix(f"run {name}", passes=(name,)) if name is not None else None)
