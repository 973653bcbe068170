"""How others count, as projections of the same costs, so that every published number can be explained.

| convention | what it counts |
|---|---|
| `macs` | dense multiply-adds of contractions: what papers mean by MACs, and often call FLOPs |
| `effective` | the same on real elements only: taps on padding left out |
| `flops` | 2 per multiply-add, 1 for everything else |
| `torch` | FlopCounterMode: 2 per multiply-add of convolutions, matrix products and attention, nothing else |
| `fvcore` | multiply-adds of these; 2 per element of a batch norm, 5 of other norms, 4 per output of a linear Resize, \
1 per input of a global average; forward only |
| `legacy-output-grid` | `macs`, but a transposed convolution as a convolution over its output |

PyTorch multiplies the filter gradient of a grouped convolution by its groups (2.13); `torch` does not repeat that.
Sources: torch/utils/flop_counter.py, fvcore/nn/jit_handles.py, thop and torchinfo for the output grid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from graphc.analysis.cost_report import DIRECTIONS, CostReport, NodeCost
from graphc.costs import Cost
from graphc.errors import GraphcError, suggest

CONVOLUTIONS = frozenset(("Conv", "ConvTranspose"))
PRODUCTS = frozenset(("Gemm", "MatMul", "Einsum", "Attention"))
PER_ELEMENT = {"BatchNormalization": 2, "LayerNormalization": 5, "GroupNormalization": 5, "InstanceNormalization": 5}
LINEAR_TAPS = 4

Projection = Callable[[NodeCost, str], int]


@dataclass(frozen=True)
class Convention:
    """A way of counting: the `unit` of its numbers, and what it makes of one node in one direction.

    One that is `forward_only` has nothing to say of gradients, which is not that they are 0.
    """

    name: str
    unit: str
    of: Projection
    forward_only: bool = False

    def totals(self, report: CostReport) -> dict[str, int]:
        """The sum over all nodes, by direction."""
        return {direction: sum(self.of(node, direction) for node in report.nodes) for direction in DIRECTIONS}


def _cost(node: NodeCost, direction: str) -> Cost:
    found: Cost = getattr(node, direction)
    return found


def _torch(node: NodeCost, direction: str) -> int:
    return 2 * _cost(node, direction).mac if node.op_type in CONVOLUTIONS | PRODUCTS else 0


def _fvcore(node: NodeCost, direction: str) -> int:
    if direction != "forward":
        return 0
    if node.op_type in CONVOLUTIONS | PRODUCTS:
        return node.forward.mac
    if node.op_type == "Resize":
        return LINEAR_TAPS * node.outputs if node.forward.mac else 0
    return node.inputs * (1 if node.op_type == "GlobalAveragePool" else PER_ELEMENT.get(node.op_type, 0))


def _output_grid(node: NodeCost, direction: str) -> int:
    cost = _cost(node, direction)
    return cost.zero_insertion_mac if node.op_type == "ConvTranspose" and direction == "forward" else cost.mac


MACS, OPERATIONS = "multiply-adds", "operations"
CONVENTIONS: Mapping[str, Convention] = {
    each.name: each
    for each in (
        Convention("macs", MACS, lambda node, direction: _cost(node, direction).mac),
        Convention("effective", MACS, lambda node, direction: _cost(node, direction).effective_mac),
        Convention("flops", OPERATIONS, lambda node, direction: _cost(node, direction).flops),
        Convention("torch", OPERATIONS, _torch),
        Convention("fvcore", MACS, _fvcore, forward_only=True),
        Convention("legacy-output-grid", MACS, _output_grid),
    )
}


def convention(name: str) -> Convention:
    """The convention of that name. Raises GraphcError (run/usage) when there is none."""
    if name not in CONVENTIONS:
        raise GraphcError(f"unknown convention '{name}'", code="run/usage", hint=suggest(name, CONVENTIONS))
    return CONVENTIONS[name]
