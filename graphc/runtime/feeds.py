"""Seeded random inputs for a model, legal ones: indices inside what they index, symbolic dimensions bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir

from graphc.errors import GraphcError
from graphc.runtime.indices import index_range
from graphc.runtime.sizes import required, shape_of

Feeds = Mapping[str, np.ndarray]

# What float inputs look like, seed after seed: signed; an image in [0, 1]; large, to reach every clip.
# No constant inputs: a normalisation turns them into rounding noise, on which no two correct models agree.
DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "normal": lambda random, shape: random.standard_normal(shape),
    "uniform": lambda random, shape: random.random(shape),
    "normal ×8": lambda random, shape: 8 * random.standard_normal(shape),
}


def distribution(index: int) -> str:
    """The name of the distribution of float inputs in the feeds of that index."""
    return list(DISTRIBUTIONS)[index % len(DISTRIBUTIONS)]


def make_feeds(model: ir.Model, seed: int, index: int, sizes: Mapping[str, int], given: Feeds) -> dict[str, np.ndarray]:
    """One array per required input: `given`, else floats as `distribution(index)`, integers in range, bools.

    `sizes` are the model's `bindings`. The same (seed, index) gives the same arrays. Raises GraphcError
    (run/not-analysed) for an input that cannot be made up: a string, a sequence, or one of unknown rank.
    """
    random = np.random.default_rng((seed, index))
    made = {
        str(value.name): _array(value, index, random, sizes)
        for value in required(model.graph)
        if value.name not in given
    }
    return made | dict(given)


def perturbed(model: ir.Model, seed: int) -> dict[str, np.ndarray]:
    """Other values, some 10 % larger, for the floating initializers that are also inputs."""
    random = np.random.default_rng((seed, len(DISTRIBUTIONS)))
    found = {}
    for value in model.graph.inputs:
        default = value.const_value
        if default is not None and value.is_initializer() and default.dtype.is_floating_point():
            array = default.numpy()
            grown = array * (1 + 0.1 * random.random(array.shape)) + 0.01  # a variance stays positive
            found[str(value.name)] = np.asarray(grown, array.dtype)
    return found


def nudge(feed: Feeds) -> tuple[dict[str, np.ndarray], float]:
    """The feeds with every floating input changed by √eps of itself, and that √eps (0.0: no such input).

    √eps is far above rounding and far below what bends a smooth function.
    """
    random = np.random.default_rng(0)
    floating = [array.dtype for array in feed.values() if array.dtype.kind == "f"]
    by = max((float(np.finfo(dtype).eps) for dtype in floating), default=0.0) ** 0.5
    return {
        name: np.asarray(array * (1 + by * random.standard_normal(array.shape)), array.dtype)
        if array.dtype.kind == "f"
        else array
        for name, array in feed.items()
    }, by


def _array(value: ir.Value, index: int, random: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
    dtype, shape = value.dtype, shape_of(value, sizes)
    if dtype is None or not isinstance(value.type, ir.TensorType) or dtype == ir.DataType.STRING:
        raise GraphcError(
            f"no random value can be made for input '{value.name}' of type {value.type}",
            code="run/not-analysed",
            hint="give its value with `inputs`",
        )
    if dtype.is_floating_point():
        return np.asarray(DISTRIBUTIONS[distribution(index)](random, shape), dtype.numpy())
    if dtype == ir.DataType.BOOL:
        return np.asarray(random.integers(0, 2, shape), bool)
    low, high = index_range(value, sizes)
    return np.asarray(random.integers(low, high, shape), dtype.numpy())
