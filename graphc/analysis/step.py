"""The graph that is costed: a network with static shapes, as it runs in a training step or in inference.

In a training step, batch norms whose scale and shift are not frozen compute statistics and dropouts drop, also where
the model is written for inference; a spec brings its `train` nodes and losses. Initializers that are also graph inputs
count as what they are by default: constants and weights, as in files of IR version 3, which must list them so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import InlinePass, RemoveInitializersFromInputsPass

from graphc.analysis.samples import captured
from graphc.analysis.sizing import BATCHES, input_shapes, is_static, propagate
from graphc.analysis.trainable import Stored, frozen_by, stored
from graphc.errors import GraphcError
from graphc.limits import DEFAULT, Limits
from graphc.metadata import DIMS, STOP_GRADIENT
from graphc.model import load
from graphc.spec.network import Network
from graphc.view import constant

Source: TypeAlias = str | Path | Network | ir.Model
Precision: TypeAlias = Literal["fp32", "fp16", "bf16"]
FLOATS = {"fp32": ir.DataType.FLOAT, "fp16": ir.DataType.FLOAT16, "bf16": ir.DataType.BFLOAT16}
STATISTICS = ("mean", "variance")  # roles of a spec's parameters that no optimizer changes
SCALE, SHIFT, TRAINING_MODE = 1, 2, 2  # inputs of BatchNormalization, and of Dropout
SINCE = {"BatchNormalization": 14, "Dropout": 12}  # the opsets in which they got `training_mode`


@dataclass(frozen=True)
class Step:
    """What runs once. `nodes` are those that an output needs, in order; `dead` the others, which do not run.

    `losses` are what gradients begin at, none in inference; `has_loss` says whether they are a spec's, and not all
    floating outputs, of whose sum the gradient is then taken. `optimizer` is the spec's: sgd, momentum or adam.
    """

    model: ir.Model
    nodes: tuple[ir.Node, ...]
    dead: tuple[ir.Node, ...]
    stored: Stored
    losses: tuple[ir.Value, ...]
    has_loss: bool
    optimizer: str | None

    @property
    def opset(self) -> int:
        """The version of the standard domain."""
        return self.model.opset_imports.get("", 1)


def read(
    source: Source,
    *,
    training: bool,
    params: Mapping[str, object] | None = None,
    batch: int | None = None,
    dims: Mapping[str, int] | None = None,
    freeze: Sequence[str] = (),
    precision: Precision | None = None,
    limits: Limits = DEFAULT,
) -> Step:
    """The step that a source stands for; arguments and errors as for `training.cost`. An ir.Model is not changed."""
    opened = _open(source, params or {}, dict(dims or {}), batch, limits)
    network = opened.source if isinstance(opened.source, Network) else None
    model = opened.source if isinstance(opened.source, ir.Model) else _model(opened.source, training)
    if model is source and _changes(model, opened, training, precision):
        model = _copy(model)
    _simplify(model)
    kept = stored(model, freeze) if network is None else _of_spec(network, model, freeze)
    shapes = input_shapes(model, opened.dims, opened.batch)
    if shapes or not is_static(model.graph):
        propagate(model.graph, model.opset_imports.get("", 1), shapes, kept)
    if training:
        _switch_to_training(model.graph, kept)
    if precision is not None:
        _convert(model.graph, FLOATS[precision])
    live, dead = _live(model.graph)
    has_loss = training and network is not None and bool(network.training and network.training.losses)
    losses = _losses(model.graph, has_loss) if training else ()
    return Step(model, live, dead, kept, losses, has_loss, None if network is None else _optimizer(network))


class _Opened(NamedTuple):
    """A source that has been read, and the sizes that are left to be set."""

    source: Network | ir.Model
    dims: dict[str, int]
    batch: int | None


def _open(
    source: Source, params: Mapping[str, object], dims: dict[str, int], batch: int | None, limits: Limits
) -> _Opened:
    """Read what has to be read. Raises GraphcError (run/usage) for params that there is no spec for."""
    if isinstance(source, str | Path) and Path(source).suffix != ".onnx":
        return _expanded(source, params, dims, batch, limits)
    if params:
        what = "a network" if isinstance(source, Network) else "a model"
        raise GraphcError(f"`params` is for specs, and this is {what}", code="run/usage")
    return _Opened(load(source, limits=limits) if isinstance(source, str | Path) else source, dims, batch)


# ---------------------------------------------------------------- specs


def _expanded(
    source: str | Path, params: Mapping[str, object], dims: dict[str, int], batch: int | None, limits: Limits
) -> _Opened:
    """The network of a spec at these sizes."""
    from graphc.spec.doors import expand  # only where the source is a spec: it takes long

    network = expand(source, params=params, dims=dims, limits=limits)
    name = next((name for name in network.spec.dims if name.lower() in BATCHES), None)
    if batch is None or name is None:
        return _Opened(network, {}, batch)
    return _Opened(expand(source, params=params, dims={**dims, name: batch}, limits=limits), {}, None)


def _model(network: Network, training: bool) -> ir.Model:
    """The inference model, or that of the training step, whose last output is then the loss, if there is one."""
    if not training or network.training is None:
        return network.model()
    train = network.training
    nodes = (*network.nodes, *train.nodes)
    used = {value for node in nodes for value in node.inputs}
    kept = [*(p.value for p in network.emitter.parameters.values()), *network.emitter.constants.values()]
    view = ir.GraphView(
        (*network.inputs, *train.inputs),
        list(dict.fromkeys((*network.outputs, *(loss.value for loss in train.losses)))),
        nodes=nodes,
        initializers=[value for value in kept if value in used],
        opset_imports={"": network.emitter.opset},
        name=network.name,
    )
    graph = view.clone()
    model = ir.Model(graph, ir_version=network.target.ir_version, producer_name="graphc")
    best = {name: {"opt": dim.best} for name, dim in network.spec.dims.items() if dim.fixed is None}
    model.metadata_props[DIMS] = json.dumps(best)
    if train.losses:
        made = {value.name: value for value in (*graph.inputs, *(v for node in graph for v in node.outputs))}
        graph.outputs.append(_total(graph, [(made[loss.value.name], loss.weight) for loss in train.losses]))
    return model


def _total(graph: ir.Graph, losses: Sequence[tuple[ir.Value, float]]) -> ir.Value:
    """The weighted sum of the losses, as nodes at the end of the graph."""
    terms = []
    for index, (loss, weight) in enumerate(losses):
        if weight == 1:
            terms.append(loss)
            continue
        content = ir.tensor(np.asarray(weight, np.float32), name=f"train/weight_{index}")
        factor = ir.Value(name=content.name, type=loss.type, shape=ir.Shape([]), const_value=content)
        graph.register_initializer(factor)
        terms.append(_appended(graph, "Mul", [loss, factor], f"train/weighted_{index}"))
    return _appended(graph, "Identity" if len(terms) == 1 else "Sum", terms, "train/loss")


def _appended(graph: ir.Graph, op_type: str, inputs: Sequence[ir.Value], name: str) -> ir.Value:
    """A node on scalars at the end of the graph."""
    largest = max(inputs, key=lambda value: len(value.shape or ()))
    out = ir.Value(name=name, type=largest.type, shape=largest.shape)
    graph.append(ir.node(op_type, inputs, outputs=[out], name=name))
    return out


def _of_spec(network: Network, model: ir.Model, freeze: Sequence[str]) -> Stored:
    """What trains by the spec's own words; its frozen parameters, and the running statistics."""
    here = model.graph.initializers
    parameters = [(p, here[p.path]) for p in network.emitter.parameters.values() if p.path in here]
    trained = [value for p, value in parameters if p.trainable]
    buffers = tuple(value for p, value in parameters if p.role in STATISTICS)
    fixed = tuple(value for p, value in parameters if not p.trainable and p.role not in STATISTICS)
    found = frozen_by(trained, buffers, freeze)
    return Stored(found.trained, (*fixed, *found.frozen), buffers)


