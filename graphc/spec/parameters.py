"""Parameters, the trainable or fixed tensors of a network, and their initial values: the schemes of the papers.

Every parameter has a random generator of its own, seeded by the seed and the parameter's path, so its values
do not change when unrelated parts of a network come, go or move.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeAlias

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from graphc.errors import GraphcError, suggest

Array: TypeAlias = NDArray[np.float32]
Role: TypeAlias = Literal["weight", "bias", "scale", "shift", "mean", "variance", "recurrent", "embedding", "scalar"]
Init: TypeAlias = str | dict[str, float]  # "he_normal", "zeros", {"constant": 0.5}, {"normal": 0.02}
Precision: TypeAlias = Literal["fp32", "fp16", "bf16"]
PRECISIONS: dict[Precision, ir.DataType] = {
    "fp32": ir.DataType.FLOAT,
    "fp16": ir.DataType.FLOAT16,
    "bf16": ir.DataType.BFLOAT16,
}
PER_LAYER = "per-layer"

BY_ROLE: dict[Role, Init] = {
    "weight": "he_normal",
    "recurrent": "orthogonal",
    "embedding": {"normal": 0.02},  # Radford et al. 2018
    "bias": "zeros",
    "shift": "zeros",
    "mean": "zeros",
    "scale": "ones",
    "variance": "ones",
    "scalar": "ones",
}


@dataclass(frozen=True)
class Parameter:
    """One initializer that a layer asked for.

    `path` is its name in the model (`body.3/residual/conv/weight`), which weight files are matched against.
    `init` names an initialisation ("he_normal", "zeros", {"constant": 0.5}, ...); None lets the spec's `weights:`
    choose. Fans are elements per output and per input unit: Cin/groups x taps and Cout/groups x taps for a
    convolution. `trainable` is False for running statistics and for everything under `frozen`.
    """

    path: str
    value: ir.Value
    shape: tuple[int, ...]
    role: Role
    init: Init | None
    fan_in: int
    fan_out: int
    trainable: bool


def initialise(parameter: Parameter, init: Init = PER_LAYER, seed: int = 0) -> Array:
    """float32 values of the parameter's shape.

    The layer's own choice, `parameter.init`, comes first. Then `init`, the network's choice, holds for the
    role "weight" alone: a scheme for filters makes no sense for biases, scales or statistics. With
    "per-layer", and for every other role, it is `BY_ROLE`. Raises GraphcError (spec/bad-value) for an unknown
    scheme, a number that is missing, and a shape that the scheme is not made for.
    """
    chosen = parameter.init
    if chosen is None and parameter.role == "weight" and init != PER_LAYER:
        chosen = init
    name, number = _named(BY_ROLE[parameter.role] if chosen is None else chosen, parameter.path)
    digest = hashlib.sha256(f"{seed}:{parameter.path}".encode()).digest()
    rng = np.random.Generator(np.random.PCG64(int.from_bytes(digest)))
    return SCHEMES[name].draw(parameter, number, rng)


def _named(init: Init, path: str) -> tuple[str, float]:
    """The scheme's name and its number, which is its default when none is given."""
    if isinstance(init, dict) and len(init) != 1:
        _refuse(path, "an initialisation is one name with its number", "for example {normal: 0.02}")
    name, number = (init, None) if isinstance(init, str) else next(iter(init.items()))
    if name not in SCHEMES:
        _refuse(path, f"unknown initialisation '{name}'", suggest(name, SCHEMES))
    number = SCHEMES[name].default if number is None else number
    if number is None:
        _refuse(path, f"'{name}' needs a number", f"for example {{{name}: 0.02}}")
    return name, number


def _refuse(path: str, message: str, hint: str) -> NoReturn:
    raise GraphcError(f"{path}: {message}", code="spec/bad-value", hint=hint)


# ---------------------------------------------------------------- distributions


def _constant(parameter: Parameter, value: float, rng: np.random.Generator) -> Array:
    return np.full(parameter.shape, value, np.float32)


def _normal(parameter: Parameter, deviation: float, rng: np.random.Generator) -> Array:
    """Mean 0 and the given standard deviation."""
    array = np.asarray(rng.standard_normal(parameter.shape, np.float32))
    array *= np.float32(deviation)
    return array


