"""What a budget bounds: the measure of a cost report that each is held against, and the sizes at which that is taken.

A count or a figure of memory of which a part is unknown is a lower bound: it may break a budget, it never keeps one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod

import onnx_ir as ir

from graphc import walk
from graphc.analysis.cost_report import CostReport
from graphc.analysis.trainable import stored
from graphc.convolution import static_shape
from graphc.costs import Cost
from graphc.metadata import DIM_FORM
from graphc.ops.op import size_in_bytes
from graphc.runtime.sizes import required
from graphc.view import constant_tensor

Range = Mapping[str, int]  # of a dim: min, opt, max, multiple_of, each of which may be left out
Sizes = Mapping[str, int]


@dataclass(frozen=True)
class Costed:
    """A budget on what a report says: of a `training` step, or else of an inference, in that unit."""

    unit: str
    training: bool
    of: Callable[[CostReport], int]
    is_memory: bool = False

    def unknown(self, report: CostReport) -> str:
        """Why the figure is only a lower bound; "" when it is not."""
        if self.is_memory:
            return report.memory.unknown
        if not report.uncosted:
            return ""
        first, *more = report.uncosted
        count = f" and {len(more)} more" if more else ""
        return f"{first.op_type} '{first.name}'{count} not counted: {first.uncosted}"


def _macs(direction: str, training: bool, effective: bool = False) -> Costed:
    def count(report: CostReport) -> int:
        cost: Cost = getattr(report.totals, direction)
        return cost.effective_mac if effective else cost.mac

    return Costed("MAC", training, count)


COSTED: Mapping[str, Costed] = {
    "macs": _macs("forward", False),
    "effective_macs": _macs("forward", False, effective=True),
    "filter_grad_macs": _macs("filter_grad", True),
    "filter_grad_effective_macs": _macs("filter_grad", True, effective=True),
    "input_grad_macs": _macs("input_grad", True),
    "input_grad_effective_macs": _macs("input_grad", True, effective=True),
    "training_macs": _macs("total", True),
    "training_effective_macs": _macs("total", True, effective=True),
    "activation_memory": Costed("B", False, lambda r: r.memory.peak_inference - r.memory.weights, is_memory=True),
    "peak_memory": Costed("B", False, lambda r: r.memory.peak_inference, is_memory=True),
    "training_memory": Costed("B", True, lambda r: r.memory.peak_training, is_memory=True),
}


def parameters(model: ir.Model) -> tuple[int, str]:
    """The floating elements of weights, frozen ones too, and why there may be more, "" where there are not."""
    found = stored(model)
    count = sum(prod(static_shape(value)) for value in (*found.trained, *found.frozen))
    if any(_holds_weights(graph) for graph, _ in walk.graphs(model) if graph is not model.graph):
        return count, "weights of subgraphs and functions are not counted"
    return count, "quantised weights are not told from other integers" if _is_quantised(model) else ""


def _holds_weights(graph: Iterable[ir.Node]) -> bool:
    """Whether a graph has floating constants of more than one element; the body of a function has no initializers."""
    inner = graph.initializers.values() if isinstance(graph, ir.Graph) else ()
    constants = [node.outputs[0] for node in graph if node.op_type == "Constant" and node.outputs]
    tensors = [constant_tensor(value) or value.const_value for value in (*inner, *constants)]
    return any(tensor is not None and tensor.dtype.is_floating_point() and tensor.size > 1 for tensor in tensors)


QUANTISED = frozenset(
    ("ConvInteger", "DequantizeLinear", "MatMulInteger", "MatMulNBits", "QGemm", "QLinearConv", "QLinearMatMul")
)
STORED = 4  # inputs of these among which the weights are


def _is_quantised(model: ir.Model) -> bool:
    """Whether an operator on integers reads a stored tensor of them."""
    read = (value for node in walk.nodes(model) if node.op_type in QUANTISED for value in node.inputs[:STORED])
    return any(value is not None and _is_integer_tensor(value) for value in read)


def _is_integer_tensor(value: ir.Value) -> bool:
    tensor = constant_tensor(value)
    return tensor is not None and tensor.dtype.is_integer() and tensor.size > 1


def file_bytes(model: ir.Model) -> int:
    """The bytes of a model in one file, where its parameters may have no content yet. Raises Refusal where they have
    no known size."""
    empty = [value for value in model.graph.initializers.values() if value.const_value is None]
    return ir.to_proto(model).ByteSize() + size_in_bytes(empty)


def points(ranges: Mapping[str, Range]) -> list[dict[str, int]]:
    """Every dim at its least, its preferred and its largest size, all of them together; each point once."""
    found: list[dict[str, int]] = []
    for name in ("opt", "min", "max"):
        point = {dim: _size(sizes, name) for dim, sizes in ranges.items()}
        if point not in found:
            found.append(point)
    return found


def beyond(ranges: Mapping[str, Range]) -> dict[str, int]:
    """A point at which the dims without a largest size are twice as large as preferred; empty where there are none."""
    if all("max" in sizes for sizes in ranges.values()):
        return {}
    return {dim: _size(sizes, "opt") * (1 if "max" in sizes else 2) for dim, sizes in ranges.items()}


def _size(sizes: Range, name: str) -> int:
    """The least, preferred or largest size, where a range does not say one of them."""
    least = sizes.get("min", sizes.get("multiple_of", 1))
    best = sizes.get("opt", sizes.get("max", least))
    return {"min": least, "opt": best, "max": sizes.get("max", best)}[name]


def symbolic_dims(model: ir.Model) -> list[str]:
    """The names of the dims of a model's inputs, `?` for one that has none, in order."""
    found: dict[str, None] = {}
    for value in required(model.graph):
        for dim in value.shape or ():
            if isinstance(dim, ir.SymbolicDim):
                match = DIM_FORM.fullmatch(dim.value or "")
                found[match["name"] if match else dim.value or "?"] = None
    return list(found)
