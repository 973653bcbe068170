"""A model whose every value can be nudged, as rounding would nudge it but far further: it shows κ of `tolerance.py`.

Behind each floating input, constant and result of the main graph stands a Mul by 1 ± h·√(w / ΣK), the signs random: w
are the terms that the value carries, ΣK those of the heaviest path. The output then changes by κ·h of itself. h = √eps
is so far above eps that the rounding of the nudged model itself is nothing beside it, and so far below 1 that it
bends no smooth function. This is stochastic arithmetic (CESTAC: Vignes, A stochastic arithmetic for reliable scientific
computation, 1993) at a precision of h. What the bodies of control flow and of functions compute is not nudged, only
what they are handed and return; what says a size is not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc.inference import infer_missing
from graphc.metadata import evaluate_dim
from graphc.runtime.tolerance import carried, coarsest, heaviest_path

DRAWS = 8  # of signs, for a model so small that they cost nothing: where few values matter their signs may cancel
SMALL = 65_521  # elements of such a model's values; a prime, so that values of round sizes get signs of their own
LARGEST = 1 << 24  # elements of one value that get a sign each: of a larger one the leading axes share them
NUDGED = (ir.DataType.FLOAT16, ir.DataType.FLOAT, ir.DataType.DOUBLE)
# Inputs that say a size: a nudge would make 1.9999 of a scale of 2, and another shape.
SIZES = {"Resize": (1, 2), "Upsample": (1,), "Range": (0, 1, 2), "OneHot": (1,), "Reshape": (1,), "Expand": (1,)}
SIZES |= {"ConstantOfShape": (0,), "Slice": (1, 2, 3, 4), "Pad": (1, 3), "Tile": (1,), "TopK": (1,)}


@dataclass(frozen=True)
class Signs:
    """What a `value` is multiplied by: a graph input of that `name`, 1 ± `far`."""

    value: ir.Value
    name: str
    dtype: np.dtype[Any]
    far: float


class Nudging:
    """The nudged form of a `model`; its signs are inputs of their own, so that one session serves every draw.

    `by` is h, how far all nudges along a path go together; 0.0 where nothing is floating.
    """

    def __init__(self, model: ir.Model) -> None:
        self.by = math.sqrt(coarsest(model))
        self.model = model.clone()
        infer_missing(self.model)
        self._draws = 0
        self._pools: dict[tuple[np.dtype[Any], float, int], np.ndarray] = {}
        self._signs: list[Signs] = []
        path, sizes = heaviest_path(model), set(_sizes(self.model.graph))
        for value, terms in carried(self.model).items():
            if value.dtype in NUDGED and _is_read(value) and value not in sizes:
                name = _nudge(self.model.graph, value, len(self._signs))
                self._signs.append(Signs(value, name, value.dtype.numpy(), self.by * math.sqrt(terms / path)))

    def feeds(self, feed: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        """The feed with other signs each time."""
        bound = _bound(self.model.graph, feed)
        shapes = [_shape(signs.value, bound) for signs in self._signs]
        ends = list(accumulate(map(math.prod, shapes), initial=0))
        length = max(map(math.prod, shapes), default=0) + SMALL
        for _ in range(min(max(SMALL // max(ends[-1], 1), 1), DRAWS)):
            drawn = {}
            for signs, shape, end in zip(self._signs, shapes, ends, strict=False):
                begin = (self._draws * ends[-1] + end) % SMALL
                pool = self._pool(signs.dtype, signs.far, length)
                drawn[signs.name] = pool[begin : begin + math.prod(shape)].reshape(shape)
            self._draws += 1
            yield {**feed, **drawn}

    def _pool(self, dtype: np.dtype[Any], far: float, length: int) -> np.ndarray:
        """1 ± far, that many times: each value that is nudged as far takes its signs from a place of its own."""
        key = dtype, far, length
        if key not in self._pools:
            bits = np.unpackbits(np.frombuffer(np.random.default_rng(0).bytes(length // 8 + 1), np.uint8))[:length]
            self._pools[key] = np.array([1 - far, 1 + far], dtype)[bits]
        return self._pools[key]


def _is_read(value: ir.Value) -> bool:
    return bool(value.uses()) or (value.producer() is not None and value.is_graph_output())


def _nudge(graph: ir.Graph, value: ir.Value, index: int) -> str:
    """Put the Mul behind a value, and its signs, whose name is returned, among the inputs."""
    signs = ir.Value(name=f"graphc.signs.{index}", type=value.type)
    graph.inputs.append(signs)
    node = ir.node("Mul", [value, signs], name=f"graphc.nudge.{index}")
    made, computed = node.outputs[0], value.producer()
    made.name, made.type, made.shape = f"graphc.nudged.{index}", value.type, value.shape
    for use in tuple(value.uses()):
        if use.node is not node:
            use.node.replace_input_with(use.idx, made)
    if computed is None:
        graph.insert_before(graph[0], node)
        return str(signs.name)
    graph.insert_after(computed, node)
    for position, output in enumerate(graph.outputs):
        if output is value:
            graph.outputs[position] = made
            value.name, made.name = made.name, value.name
    return str(signs.name)


def _sizes(graph: ir.Graph) -> Iterator[ir.Value]:
    """Every value that the shape of another one depends on."""
    above = [
        node.inputs[index]
        for node in graph
        for index in SIZES.get(node.op_type, ())
        if index < len(node.inputs) and node.inputs[index] is not None
    ]
    seen: set[ir.Value] = set()
    while above:
        value = above.pop()
        if value is None or value in seen:
            continue
        seen.add(value)
        yield value
        producer = value.producer()
        if producer is not None and producer.op_type not in ("Shape", "Size"):
            above += producer.inputs


def _bound(graph: ir.Graph, feed: Mapping[str, np.ndarray]) -> dict[str, int]:
    """The size of every dimension that an input names."""
    return {
        str(dim.value): size
        for value in graph.inputs
        if value.name in feed and value.shape is not None
        for dim, size in zip(value.shape, feed[str(value.name)].shape, strict=True)
        if isinstance(dim, ir.SymbolicDim)
    }


def _shape(value: ir.Value, bound: Mapping[str, int]) -> tuple[int, ...]:
    """The shape of a value's signs: its own, or () where it is not known."""
    sizes = [dim if isinstance(dim, int) else evaluate_dim(dim.value or "", bound) for dim in value.shape or ()]
    if value.const_value is not None:
        sizes = list(value.const_value.shape.numpy())
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        return ()
    axis = 0
    while math.prod(known) > LARGEST:
        known[axis], axis = 1, axis + 1
    return tuple(known)