def _optimizer(network: Network) -> str | None:
    chosen = network.training.optimizer if network.training else None
    if chosen is None:
        return None
    if chosen.sgd is not None:
        return "momentum" if chosen.sgd.momentum else "sgd"
    return "adam"


# ---------------------------------------------------------------- changes


def _copy(model: ir.Model) -> ir.Model:
    """A copy that may be changed. Raises GraphcError (graph/dangling-input) where a node reads what nothing makes."""
    try:
        return model.clone()
    except RuntimeError:
        raise GraphcError(
            "the model reads values that nothing makes, or makes after they are read",
            code="graph/dangling-input",
            hint="graphc lint says which",
        ) from None


def _changes(model: ir.Model, opened: _Opened, training: bool, precision: Precision | None) -> bool:
    """Whether the model as it is differs from the one to be costed, so that a copy is needed."""
    if model.functions or precision is not None or _defaults(model.graph):
        return True
    if not is_static(model.graph) or input_shapes(model, opened.dims, opened.batch):
        return True
    return training and any(node.op_type in SINCE and not node.domain for node in model.graph)


def _defaults(graph: ir.Graph) -> bool:
    return any(value.is_initializer() for value in graph.inputs)


def _simplify(model: ir.Model) -> None:
    """Functions are what their bodies are, and initializers that are also inputs what they are by default."""
    if model.functions:
        InlinePass()(model)
    if _defaults(model.graph):
        RemoveInitializersFromInputsPass()(model)


