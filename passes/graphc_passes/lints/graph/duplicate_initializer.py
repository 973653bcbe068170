"""The same weights, stored more than once.

Why    the file, the download and the memory are larger by that. An export that unties tied weights (the embedding and
       the last layer of a language model) doubles its largest matrix.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator

import numpy as np
import onnx_ir as ir

from graphc import CaseBuilder, Problem, Subject, lint
from graphc_passes.lints.graph._graphs import some

SMALLEST = 1 << 12  # bytes of one: a page of memory; below it are biases and the sizes of shapes
WORTH = 1 << 16  # bytes stored for nothing, in all
PEEK = 64  # elements that are compared before whole contents are


@lint(category="graph", severity="info", help="keep one, and let all read it", fix="deduplicate-hashed-initializers")
def duplicate_initializer(subject: Subject) -> Iterator[Problem]:
    groups = [_large(subject)]
    for key in (_kind, _first_elements, _content):
        groups = [part for group in groups for part in _parted(group, key)]
    wasted = sum(sum(map(_bytes, group[1:])) for group in groups)
    if wasted >= WORTH:
        largest = max(groups, key=lambda group: _bytes(group[0]))
        names = some([each.name or "" for each in largest])
        message = f"{wasted} bytes are stored twice: {names} are equal"
        yield Problem(message, at=largest[0], measured=wasted, limit=WORTH)


def _large(subject: Subject) -> list[ir.Value]:
    """The initializers that are large enough to matter."""
    found = [
        value for graph, _ in subject.graphs if isinstance(graph, ir.Graph) for value in graph.initializers.values()
    ]
    return [value for value in found if _bytes(value) >= SMALLEST and value.dtype != ir.DataType.STRING]


def _parted(group: list[ir.Value], key: Callable[[ir.Value], Hashable]) -> list[list[ir.Value]]:
    """The parts of a group that agree in `key`, those of one left out. Of a group of one nothing is read."""
    parts: dict[Hashable, list[ir.Value]] = defaultdict(list)
    for value in group:
        parts[key(value)].append(value)
    return [part for part in parts.values() if len(part) > 1]


def _bytes(value: ir.Value) -> int:
    return value.const_value.nbytes if value.const_value is not None else 0


def _kind(value: ir.Value) -> Hashable:
    return value.dtype, str(value.shape)


def _first_elements(value: ir.Value) -> Hashable:
    return _array(value)[:PEEK].tobytes()


def _content(value: ir.Value) -> Hashable:
    return hashlib.blake2b(np.ascontiguousarray(_array(value)).view(np.uint8).data).digest()


def _array(value: ir.Value) -> np.ndarray:
    assert value.const_value is not None  # it has bytes
    return value.const_value.numpy().reshape(-1)


def _products(g: CaseBuilder, *, tied: bool) -> ir.Value:
    content = g.random.standard_normal((128, 128)).astype(np.float32)
    other = content if tied else g.random.standard_normal((128, 128)).astype(np.float32)
    hidden = g.Relu(g.MatMul(g.input(1, 128), g.constant(content)))
    found: ir.Value = g.MatMul(hidden, g.constant(other))
    return found


@duplicate_initializer.bad
def tied_weights_untied(g: CaseBuilder) -> object:
    return _products(g, tied=True)


@duplicate_initializer.good
def of_one_shape(g: CaseBuilder) -> object:
    return _products(g, tied=False)


@duplicate_initializer.good
def read_twice(g: CaseBuilder) -> object:
    weights = g.weight(128, 128)
    return g.MatMul(g.Relu(g.MatMul(g.input(1, 128), weights)), weights)


@duplicate_initializer.good
def two_biases_of_zero(g: CaseBuilder) -> object:
    x = g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3), g.constant(np.zeros(4, np.float32)))
    return g.Conv(g.Relu(x), g.weight(4, 4, 3, 3), g.constant(np.zeros(4, np.float32)))
