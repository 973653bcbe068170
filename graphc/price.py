"""The price of a proposal when no target says otherwise: multiply-accumulates, then bytes, then nodes.

A target will price in seconds or forbid operators; this is the seam where it enters.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from graphc.ops import total
from graphc.splice import Proposal

Price = tuple[int, int, int]  # macs, bytes, nodes


def cheaper(proposal: Proposal, opset: int) -> bool:
    """Whether what would be born costs less than what would die.

    Where a shape is unknown, macs and bytes cannot be compared: then fewer nodes must do, all matched ones gone.
    """
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
