"""The cost of a training step, node by node and direction by direction.

    report = cost("specs/resnet.yaml@r18", batch=256)
    report.totals.filter_grad.mac

Every gradient that exists is counted, and no other (`graphc.analysis.gradients`). Where a gradient is the sum of
several uses, of a shared weight or of a value that fans out, each use but the first to arrive adds its part: one add
per element, counted at the node whose gradient is added. The seed of the gradient counts as a use of the loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import NamedTuple

import onnx_ir as ir

from graphc.analysis.cost_report import CostReport, NodeCost
from graphc.analysis.gradients import Wanted, additions, derived, wanted
from graphc.analysis.memory import memory
from graphc.analysis.optimizers import step_cost
from graphc.analysis.samples import Answer, Sample, samples
from graphc.analysis.step import Precision, Source, Step, read
from graphc.collector import uncollected
from graphc.convolution import static_shape
from graphc.costs import ZERO, Cost
from graphc.limits import DEFAULT, Limits
from graphc.ops.op import elements, size_in_bytes
from graphc.runtime.sizes import required
from graphc.view import Refusal


@uncollected()
def cost(
    source: Source,
    *,
    training: bool = True,
    params: Mapping[str, object] | None = None,
    batch: int | None = None,
    dims: Mapping[str, int] | None = None,
    freeze: Sequence[str] = (),
    optimizer: str | None = None,
    precision: Precision | None = None,
    limits: Limits = DEFAULT,
) -> CostReport:
    """What one training step (or with `training=False` one inference) of a spec or a model costs.

    `source` is a spec file (`net.yaml@variant`), a Network, an ONNX file or an ir.Model, which is not changed; weights
    are not read. `params` overrides those of a spec. `batch` is the size of the dimension named N or batch, else of the
    inputs' first axis; `dims` those of symbolic dimensions, by default their declared `opt`. `freeze` are globs over
    the names of parameters. `optimizer` (sgd, momentum, adam) is by default the spec's. `precision` (fp32, fp16, bf16)
    counts bytes as if every floating tensor were of that type. Raises GraphcError for what is wrong with the source,
    and (run/usage) for a dimension, a glob or an optimizer that there is not.
    """
    step = read(
        source,
        training=training,
        params=params,
        batch=batch,
        dims=dims,
        freeze=freeze,
        precision=precision,
        limits=limits,
    )
    nodes = samples(step.nodes, step.opset, step.stored)
    gradients = wanted(nodes, step.stored.trained, step.losses)
    name = (optimizer or step.optimizer) if training else None
    trained = _elements(step.stored.trained)
    return CostReport(
        model=step.model.graph.name or "",
        nodes=_node_costs(step, nodes, gradients),
        params=trained,
        frozen=_elements(step.stored.frozen),
        buffers=_elements(step.stored.buffers),
        memory=memory(step, nodes, gradients, name),
        training=training,
        has_loss=step.has_loss,
        optimizer=name,
        optimizer_step=step_cost(name, trained),
        dead=tuple(node.name or "" for node in step.dead),
        inputs=_shapes(step.model.graph),
    )


def _shapes(graph: ir.Graph) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The inputs whose shapes are known."""
    named = [(value.name or "", value.shape) for value in required(graph)]
    return tuple((name, tuple(shape.numpy())) for name, shape in named if shape is not None and shape.is_static())


def _elements(values: Iterable[ir.Value]) -> int:
    return sum(prod(static_shape(value)) for value in values)


def _node_costs(step: Step, nodes: Mapping[ir.Node, Sample], gradients: Wanted) -> tuple[NodeCost, ...]:
    filters = derived(nodes, step.model.graph.initializers.values())
    adding = additions(gradients, step.losses)
    remembered: dict[object, _Counted] = {}
    found = []
    for node, sample in nodes.items():
        uses = None
        if node in gradients:
            uses = tuple([_Use(i, node.inputs[i] in filters, (node, i) in adding) for i in gradients[node]])
        key = (sample, uses)
        if key not in remembered:
            remembered[key] = _counted(node, sample, uses)
        name = node.name or ""
        found.append(NodeCost(*remembered[key], name, node.op_type, name.strip("/").rpartition("/")[0]))
    return tuple(found)


class _Use(NamedTuple):
    """A gradient towards an input: whether it is a filter's, and whether it is added to another."""

    position: int
    is_filter: bool
    is_added: bool


class _Counted(NamedTuple):
    forward: Cost
    filter_grad: Cost
    input_grad: Cost
    uncosted: str
    inputs: int
    outputs: int


def _counted(node: ir.Node, sample: Sample, uses: Sequence[_Use] | None) -> _Counted:
    """The three directions; what is not known is left out, and said. `uses` is None where nothing flows back."""
    reasons: dict[str, None] = {}

    def known(answer: Answer) -> Cost:
        if isinstance(answer, Cost):
            return answer
        reasons[answer] = None
        return ZERO

    forward, grads = known(sample.forward), {True: ZERO, False: ZERO if uses is None else known(sample.shared)}
    for position, is_filter, is_added in uses or ():
        grads[is_filter] += known(sample.toward(position))
        if is_added:
            grads[is_filter] += known(_addition(node.inputs[position]))
    sizes = [_size(values[0]) if values else 0 for values in (node.inputs, node.outputs)]
    return _Counted(forward, grads[True], grads[False], "; ".join(reasons), *sizes)


def _size(value: ir.Value | None) -> int:
    """The elements of a value; 0 where they are not known."""
    try:
        return 0 if value is None else elements(value)
    except Refusal:
        return 0


def _addition(value: ir.Value | None) -> Answer:
    """Two gradients of a value read, their sum written."""
    try:
        size = size_in_bytes([value])
        return Cost(add=elements(value), bytes_read=2 * size, bytes_written=size) if value is not None else ZERO
    except Refusal as refusal:
        return refusal.reason
