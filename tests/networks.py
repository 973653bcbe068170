"""The shipped networks, and weights under which a wrong rewrite shows.

Freshly initialised batch norms have mean 0 and variance 1 and adaptive norms weigh them by 0: a fold that forgot
them would pass. Here every such parameter is random, and activations keep their size.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir

from graphc.spec.document import read
from graphc.spec.doors import expand
from graphc.spec.network import Network
from graphc.spec.tree import MappingNode

SPECS = Path(__file__).parents[1] / "specs"
RANGES = {"scale": (0.5, 1.5), "variance": (0.5, 1.5), "scalar": (0.3, 0.9)}
SPREAD = {"shift": 0.2, "bias": 0.2, "mean": 0.2}


def variants() -> list[str]:
    """Every shipped network as `name` and `name@variant`."""
    found = []
    for file in sorted(SPECS.glob("*.yaml")):
        declared = read(file).get("variants")
        found.append(file.stem)
        found += [f"{file.stem}@{name}" for name in declared] if isinstance(declared, MappingNode) else []
    return found


def path_of(name: str) -> str:
    """The spec of `name` or `name@variant`, as `graphc build` takes it."""
    stem, at, variant = name.partition("@")
    return f"{SPECS / stem}.yaml{at}{variant}"


def telling_model(network: Network, seed: int = 0) -> ir.Model:
    """The network's model, filled, with its norms' parameters and biases made random."""
    network.fill(seed=seed)
    random = np.random.default_rng(seed)
    for parameter in network.parameters.values():
        if parameter.role in RANGES:
            content = random.uniform(*RANGES[parameter.role], parameter.shape)
        elif parameter.role in SPREAD:
            content = random.normal(0, SPREAD[parameter.role], parameter.shape)
        else:
            continue
        dtype = parameter.value.dtype.numpy()
        parameter.value.const_value = ir.tensor(np.asarray(content, dtype), name=parameter.path)
    return network.model()


def expanded(name: str, **params: object) -> Network:
    """The network of `name` or `name@variant`."""
    return expand(path_of(name), params=params)
