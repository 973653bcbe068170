"""Every layer in small models, at several opsets, against its definition in numpy.

`SAMPLES` names each layer at least once; a layer without a sample fails the suite. The file is one table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from layer_oracle import EXACT, Built, affine, build, close, convolve, pooled, sample

from graphc.spec.layers import Layer, LayerRef, layers

OPSETS = (13, 17, 18, 21, 23)
Weights = dict[str, np.ndarray]

X = sample(2, 4, 5, 6)
SEQUENCE = sample(2, 3, 4)
POSITIVE = sample(2, 4, 5, 6, low=0.1)
erf = np.vectorize(math.erf)


@dataclass(frozen=True)
class Sample:
    """A layer, its inputs, what it gives (from the inputs and, if it has any, the weights), whether exactly."""

    layer: LayerRef
    inputs: tuple[np.ndarray, ...]
    expected: Callable[..., Any]
    exact: bool = False
    since: int = 13

    @property
    def name(self) -> str:
        return self.layer if isinstance(self.layer, str) else next(iter(self.layer))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def normal(x: np.ndarray, axes: tuple[int, ...], epsilon: float = 1e-5) -> np.ndarray:
    mean = x.mean(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(x.var(axis=axes, keepdims=True) + epsilon)


def batch_norm(x: np.ndarray, w: Weights) -> np.ndarray:
    def column(name: str) -> np.ndarray:
        return w[name].reshape(-1, *[1] * (x.ndim - 2))

    scale = column("scale") if "scale" in w else 1.0
    epsilon = 1e-5 if "scale" in w else 1e-3
    return (x - column("mean")) / np.sqrt(column("variance") + epsilon) * scale + column("bias")


def group_norm(x: np.ndarray, groups: int) -> np.ndarray:
    grouped = x.reshape(x.shape[0], groups, -1)
    return normal(grouped, (2,)).reshape(x.shape)


def lrn(x: np.ndarray, size: int, alpha: float, beta: float, bias: float) -> np.ndarray:
    y = np.empty_like(x)
    for channel in range(x.shape[1]):
        near = slice(max(0, channel - (size - 1) // 2), channel + size // 2 + 1)
        y[:, channel] = x[:, channel] / (bias + alpha / size * (x[:, near] ** 2).sum(axis=1)) ** beta
    return y


def adaptive(x: np.ndarray, bins: tuple[int, ...]) -> np.ndarray:
    y = np.empty((*x.shape[:2], *bins))
    for at in np.ndindex(*bins):
        window = [
            slice(math.floor(i * size / n), math.ceil((i + 1) * size / n))
            for i, size, n in zip(at, x.shape[2:], bins, strict=True)
        ]
        y[(..., *at)] = x[(..., *window)].mean(axis=tuple(range(2, x.ndim)))
    return y


def linear_2x(x: np.ndarray) -> np.ndarray:
    """Twice the last two axes, half_pixel: three quarters of the nearest pixel, a quarter of the next."""
    for axis in (-2, -1):
        x = np.moveaxis(x, axis, -1)
        before = np.concatenate([x[..., :1], x[..., :-1]], axis=-1)
        after = np.concatenate([x[..., 1:], x[..., -1:]], axis=-1)
        x = np.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis=-1).reshape(*x.shape[:-1], -1)
        x = np.moveaxis(x, -1, axis)
    return x


def cubic_2x(x: np.ndarray, a: float) -> np.ndarray:
    """Twice the last two axes, half_pixel, with the cubic convolution kernel and the border repeated."""

    def kernel(d: float) -> float:
        d = abs(d)
        if d <= 1:
            return (a + 2) * d**3 - (a + 3) * d**2 + 1
        return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0

    for axis in (-2, -1):
        x = np.moveaxis(x, axis, -1)
        size = x.shape[-1]
        y = np.zeros((*x.shape[:-1], 2 * size))
        for i in range(2 * size):
            centre = (i + 0.5) / 2 - 0.5
            for tap in range(math.floor(centre) - 1, math.floor(centre) + 3):
                y[..., i] += kernel(centre - tap) * x[..., min(max(tap, 0), size - 1)]
        x = np.moveaxis(y, -1, axis)
    return x


def pixel_shuffle(x: np.ndarray, r: int) -> np.ndarray:
    n, c, h, w = x.shape
    y = np.empty((n, c // r**2, h * r, w * r), x.dtype)
    for k, i, j in np.ndindex(c // r**2, r, r):
        y[:, k, i::r, j::r] = x[:, k * r * r + i * r + j]
    return y


def pixel_unshuffle(x: np.ndarray, r: int) -> np.ndarray:
    planes = [x[:, k, i::r, j::r] for k, i, j in np.ndindex(x.shape[1], r, r)]
    return np.stack(planes, axis=1)


def shuffle(x: np.ndarray, groups: int) -> np.ndarray:
    order = [j * (x.shape[1] // groups) + i for i in range(x.shape[1] // groups) for j in range(groups)]
    return x[:, order]


def project(x: np.ndarray, w: Weights, prefix: str = "") -> np.ndarray:
    return x @ w[f"{prefix}weight"].T.astype(np.float64) + w.get(f"{prefix}bias", 0.0)


def attention(
    heads: int,
    w: Weights,
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    mask: np.ndarray | float = 0.0,
) -> np.ndarray:
    q, k, v = (project(x, w, f"{n}/") for n, x in (("query", query), ("key", key), ("value", value)))
    size, mixed = q.shape[2] // heads, []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        scores = q[..., part] @ k[..., part].transpose(0, 2, 1) / math.sqrt(size) + mask
        mixed.append(softmax(scores) @ v[..., part])
    return project(np.concatenate(mixed, axis=-1), w, "out/")


def waves(length: int, width: int) -> np.ndarray:
    table = np.empty((length, width))
    for t, column in np.ndindex(length, width):
        angle = t / 10000 ** ((column - column % 2) / width)
        table[t, column] = math.cos(angle) if column % 2 else math.sin(angle)
    return table


def gru_steps(x: np.ndarray, h: np.ndarray, w: Weights, d: int = 0) -> list[np.ndarray]:
    """The states of one direction: z, r and the candidate n, with r applied behind the recurrent product."""
    wx, wh = np.split(w["weight"][d], 3), np.split(w["recurrence"][d], 3)
    biases = np.split(w["bias"][d].reshape(2, -1), 3, axis=1)
    states = []
    for t in range(x.shape[1]):
        ax = [x[:, t] @ m.T.astype(np.float64) + b[0] for m, b in zip(wx, biases, strict=True)]
        ah = [h @ m.T.astype(np.float64) + b[1] for m, b in zip(wh, biases, strict=True)]
        z, r = sigmoid(ax[0] + ah[0]), sigmoid(ax[1] + ah[1])
        h = (1 - z) * np.tanh(ax[2] + r * ah[2]) + z * h
        states.append(h)
    return states


def lstm_steps(x: np.ndarray, h: np.ndarray, c: np.ndarray, w: Weights, d: int = 0) -> list[np.ndarray]:
    states = []
    for t in range(x.shape[1]):
        gates = x[:, t] @ w["weight"][d].T.astype(np.float64) + h @ w["recurrence"][d].T
        i, o, f, n = np.split(gates + w["bias"][d].reshape(2, -1).sum(axis=0), 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(n)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return states


def both_ways(steps: Callable[[np.ndarray, int], list[np.ndarray]], x: np.ndarray) -> dict[str, np.ndarray]:
    ahead, back = steps(x, 0), steps(x[:, ::-1], 1)
    sequence = np.concatenate([np.stack(ahead, 1), np.stack(back[::-1], 1)], axis=2)
    return {"sequence": sequence, "last": np.concatenate([ahead[-1], back[-1]], axis=1)}


def gram(x: np.ndarray) -> np.ndarray:
    flat = x.reshape(*x.shape[:2], -1).astype(np.float64)
    return np.stack([f @ f.T / f.size for f in flat])


def total_variation(x: np.ndarray, power: int, reduce: Callable[[np.ndarray], float]) -> float:
    return sum(reduce(np.abs(np.diff(x.astype(np.float64), axis=axis)) ** power) for axis in range(2, x.ndim))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    found = np.log(softmax(logits, 1))
    return float(np.mean([-found[(n, labels[(n, *at)], *at)] for n, *at in np.ndindex(*labels.shape)]))


def unary(name: str, expected: Callable[[np.ndarray], np.ndarray], *, exact: bool = False, **arguments: Any) -> Sample:
    return Sample({name: arguments}, (X,), lambda x, w=None: expected(x.astype(np.float64)), exact)


ONES = {"stride": (1, 1), "dilation": (1, 1)}
H0, C0 = sample(2, 5, seed=1), sample(2, 5, seed=2)
LABELS = np.random.default_rng(0).integers(0, 4, (2, 5, 6))
TARGET = sample(2, 4, 5, 6, seed=3, low=0.0, high=1.0)
OTHER = sample(2, 4, 5, 6, seed=4)

SAMPLES = [
    # convolution
    Sample(
        {"conv": {"out": 3, "k": [3, 1], "g": 1}},
        (X,),
        lambda x, w: convolve(x, w["weight"], w["bias"], **ONES, begin=(1, 0), end=(1, 0)),
    ),
    Sample(
        {"dw": {}},
        (X,),
        lambda x, w: convolve(x, w["weight"], w["bias"], **ONES, begin=(1, 1), end=(1, 1), groups=4),
    ),
    Sample(
        {"pw": {"out": 6, "g": 2, "bias": False}},
        (X,),
        lambda x, w: convolve(x, w["weight"], **ONES, begin=(0, 0), end=(0, 0), groups=2),
    ),
    Sample(
        {"conv_transpose": {"out": 3, "k": 2, "s": 2}},
        (X,),
        lambda x, w: np.einsum("ncij,cokl->noikjl", x, w["weight"]).reshape(2, 3, 10, 12) + w["bias"][:, None, None],
    ),
    # normalisation
    Sample("batch_norm", (X,), batch_norm),
    Sample("batch_norm", (X[..., 0, 0],), batch_norm),
    Sample("adaptive_norm", (X,), lambda x, w: w["lambda"] * x + w["mu"] * batch_norm(x, w)),
    Sample("instance_norm", (X,), lambda x, w: affine(normal(x, (2, 3)), w)),
    Sample({"instance_norm": {"affine": False}}, (SEQUENCE,), lambda x: normal(x, (2,))),
    Sample({"group_norm": 2}, (X,), lambda x, w: affine(group_norm(x, 2), w)),
    Sample({"group_norm": {"groups": 4, "affine": False}}, (X,), lambda x: group_norm(x, 4)),
    Sample("layer_norm", (X,), lambda x, w: normal(x, (3,)) * w["scale"] + w["bias"]),
    Sample({"layer_norm": {"axis": 1, "affine": False}}, (X,), lambda x: normal(x, (1, 2, 3))),
    Sample("lrn", (X,), lambda x: lrn(x, 5, 5e-4, 0.75, 2.0)),
    Sample({"lrn": {"size": 3, "alpha": 0.5, "bias": 1.0}}, (X,), lambda x: lrn(x, 3, 0.5, 0.75, 1.0)),
    # activations
    unary("identity", lambda x: x, exact=True),
    unary("relu", lambda x: np.maximum(x, 0), exact=True),
    Sample("relu6", (4 * X,), lambda x: np.clip(x, 0, 6), exact=True),
    unary("clip", lambda x: np.clip(x, -0.5, 1.5), min=-0.5, max=1.5, exact=True),
    unary("clip", lambda x: np.maximum(x, -0.5), min=-0.5, exact=True),
    unary("leaky_relu", lambda x: np.where(x >= 0, x, 0.2 * x), alpha=0.2),
    Sample("prelu", (X,), lambda x, w: np.where(x >= 0, x, w["slope"] * x)),
    Sample({"prelu": {"shared": True}}, (X[0, 0, 0],), lambda x, w: np.where(x >= 0, x, w["slope"] * x)),
    unary("elu", lambda x: np.where(x >= 0, x, 0.7 * np.expm1(x)), alpha=0.7),
    unary(
        "selu",
        lambda x: 1.0507009873554805 * np.where(x >= 0, x, 1.6732632423543772 * np.expm1(x)),
    ),
    unary("celu", lambda x: np.maximum(0, x) + np.minimum(0, 2 * np.expm1(x / 2)), alpha=2.0),
    unary("gelu", lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2)))),
    unary(
        "gelu",
        lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        approximate="tanh",
    ),
    unary("silu", lambda x: x * sigmoid(x)),
    unary("swish", lambda x: x * sigmoid(x)),
    unary("swish", lambda x: x * sigmoid(1.7 * x), beta=1.7),
    unary("mish", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    Sample("hard_swish", (3 * X,), lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    unary("hard_sigmoid", lambda x: np.clip(0.3 * x + 0.4, 0, 1), alpha=0.3, beta=0.4),
    unary("sigmoid", sigmoid),
    unary("tanh", np.tanh),
    unary("softplus", lambda x: np.log1p(np.exp(x))),
    unary("softsign", lambda x: x / (1 + abs(x))),
    unary("softmax", softmax),
    unary("softmax", lambda x: softmax(x, 1), axis=1),
    unary("log_softmax", lambda x: np.log(softmax(x, 1)), axis=-3),
    # pooling
    Sample({"max_pool": 2}, (X,), lambda x: x[:, :, :4].reshape(2, 4, 2, 2, 3, 2).max(axis=(3, 5)), exact=True),
    Sample(
        {"avg_pool": {"k": 3, "s": 2, "pad": "same"}},
        (X,),
        lambda x: pooled(x, "avg", kernel=(3, 3), stride=(2, 2), dilation=(1, 1), begin=(1, 1), end=(1, 1)),
    ),
    Sample(
        {"avg_pool": {"k": 2, "s": 1, "d": 2}},
        (X,),
        lambda x: (x[:, :, :-2, :-2] + x[:, :, 2:, :-2] + x[:, :, :-2, 2:] + x[:, :, 2:, 2:]) / 4,
        since=19,
    ),
    Sample("global_avg_pool", (X,), lambda x: x.mean(axis=(2, 3), keepdims=True)),
    Sample("global_max_pool", (X,), lambda x: x.max(axis=(2, 3), keepdims=True), exact=True),
    Sample({"adaptive_avg_pool": 1}, (X,), lambda x: adaptive(x, (1, 1))),
    Sample({"adaptive_avg_pool": [5, 6]}, (X,), lambda x: x, exact=True),
    Sample({"adaptive_avg_pool": [1, 3]}, (X,), lambda x: adaptive(x, (1, 3))),
    Sample({"adaptive_avg_pool": [3, 4]}, (X,), lambda x: adaptive(x, (3, 4))),
    Sample({"adaptive_avg_pool": [7, 4]}, (X,), lambda x: adaptive(x, (7, 4))),
    Sample({"adaptive_avg_pool": [2, 3, 4]}, (sample(1, 2, 5, 4, 7),), lambda x: adaptive(x, (2, 3, 4))),
    # resampling
    Sample({"upsample": 2}, (X,), lambda x: x.repeat(2, axis=2).repeat(2, axis=3), exact=True),
    Sample({"upsample": {"mode": "linear"}}, (X,), linear_2x),
    Sample({"resize": [3, 1]}, (X,), lambda x: x.repeat(3, axis=2), exact=True),
    Sample({"resize": 0.5}, (X[..., :4, :],), lambda x: x[..., ::2, ::2], exact=True),
    Sample({"resize": {"size": [10, 12], "mode": "linear"}}, (X,), linear_2x),
    Sample({"resize": {"scale": 2, "mode": "cubic"}}, (X,), lambda x: cubic_2x(x, -0.75)),
    Sample(
        {"resize": {"size": [10, 12], "mode": "cubic", "cubic_coeff_a": -0.5}},
        (X,),
        lambda x: cubic_2x(x, -0.5),
    ),
    Sample(
        {"resize": {"scale": 0.5, "mode": "linear", "antialias": True}},
        (np.ones((1, 2, 8, 8), np.float32),),
        lambda x: np.ones((1, 2, 4, 4)),
        since=18,
    ),
    Sample({"pixel_shuffle": 2}, (X,), lambda x: pixel_shuffle(x, 2), exact=True),
    Sample({"pixel_unshuffle": 3}, (sample(2, 2, 6, 9),), lambda x: pixel_unshuffle(x, 3), exact=True),
    Sample({"channel_shuffle": 2}, (sample(2, 6, 3, 2),), lambda x: shuffle(x, 2), exact=True),
    Sample({"channel_shuffle": 3}, (sample(2, 6),), lambda x: shuffle(x, 3), exact=True),
    # dense
    Sample({"dense": 3}, (X[0, 0],), project),
    Sample({"dense": {"out": 3, "act": "relu"}}, (X,), lambda x, w: np.maximum(project(x, w), 0)),
    Sample({"dense": {"out": 3, "bias": False}}, (SEQUENCE,), project),
    Sample("flatten", (X,), lambda x: x.reshape(2, -1), exact=True),
    Sample({"flatten": 2}, (X,), lambda x: x.reshape(8, -1), exact=True),
    Sample(
        {"embedding": {"vocab": 9, "dim": 5}},
        (np.array([[0, 8, 3], [2, 2, 1]]),),
        lambda x, w: w["weight"][x],
        exact=True,
    ),
    # attention
    Sample({"attention": 2}, (SEQUENCE,), lambda x, w: attention(2, w, x, x, x)),
    Sample(
        {"attention": {"heads": 2, "causal": True}},
        (SEQUENCE,),
        lambda x, w: attention(2, w, x, x, x, np.triu(np.full((3, 3), -np.inf), 1)),
    ),
    Sample(
        {"attention": {"heads": 3, "dim": 6, "out": 5, "bias": False}},
        (SEQUENCE, sample(2, 5, 7)),
        lambda x, y, w: attention(3, w, x, y, y),
    ),
    Sample(
        {"attention": 1},
        (SEQUENCE, SEQUENCE, SEQUENCE, np.array([True, False, True])),
        lambda q, k, v, mask, w: attention(1, w, q, k, v, np.where(mask, 0, -np.inf)),
    ),
    Sample(
        {"attention": 2},
        (SEQUENCE, SEQUENCE, SEQUENCE, sample(2, 1, 1, 3)),
        lambda q, k, v, mask, w: attention(2, w, q, k, v, mask[:, 0]),
    ),
    Sample("positional_encoding", (SEQUENCE,), lambda x: x + waves(3, 4)),
    Sample(
        {"positional_encoding": {"kind": "learned", "length": 7}},
        (SEQUENCE,),
        lambda x, w: x + w["weight"][:3],
    ),
    # recurrent
    Sample({"gru": 5}, (SEQUENCE,), lambda x, w: np.stack(gru_steps(x, np.zeros((2, 5)), w), 1)),
    Sample({"gru": {"hidden": 5, "returns": "last"}}, (SEQUENCE, H0), lambda x, h, w: gru_steps(x, h, w)[-1]),
    Sample(
        {"gru": {"hidden": 5, "bidirectional": True, "returns": "both"}},
        (SEQUENCE,),
        lambda x, w: both_ways(lambda y, d: gru_steps(y, np.zeros((2, 5)), w, d), x),
    ),
    Sample("gru_cell", (X[0, :2, 0], H0), lambda x, h, w: gru_steps(x[:, None], h, w)[0]),
    Sample(
        {"lstm": {"hidden": 5, "returns": "last"}},
        (SEQUENCE, H0, C0),
        lambda x, h, c, w: lstm_steps(x, h, c, w)[-1],
    ),
    Sample(
        {"lstm": {"hidden": 5, "bidirectional": True, "returns": "both"}},
        (SEQUENCE,),
        lambda x, w: both_ways(lambda y, d: lstm_steps(y, np.zeros((2, 5)), np.zeros((2, 5)), w, d), x),
    ),
    # arithmetic
    Sample("add", (X, OTHER, X[0, 0]), lambda a, b, c: a + b + c),
    Sample("sub", (X, OTHER), lambda a, b: a - b),
    Sample("mul", (X, OTHER[:, :1], OTHER), lambda a, b, c: a * b * c),
    Sample("div", (X, POSITIVE), lambda a, b: a / b),
    Sample("maximum", (X, OTHER), np.maximum, exact=True),
    Sample("minimum", (X, OTHER), np.minimum, exact=True),
    unary("scale", lambda x: x * 0.1, factor=0.1),
    unary("scale", lambda x: x * np.reshape([1, 2, 3, 4], (4, 1, 1)), factor=[1, 2, 3, 4]),
    unary("shift", lambda x: x + 0.7, amount=0.7),
    unary("shift", lambda x: x + np.arange(6), amount=[0, 1, 2, 3, 4, 5], axis=-1),
    Sample("affine", (X,), lambda x, w: x * w["scale"] + w["bias"]),
    Sample({"affine": {"axis": -1, "bias": False}}, (X,), lambda x, w: x * w["scale"]),
    unary("neg", lambda x: -x, exact=True),
    unary("abs", abs, exact=True),
    unary("exp", np.exp),
    Sample("log", (POSITIVE,), np.log),
    Sample("sqrt", (POSITIVE,), np.sqrt),
    unary("square", lambda x: x * x),
    Sample({"pow": 3}, (X,), lambda x: x**3),
    Sample("matmul", (X, OTHER.transpose(0, 1, 3, 2).copy()), lambda a, b: a.astype(float) @ b),
    Sample(
        {"matmul": {"transpose_a": True}},
        (SEQUENCE, SEQUENCE),
        lambda a, b: np.einsum("nki,nkj->nij", a, b),
    ),
    Sample(
        {"matmul": {"transpose_b": True}},
        (SEQUENCE, SEQUENCE),
        lambda a, b: np.einsum("nik,njk->nij", a, b),
    ),
    Sample({"reduce_mean": [2, 3]}, (X,), lambda x: x.mean(axis=(2, 3), keepdims=True)),
    Sample("reduce_mean", (X,), lambda x: x.astype(float).mean(keepdims=True)),
    Sample({"reduce_sum": {"axes": 1, "keepdims": False}}, (X,), lambda x: x.sum(axis=1)),
    Sample({"reduce_max": -1}, (X,), lambda x: x.max(axis=-1, keepdims=True), exact=True),
    Sample({"reduce_min": {"keepdims": False}}, (X,), np.min, exact=True),
    # shape
    Sample({"reshape": [0, 2, -1]}, (X,), lambda x: x.reshape(2, 2, 60), exact=True),
    Sample("transpose", (X,), np.transpose, exact=True),
    Sample({"transpose": [0, 2, 3, 1]}, (X,), lambda x: x.transpose(0, 2, 3, 1), exact=True),
    Sample("concat", (X, OTHER, X), lambda *parts: np.concatenate(parts, axis=1), exact=True),
    Sample({"concat": -1}, (X, X[..., :2]), lambda *parts: np.concatenate(parts, axis=3), exact=True),
    Sample({"split": 2}, (X,), lambda x: {"0": x[:, :2], "1": x[:, 2:]}, exact=True),
    Sample({"split": {"sizes": [1, 5], "axis": -1}}, (X,), lambda x: {"0": x[..., :1], "1": x[..., 1:]}, exact=True),
    Sample({"split": 1}, (X,), lambda x: {"0": x}, exact=True),
    Sample({"slice": {"axis": 2, "start": 1, "end": -1}}, (X,), lambda x: x[:, :, 1:-1], exact=True),
    Sample({"slice": {"axis": -1, "step": -2}}, (X,), lambda x: x[..., ::-2], exact=True),
    Sample(
        {"pad": {"amount": 2, "mode": "reflect"}},
        (X,),
        lambda x: np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="reflect"),
        exact=True,
    ),
    Sample(
        {"pad": {"amount": [0, 1, 2, 3], "value": 0.5}},
        (X,),
        lambda x: np.pad(x, ((0, 0), (0, 0), (0, 2), (1, 3)), constant_values=0.5),
        exact=True,
    ),
    Sample({"squeeze": [1, -1]}, (X[:, :1, :, :1],), lambda x: x[:, 0, :, 0], exact=True),
    Sample({"unsqueeze": [0, -1]}, (X,), lambda x: x[None, ..., None], exact=True),
    Sample({"expand": [2, 1, 5, 6]}, (X[:, :, :1],), lambda x: x.repeat(5, axis=2), exact=True),
    Sample({"gather": [3, 0, -2]}, (X,), lambda x: x[:, [3, 0, -2]], exact=True),
    Sample({"gather": {"indices": 1, "axis": 2}}, (X,), lambda x: x[:, :, 1], exact=True),
    Sample("crop", (X, X[:, :1, :2, :3]), lambda x, like: x[:, :, 1:3, 1:4], exact=True),
    Sample("crop", (X, OTHER), lambda x, like: x, exact=True),
    # regularisation
    Sample({"dropout": 0.3}, (X,), lambda x: x, exact=True),
    # losses
    Sample("mse", (X, OTHER), lambda a, b: np.mean((a.astype(float) - b) ** 2)),
    Sample({"mse": "sum"}, (X, OTHER[:1]), lambda a, b: np.sum((a.astype(float) - b) ** 2)),
    Sample("l1", (X, OTHER), lambda a, b: np.mean(abs(a.astype(float) - b))),
    Sample("cross_entropy", (X, LABELS), cross_entropy),
    Sample("cross_entropy", (X[..., 0, 0], LABELS[:, 0, 0]), cross_entropy),
    Sample(
        "bce",
        (40 * X, TARGET),
        lambda x, t: np.mean(np.logaddexp(0, x.astype(float)) - x * t.astype(float)),
    ),
    Sample(
        {"bce": {"logits": False}},
        (POSITIVE / 2.1, TARGET),
        lambda p, t: -np.mean(t * np.log(p.astype(float)) + (1 - t) * np.log(1 - p.astype(float))),
    ),
    Sample("gram", (X,), gram),
    Sample("style", (X, sample(1, 4, 3, 3)), lambda a, b: np.mean((gram(a) - gram(b)) ** 2)),
    Sample("tv", (X,), lambda x: total_variation(x, 2, np.mean)),
    Sample({"tv": {"power": 1, "reduction": "sum"}}, (X,), lambda x: total_variation(x, 1, np.sum)),
    Sample("tv", (SEQUENCE,), lambda x: total_variation(x, 2, np.mean)),
]


RUNS = [pytest.param(s, opset, id=f"{s.name}-{opset}") for s in SAMPLES for opset in OPSETS if opset >= s.since]


@pytest.mark.parametrize(("given", "opset"), RUNS)
def test_layer_is_its_definition(given: Sample, opset: int) -> None:
    built = build(given.layer, *given.inputs, opset=opset)
    weights = (built.weights,) if built.weights else ()
    expected = given.expected(*given.inputs, *weights)
    wanted = expected if isinstance(expected, dict) else {"": expected}
    actual = built.run(*given.inputs)
    assert actual.keys() == wanted.keys()
    tolerance, condition = EXACT if given.exact else built.tolerance, built.condition(*given.inputs)
    for name, array in actual.items():
        close(array, wanted[name], tolerance, condition[name])
        assert tuple(built.outputs[name].shape or ()) == array.shape


def test_every_layer_has_a_sample() -> None:
    assert {given.name for given in SAMPLES} == set(layers()) - plugins()


def plugins() -> set[str]:
    return {name for name, cls in layers().items() if not cls.__module__.startswith("graphc.")}


@pytest.mark.parametrize("cls", layers().values(), ids=lambda cls: cls.layer_name())
def test_every_layer_and_parameter_is_documented(cls: type[Layer]) -> None:
    assert cls.__doc__
    assert cls.__doc__ != Layer.__doc__
    assert [name for name, field in cls.model_fields.items() if not field.description] == []
    assert cls.primary is None or cls.primary in cls.model_fields
    least, most = cls.arity()
    assert least >= 1
    assert most is None or most >= least


@pytest.mark.parametrize("given", SAMPLES, ids=lambda given: given.name)
def test_one_node_carries_the_path_of_the_layer(given: Sample) -> None:
    built: Built = build(given.layer, *given.inputs, opset=max(21, given.since))
    names = {node.name for node in built.proto.graph.node}
    assert "layer" in names or given.name == "attention"
