"""What `graphc cost` gives back: frozen values, and their JSON of schema 1, the same bytes for the same model.

Every count has three directions: `forward`, `filter_grad` (gradients towards what trains) and `input_grad` (towards
activations). Costs of nodes add up to the totals exactly.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any

from graphc.costs import ZERO, Cost

SCHEMA = 1
UNIT = "macs: multiply-adds; flops: 2 per multiply-add and 1 per other operation; bytes and memory: bytes"
DIRECTIONS = ("forward", "filter_grad", "input_grad")
QUANTITIES: dict[str, Callable[[Cost], int]] = {
    "macs": attrgetter("mac"),
    "effective_macs": attrgetter("effective_mac"),
    "zero_insertion_macs": attrgetter("zero_insertion_mac"),
    "flops": attrgetter("flops"),
    "bytes": attrgetter("bytes"),
}


@dataclass(frozen=True)
class Directions:
    """A cost for each direction."""

    forward: Cost = ZERO
    filter_grad: Cost = ZERO
    input_grad: Cost = ZERO

    @property
    def total(self) -> Cost:
        """All three together."""
        return self.forward + self.filter_grad + self.input_grad

    def as_json(self) -> dict[str, dict[str, int]]:
        """Each quantity by direction."""
        each = [(direction, getattr(self, direction)) for direction in DIRECTIONS]
        return {name: {d: of(cost) for d, cost in each} for name, of in QUANTITIES.items()}


@dataclass(frozen=True)
class NodeCost(Directions):
    """One node. `block` is the path in front of its name's last part.

    `uncosted` says why a part is unknown, which is not zero; "" when everything is counted. `inputs` and `outputs` are
    the elements of the first of each, 0 where they are not known: some conventions count by them.
    """

    uncosted: str = ""
    inputs: int = 0
    outputs: int = 0
    name: str = ""
    op_type: str = ""
    block: str = ""

    def as_json(self) -> dict[str, Any]:
        """The node as it stands in the report."""
        why = {"uncosted": self.uncosted} if self.uncosted else {}
        return {"name": self.name, "op_type": self.op_type, "block": self.block, **super().as_json(), **why}


@dataclass(frozen=True)
class Memory:
    """Bytes held. `weights` is every stored tensor once, `gradients` one of each that trains, `optimizer` its state.

    `saved_activations` is what forward keeps for backward, each storage once, without weights and graph inputs;
    `saved_inputs` the graph inputs among it. `peak_training` and `peak_inference` are those of `graphc.analysis.memory`
    in the order of the graph; no order of its nodes gets inference below `bound_inference`. `unknown` says why a figure
    is only a lower bound; "" when it is not.
    """

    weights: int = 0
    gradients: int = 0
    optimizer: int = 0
    saved_activations: int = 0
    saved_inputs: int = 0
    peak_training: int = 0
    peak_inference: int = 0
    bound_inference: int = 0
    unknown: str = ""


@dataclass(frozen=True)
class CostReport:
    """The cost of one training step or of one inference, and the memory that it takes.

    `inputs` are the graph inputs and their shapes. `params` counts the elements that train, each once; `frozen` those
    that could and do not; `buffers` running statistics. `optimizer_step` is the work of `optimizer` (sgd, momentum,
    adam; None: not counted). Without `has_loss` the gradient is that of the sum of the outputs, and no loss is costed.
    `dead` nodes feed no output and do not run.
    """

    model: str
    nodes: tuple[NodeCost, ...]
    params: int
    frozen: int
    buffers: int
    memory: Memory
    training: bool
    has_loss: bool
    optimizer: str | None = None
    optimizer_step: Cost = ZERO
    dead: tuple[str, ...] = ()
    inputs: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @cached_property
    def totals(self) -> Directions:
        """The sum over the nodes, the optimizer's step not included."""
        return Directions(*(added([getattr(node, each) for node in self.nodes]) for each in DIRECTIONS))

    @property
    def uncosted(self) -> tuple[NodeCost, ...]:
        """The nodes of which something is unknown: the totals are lower bounds when there is one."""
        return tuple(node for node in self.nodes if node.uncosted)

    def blocks(self, depth: int) -> dict[str, Directions]:
        """The costs of the scopes at that depth of the path (at least 1), in the order of the graph."""
        parts: dict[str, list[NodeCost]] = {}
        for node in self.nodes:
            path = (node.block or node.name.strip("/")).split("/")
            parts.setdefault("/".join(path[:depth]), []).append(node)
        return {
            block: Directions(*(added([getattr(node, each) for node in nodes]) for each in DIRECTIONS))
            for block, nodes in parts.items()
        }

    def as_json(self) -> dict[str, Any]:
        """The report as plain data, in a fixed order of keys."""
        totals = {"params": self.params, "frozen": self.frozen, "buffers": self.buffers, **self.totals.as_json()}
        return {
            "schema": SCHEMA,
            "model": self.model,
            "unit": UNIT,
            "inputs": {name: list(shape) for name, shape in self.inputs},
            "training": self.training,
            "loss": self.has_loss,
            "totals": totals,
            "optimizer": {"name": self.optimizer, "flops": self.optimizer_step.flops},
            "memory": asdict(self.memory),
            "nodes": [node.as_json() for node in self.nodes],
            "uncosted": [
                {"name": node.name, "op_type": node.op_type, "reason": node.uncosted} for node in self.uncosted
            ],
            "dead": list(self.dead),
        }

    def json(self) -> str:
        """`as_json` as text, byte-stable."""
        return json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n"


_columns = attrgetter(*Cost.__dataclass_fields__)


def added(costs: Iterable[Cost]) -> Cost:
    """The sum of many costs, column by column."""
    return Cost(*map(sum, zip(*map(_columns, costs), strict=True)))
