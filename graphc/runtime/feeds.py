"""Seeded random inputs for a model, legal ones: indices inside what they index, symbolic dimensions bound.

A dimension's size is, in this order: what the caller gives, the smallest legal size in the model's metadata property
`graphc.dims` (JSON: a name to an int or to `{min, opt, max, multiple_of}`; the smallest, so that a check is quick),
else 2 for a first axis (a batch of 1 hides mistakes) and 32 for any other (32 survives five halvings).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import onnx_ir as ir

from graphc.errors import GraphcError

BATCH, SIZE = 2, 32
MAX_ELEMENTS = 1 << 28  # of one made-up input; sizes in a model's metadata are untrusted
DIMS_PROPERTY = "graphc.dims"
Feeds = Mapping[str, np.ndarray]

# What float inputs look like, seed after seed: signed; an image in [0, 1]; large, to reach every clip and saturation.
# No constant inputs: a normalisation turns them into rounding noise, on which no two correct models agree.
DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "normal": lambda random, shape: random.standard_normal(shape),
    "uniform": lambda random, shape: random.random(shape),
    "normal ×8": lambda random, shape: 8 * random.standard_normal(shape),
}


def required(graph: ir.Graph) -> list[ir.Value]:
    """The inputs that must be fed: those that are not also initializers."""
    return [value for value in graph.inputs if not value.is_initializer()]


def distribution(index: int) -> str:
    """The name of the distribution of float inputs in the feeds of that index."""
    return list(DISTRIBUTIONS)[index % len(DISTRIBUTIONS)]


def feeds(
    model: ir.Model, seed: int, index: int, sizes: Mapping[str, int], given: Feeds
) -> dict[str, np.ndarray]:
    """One array per required input: `given`, or floats from `distribution(index)`, integers in range, bools by coin.

    `sizes` are the model's `bindings`. The same (seed, index) gives the same arrays. Raises GraphcError (run/not-analysed) for an input that cannot be made up: a
    string, a sequence, or one of unknown rank.
    """
    random = np.random.default_rng((seed, index))
    made = {
        str(value.name): _array(value, index, random, sizes)
        for value in required(model.graph)
        if value.name not in given
    }
    return made | dict(given)


def perturbed(model: ir.Model, seed: int) -> dict[str, np.ndarray]:
    """Other values, some 10 % larger, for the floating initializers that are also inputs: a caller may override them."""
    random = np.random.default_rng((seed, len(DISTRIBUTIONS)))
    found = {}
    for value in model.graph.inputs:
        default = value.const_value
        if default is not None and value.is_initializer() and default.dtype.is_floating_point():
            array = default.numpy()
            grown = array * (1 + 0.1 * random.random(array.shape)) + 0.01  # a variance stays positive
            found[str(value.name)] = grown.astype(array.dtype)
    return found


# ---------------------------------------------------------------- sizes


def bindings(model: ir.Model, given: Mapping[str, int]) -> dict[str, int]:
    """A size for every dimension that the model names or the caller gives."""
    sizes = _declared(model)
    for value in required(model.graph):
        for axis, dim in enumerate(value.shape or ()):
            if isinstance(dim, ir.SymbolicDim) and dim.value and _evaluate(dim.value, sizes) is None:
                sizes.setdefault(dim.value, BATCH if axis == 0 else SIZE)
    unknown = sorted(given.keys() - sizes.keys())
    if unknown:
        raise GraphcError(
            f"the model has no dimension {', '.join(unknown)}",
            code="run/usage",
            hint=f"its dimensions are: {', '.join(sorted(sizes)) or 'all fixed'}",
        )
    return {**sizes, **given}


def _declared(model: ir.Model) -> dict[str, int]:
    """The smallest legal size of each dimension in the model's own metadata, which is untrusted text."""
    text = model.metadata_props.get(DIMS_PROPERTY, "{}")
    try:
        return {str(name): _smallest(dim) for name, dim in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        raise GraphcError(
            f"metadata property '{DIMS_PROPERTY}' is no mapping of names to sizes: {text[:80]}",
            code="run/not-analysed",
            hint='it looks like {"N": 1, "H": {"min": 64, "opt": 256, "max": 1024, "multiple_of": 4}}',
        ) from None


def _smallest(dim: int | Mapping[str, int]) -> int:
    if isinstance(dim, int):
        return dim
    multiple = int(dim.get("multiple_of") or 1)
    return max(math.ceil(int(dim.get("min") or 1) / multiple), 1) * multiple


def _evaluate(dim: str, sizes: Mapping[str, int]) -> int | None:
    """`H`, `2*H` and `H/2`, the forms that graphc writes; None for anything else."""
    match = re.fullmatch(r"(?:(\d+)\*)?([^*/]+)(?:/(\d+))?", dim)
    if match is None or match[2] not in sizes:
        return None
    return int(match[1] or 1) * sizes[match[2]] // max(int(match[3] or 1), 1)


def _shape(value: ir.Value, sizes: Mapping[str, int]) -> tuple[int, ...]:
    if value.shape is None:
        raise GraphcError(
            f"input '{value.name}' has no declared rank",
            code="run/not-analysed",
            hint="give its value: inputs={...}",
        )
    shape = []
    for axis, dim in enumerate(value.shape):
        known = dim if isinstance(dim, int) else _evaluate(dim.value or "", sizes)
        shape.append((BATCH if axis == 0 else SIZE) if known is None else known)
    if math.prod(shape) > MAX_ELEMENTS:
        raise GraphcError(
            f"input '{value.name}' would have {math.prod(shape)} elements",
            code="run/not-analysed",
            hint="give smaller sizes: dims={...}",
        )
    return tuple(shape)


# ---------------------------------------------------------------- contents


def _array(value: ir.Value, index: int, random: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
    dtype, shape = value.dtype, _shape(value, sizes)
    if dtype is None or not isinstance(value.type, ir.TensorType) or dtype == ir.DataType.STRING:
        raise GraphcError(
            f"no random value can be made for input '{value.name}' of type {value.type}",
            code="run/not-analysed",
            hint="give its value: inputs={...}",
        )
    if dtype.is_floating_point():
        return DISTRIBUTIONS[distribution(index)](random, shape).astype(dtype.numpy())
    if dtype == ir.DataType.BOOL:
        return random.integers(0, 2, shape).astype(bool)
    low, high = _range(value, sizes)
    return random.integers(low, high, shape).astype(dtype.numpy())


def _range(value: ir.Value, sizes: Mapping[str, int]) -> tuple[int, int]:
    """[low, high) of an integer input: the tightest of what its consumers accept, else a byte or 0..9."""
    bounds = list(_accepted(value, sizes))
    if bounds:
        return max(low for low, _ in bounds), min(high for _, high in bounds)
    return (0, 256) if value.dtype == ir.DataType.UINT8 else (0, 10)


# Operators that hand integers on as they are, from their first input (Concat and Where: from any).
_MOVES = frozenset(
    "Cast Concat Expand Flatten Identity Reshape Slice Split Squeeze Tile Transpose Unsqueeze Where".split()
)


def _accepted(value: ir.Value, sizes: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    """The range that each operator that takes `value` as indices, lengths or class labels accepts."""
    pending, seen = [value], {value}
    while pending:
        for node, position in pending.pop().uses():
            moves = node.op_type in _MOVES and (position == 0 or node.op_type in ("Concat", "Where"))
            fresh = [out for out in node.outputs if moves and out not in seen]
            seen.update(fresh)
            pending += fresh
            rule = _INDICES.get((node.op_type, position))
            found = rule(node, sizes) if rule else None
            if found is not None:
                yield found


def _axis_size(node: ir.Node, position: int, axis: int, sizes: Mapping[str, int]) -> int | None:
    """The size of one axis of an input, if it is known."""
    data = node.inputs[position]
    if data is None or data.shape is None or not -len(data.shape) <= axis < len(data.shape):
        return None
    dim = data.shape[axis]
    return dim if isinstance(dim, int) else _evaluate(dim.value or "", sizes)


def _gathered(node: ir.Node, sizes: Mapping[str, int]) -> tuple[int, int] | None:
    axis = node.attributes.get("axis")
    size = _axis_size(node, 0, axis.as_int() if axis is not None else 0, sizes)
    return (0, size) if size else None


def _leading(node: ir.Node, sizes: Mapping[str, int]) -> tuple[int, int] | None:
    """GatherND, ScatterND: a tuple of indices, each below the smallest of the leading axes."""
    found = [
        _axis_size(node, 0, axis, sizes)
        for axis in range(len(node.inputs[0].shape or ()) if node.inputs[0] else 0)
    ]
    known = [size for size in found if size]
    return (0, min(known)) if known else None


def _classes(node: ir.Node, sizes: Mapping[str, int]) -> tuple[int, int] | None:
    size = _axis_size(node, 0, 1, sizes)
    return (0, size) if size else None


def _depth(node: ir.Node, sizes: Mapping[str, int]) -> tuple[int, int] | None:
    depth = node.inputs[1].const_value if node.inputs[1] is not None else None
    return (0, int(depth.numpy().reshape(-1)[0])) if depth is not None else None


def _sequence(node: ir.Node, sizes: Mapping[str, int]) -> tuple[int, int] | None:
    size = _axis_size(node, 0, 0, sizes)
    return (1, size + 1) if size else None


_INDICES: dict[tuple[str, int], Callable[[ir.Node, Mapping[str, int]], tuple[int, int] | None]] = {
    ("Gather", 1): _gathered,
    ("GatherElements", 1): _gathered,
    ("ScatterElements", 1): _gathered,
    ("GatherND", 1): _leading,
    ("ScatterND", 1): _leading,
    ("OneHot", 0): _depth,
    ("SoftmaxCrossEntropyLoss", 1): _classes,
    ("NegativeLogLikelihoodLoss", 1): _classes,
    ("RNN", 4): _sequence,
    ("GRU", 4): _sequence,
    ("LSTM", 4): _sequence,
}
