"""Layers on symbolic sizes: each computes what it does on fixed ones, or says that it needs a fixed one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from layer_oracle import EXACT, Built, build, close, sample
from test_layers_samples import SAMPLES, Sample

from graphc.errors import GraphcError

Shape = tuple[int, ...]
FLOAT = np.dtype(np.float32)

# Their parameters, or the shapes of their weights, depend on a size that this test makes symbolic.
NEED_A_FIXED_SIZE = {
    "adaptive_avg_pool",
    "affine",
    "crop",
    "dense",
    "expand",
    "instance_norm",
    "layer_norm",
    "shift",
    "split",
    "squeeze",
}


def grown(given: Sample) -> list[Shape]:
    """The inputs' shapes, batch, length, height, width doubled: in the first by place, in others by size."""
    first = given.inputs[0]
    free = {0, 1} if first.ndim == 3 else {0, *range(2, first.ndim)}
    sizes = {first.shape[axis] for axis in free}
    shapes = [tuple(2 * n if axis in free else n for axis, n in enumerate(first.shape))]
    return shapes + [tuple(2 * n if n in sizes else n for n in x.shape) for x in given.inputs[1:]]


def resampled(x: np.ndarray, shape: Shape) -> np.ndarray:
    if x.dtype != FLOAT:
        return np.resize(x, shape)
    return sample(*shape, low=float(x.min()), high=float(x.max()) + 0.1)


def symbolic(given: Sample) -> Built | GraphcError:
    """The layer on inputs that have their own size at one point and the grown one at another."""
    small, big = [x.shape for x in given.inputs], grown(given)
    changed = {n for a, b in zip(small, big, strict=True) for n, m in zip(a, b, strict=True) if n != m}
    points = [{f"D{n}": n for n in changed}, {f"D{n}": 2 * n for n in changed}]
    inputs = [(x.dtype, shapes) for x, *shapes in zip(given.inputs, small, big, strict=True)]
    try:
        return build(given.layer, *inputs, points=points)
    except GraphcError as error:
        return error


@pytest.mark.parametrize("given", SAMPLES, ids=lambda given: given.name)
def test_symbolic_sizes_compute_the_same(given: Sample) -> None:
    built = symbolic(given)
    if isinstance(built, GraphcError):
        assert given.name in NEED_A_FIXED_SIZE, built
        assert built.code in ("spec/dim-not-fixed", "spec/shape-mismatch")
        return
    assert any(isinstance(dim, str) for x in built.proto.graph.input for dim in dims(x))
    bigger = [resampled(x, shape) for x, shape in zip(given.inputs, grown(given), strict=True)]
    for inputs in (given.inputs, bigger):
        fixed = build(given.layer, *inputs)
        tolerance, condition = EXACT if given.exact else fixed.tolerance, fixed.condition(*inputs)
        actual = built.run(*inputs)
        for name, expected in fixed.run(*inputs).items():
            close(actual[name], expected, tolerance, condition[name])


def test_each_that_needs_a_fixed_size_says_so() -> None:
    refused = {given.name for given in SAMPLES if isinstance(symbolic(given), GraphcError)}
    assert refused == NEED_A_FIXED_SIZE


def dims(x: Any) -> list[str | int]:
    return [dim.dim_param or dim.dim_value for dim in x.type.tensor_type.shape.dim]


@pytest.mark.parametrize("layer", [{"channel_shuffle": 2}, {"pixel_unshuffle": 2}, "instance_norm", {"conv": 3}])
def test_a_symbolic_batch_may_be_empty(layer: Any) -> None:
    built = build(layer, (FLOAT, [(2, 6, 4, 2), (3, 6, 4, 2)]), points=[{"N": 2}, {"N": 3}])
    assert built.run(np.empty((0, 6, 4, 2), np.float32))[""].shape[0] == 0


def test_a_causal_mask_follows_the_length() -> None:
    built = build(
        {"attention": {"heads": 1, "causal": True}},
        (FLOAT, [(1, 2, 4), (1, 9, 4)]),
        points=[{"T": 2}, {"T": 9}],
    )
    x = sample(1, 7, 4)
    later = x.copy()
    later[:, 4:] += 1
    np.testing.assert_array_equal(built.run(x)[""][:, :4], built.run(later)[""][:, :4])
    assert (built.run(x)[""][:, 4:] != built.run(later)[""][:, 4:]).all()
