"""Initial values of parameters, as arrays: the schemes of the papers, and which role gets which.

Every parameter has a random generator of its own, seeded by the seed and the parameter's path, so its values do
not change when unrelated parts of a network come, go or move.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphc.errors import GraphcError, suggest
from graphc.spec.parameters import Parameter, Role

Array: TypeAlias = NDArray[np.float32]
Init: TypeAlias = str | dict[str, float]
PER_LAYER = "per-layer"

BY_ROLE: dict[Role, Init] = {
    "weight": "he_normal",
    "recurrent": "orthogonal",
    "embedding": {"normal": 0.02},
    "bias": "zeros",
    "shift": "zeros",
    "mean": "zeros",
    "scale": "ones",
    "variance": "ones",
    "scalar": "ones",
}


def initialise(parameter: Parameter, init: Init = PER_LAYER, seed: int = 0) -> Array:
    """float32 values of the parameter's shape.

    The layer's own choice (`parameter.init`) comes first. `init`, the network's choice, is for roles "weight" and
    "recurrent"; "per-layer", and every other role, take the default of the role. Raises GraphcError (spec/bad-value)
    for an unknown initialisation, a missing or needless number, and a shape that the scheme does not have.
    """
    network = init if init != PER_LAYER and parameter.role in ("weight", "recurrent") else BY_ROLE[parameter.role]
    name, number = _named(parameter.init if parameter.init is not None else network, parameter.path)
    digest = hashlib.sha256(f"{seed}:{parameter.path}".encode()).digest()
    rng = np.random.Generator(np.random.PCG64(int.from_bytes(digest)))
    return INITIALISERS[name].make(parameter, number, rng)


def _named(init: Init, path: str) -> tuple[str, float]:
    """The initialiser's name and its number: the one given, or its default."""
    if isinstance(init, dict) and len(init) != 1:
        raise GraphcError(
            f"'{path}': an initialisation is one name with its number",
            code="spec/bad-value",
            hint="for example {normal: 0.02}",
        )
    name, number = (init, None) if isinstance(init, str) else next(iter(init.items()))
    if name not in INITIALISERS:
        raise GraphcError(
            f"'{path}': unknown initialisation '{name}'", code="spec/bad-value", hint=suggest(name, INITIALISERS)
        )
    default = INITIALISERS[name].number
    if number is None and default is None:
        raise GraphcError(
            f"'{path}': '{name}' needs a number", code="spec/bad-value", hint=f"for example {{{name}: 0.02}}"
        )
    value = default if number is None else number
    assert value is not None
    return name, value


# ---------------------------------------------------------------- the schemes


def _constant(parameter: Parameter, value: float, _: np.random.Generator) -> Array:
    return np.full(parameter.shape, value, np.float32)


def _normal(parameter: Parameter, deviation: float, rng: np.random.Generator) -> Array:
    """Normal of mean 0 and the given standard deviation."""
    array = rng.standard_normal(parameter.shape, dtype=np.float32)
    return np.multiply(array, np.float32(deviation), out=np.asarray(array))


def _uniform(parameter: Parameter, bound: float, rng: np.random.Generator) -> Array:
    """Uniform on [-bound, bound)."""
    array = np.asarray(rng.random(parameter.shape, dtype=np.float32))
    array *= np.float32(2 * bound)
    array -= np.float32(bound)
    return array


def _variance(scale: Callable[[Parameter], float], draw: Callable[..., Array], spread: float) -> Callable[..., Array]:
    """A scheme of variance `spread`-free `scale(parameter)`, drawn from a normal or a uniform distribution."""
    return lambda parameter, gain, rng: draw(parameter, gain * math.sqrt(spread * scale(parameter)), rng)