def _uniform(parameter: Parameter, bound: float, rng: np.random.Generator) -> Array:
    """From -bound to bound."""
    array = np.asarray(rng.random(parameter.shape, np.float32))
    array *= np.float32(2 * bound)
    array -= np.float32(bound)
    return array


def _orthogonal(parameter: Parameter, gain: float, rng: np.random.Generator) -> Array:
    """Orthonormal rows or columns, whichever are fewer, times the gain (Saxe, McClelland and Ganguli 2014).

    A filter is a matrix of one row per output. A recurrent weight is one square matrix per gate and direction.
    """
    shape = parameter.shape
    if len(shape) < 2:
        _refuse(parameter.path, f"'orthogonal' needs a matrix, not shape {shape}", "use normal or zeros")
    square = parameter.role == "recurrent" and shape[-2] % shape[-1] == 0
    stack = (-1, shape[-1], shape[-1]) if square else (1, shape[0], -1)
    matrices = rng.standard_normal(math.prod(shape)).reshape(stack)
    wide = matrices.shape[1] < matrices.shape[2]
    q, r = np.linalg.qr(matrices.swapaxes(1, 2) if wide else matrices)
    signs = np.sign(np.einsum("nii->ni", r))  # makes the factors unique, so q is uniform (Mezzadri 2007)
    q *= signs[:, None, :]
    return np.float32(gain) * (q.swapaxes(1, 2) if wide else q).reshape(shape).astype(np.float32)


def _identity(parameter: Parameter, gain: float, rng: np.random.Generator) -> Array:
    """Channel i passes as channel i: 1 at the centre tap, 0 elsewhere (Chen, Xu and Koltun 2017).

    With more outputs than inputs the further outputs start at zero; with fewer, the further inputs are not
    read. In a grouped convolution this holds within each group.
    """
    outputs, inputs, *taps = parameter.shape if len(parameter.shape) > 1 else (0, 0, 0)
    if not all(count % 2 for count in taps):
        _refuse(parameter.path, f"'identity' needs a centre tap, not shape {parameter.shape}", "use an odd kernel")
    array = np.zeros(parameter.shape, np.float32)
    per_group = min(outputs, parameter.fan_out // math.prod(taps)) or outputs
    centre = tuple(count // 2 for count in taps)
    for output in range(outputs):
        channel = output % per_group
        if channel < inputs:
            array[(output, channel, *centre)] = gain
    return array


@dataclass(frozen=True)
class Scheme:
    """How values are drawn from a parameter, a number and a generator; `default` is the number's."""

    draw: Callable[[Parameter, float, np.random.Generator], Array]
    default: float | None = None


# The number is the value, the standard deviation, the bound, or a gain that multiplies the scheme's own
# spread: Glorot and Bengio 2010 (xavier), LeCun et al. 1998 (lecun), He et al. 2015 (he). A uniform
# distribution of bound b has variance b²/3.
SCHEMES = {
    "zeros": Scheme(lambda p, _, rng: _constant(p, 0.0, rng), 0.0),
    "ones": Scheme(lambda p, _, rng: _constant(p, 1.0, rng), 1.0),
    "constant": Scheme(_constant),
    "normal": Scheme(_normal),
    "uniform": Scheme(_uniform),
    "he_normal": Scheme(lambda p, gain, rng: _normal(p, gain * math.sqrt(2 / p.fan_in), rng), 1.0),
    "he_uniform": Scheme(lambda p, gain, rng: _uniform(p, gain * math.sqrt(6 / p.fan_in), rng), 1.0),
    "xavier_normal": Scheme(lambda p, gain, rng: _normal(p, gain * math.sqrt(2 / (p.fan_in + p.fan_out)), rng), 1.0),
    "xavier_uniform": Scheme(lambda p, gain, rng: _uniform(p, gain * math.sqrt(6 / (p.fan_in + p.fan_out)), rng), 1.0),
    "lecun_normal": Scheme(lambda p, gain, rng: _normal(p, gain * math.sqrt(1 / p.fan_in), rng), 1.0),
    "orthogonal": Scheme(_orthogonal, 1.0),
    "identity": Scheme(_identity, 1.0),
}