def _switch_to_training(graph: ir.Graph, kept: Stored) -> None:
    """Batch norms that are not frozen, and dropouts, run as in training; what stops the gradient runs as it is."""
    opset = graph.opset_imports.get("", 1)
    frozen, yes = set(kept.frozen), None
    for node in graph:
        if node.domain or opset < SINCE.get(node.op_type, opset + 1) or STOP_GRADIENT in node.metadata_props:
            continue
        if node.op_type == "BatchNormalization" and not frozen.issuperset(node.inputs[SCALE : SHIFT + 1]):
            node.attributes["training_mode"] = ir.AttrInt64("training_mode", 1)
        elif node.op_type == "Dropout" and not _drops(node):
            yes = yes or _flag(graph)
            node.resize_inputs(TRAINING_MODE + 1)
            node.replace_input_with(TRAINING_MODE, yes)


def _drops(node: ir.Node) -> bool:
    mode = node.inputs[TRAINING_MODE] if len(node.inputs) > TRAINING_MODE else None
    content = None if mode is None else constant(mode)
    return content is not None and bool(content)


def _flag(graph: ir.Graph) -> ir.Value:
    content = ir.tensor(np.asarray(True), name="train/training_mode")
    value = ir.Value(name=content.name, type=ir.TensorType(ir.DataType.BOOL), shape=ir.Shape([]), const_value=content)
    graph.register_initializer(value)
    return value


def _convert(graph: ir.Graph, dtype: ir.DataType) -> None:
    """Give every floating tensor that element type; contents are not converted, for nobody reads them."""
    for value in _values(graph):
        if isinstance(value.type, ir.TensorType) and value.type.dtype.is_floating_point():
            value.type = ir.TensorType(dtype)


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    yield from graph.initializers.values()
    for node in graph.all_nodes():
        yield from node.outputs


# ---------------------------------------------------------------- what runs


def _live(graph: ir.Graph) -> tuple[tuple[ir.Node, ...], tuple[ir.Node, ...]]:
    """The nodes that an output needs, and the others."""
    needed: set[ir.Value | None] = set(graph.outputs)
    live: list[ir.Node] = []
    dead: list[ir.Node] = []
    for node in reversed(graph):
        if needed.isdisjoint(node.outputs):
            dead.append(node)
            continue
        live.append(node)
        needed.update((*node.inputs, *captured(node)))
    return tuple(reversed(live)), tuple(reversed(dead))


def _losses(graph: ir.Graph, has_loss: bool) -> tuple[ir.Value, ...]:
    if has_loss:
        return (graph.outputs[-1],)
    return tuple(dict.fromkeys(v for v in graph.outputs if v.dtype is not None and v.dtype.is_floating_point()))
