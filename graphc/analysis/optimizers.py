"""What one step of an optimizer costs, and the state that it keeps, per element that trains.

    sgd        w ← w − η·g                                                 1 mul, 1 add
    momentum   v ← μ·v + g;  w ← w − η·v                                   2 mul, 2 add
    adam       m ← β₁·m + (1 − β₁)·g;  v ← β₂·v + (1 − β₂)·g²              5 mul, 2 add
               w ← w − η·(m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)          3 mul, 2 add, 1 sqrt, 1 div

The bias corrections are factors that all elements share. Sources: D. P. Kingma and J. Ba, Adam, ICLR 2015, algorithm 1;
momentum as in I. Sutskever et al., ICML 2013, in the form that PyTorch uses.
"""

from __future__ import annotations

from graphc.costs import ZERO, Cost
from graphc.errors import GraphcError, suggest

PER_ELEMENT = {
    "sgd": Cost(mul=1, add=1),
    "momentum": Cost(mul=2, add=2),
    "adam": Cost(mul=8, add=4, transcendental=1, div=1),
}
STATES = {"sgd": 0, "momentum": 1, "adam": 2}  # tensors of the size of what trains


def step_cost(name: str | None, params: int) -> Cost:
    """The work of one step; nothing without an optimizer. Raises GraphcError (run/usage) for another name."""
    return ZERO if name is None else PER_ELEMENT[_checked(name)] * params


def state_bytes(name: str | None, weight_bytes: int) -> int:
    """The bytes of its state, as wide as the weights. Raises GraphcError (run/usage) for another name."""
    return 0 if name is None else STATES[_checked(name)] * weight_bytes


def _checked(name: str) -> str:
    if name not in PER_ELEMENT:
        raise GraphcError(f"unknown optimizer '{name}'", code="run/usage", hint=suggest(name, PER_ELEMENT))
    return name
