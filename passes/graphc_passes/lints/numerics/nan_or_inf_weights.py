"""A weight that is not a number, or infinite.

Why    one is enough: a sum that it enters is not a number, and so is every output that the sum reaches. A training that
       diverged, or a cast to a narrower type, leaves them behind. Masks of attention are infinite on purpose: only what
       a convolution, a product or a normalisation reads is a weight here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from graphc import CaseBuilder, Problem, Subject, lint

READERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "PRelu", "RNN", "GRU", "LSTM"}) | {
    f"{kind}Normalization" for kind in ("Batch", "Instance", "Layer", "Group")
}


@lint(category="numerics", severity="error", help="restore the weights from a checkpoint before the training diverged")
def nan_or_inf_weights(subject: Subject) -> Iterator[Problem]:
    for value, found in subject.weights.items():
        bad = found.nan + (found.infinite if any(node.op_type in READERS for node in value.consumers()) else 0)
        if bad:
            kinds = " and ".join(kind for kind, count in (("nan", found.nan), ("infinite", found.infinite)) if count)
            yield Problem(f"{bad} of its {found.size:,} elements are {kinds}", at=value, measured=bad, limit=0)


def _conv(g: CaseBuilder, bad: float) -> object:
    weights = g.random.standard_normal((4, 3, 3, 3)).astype(np.float32)
    weights[0, 0, 0, 0] = bad
    return g.Conv(g.input(1, 3, 8, 8), g.constant(weights, name="w"))


@nan_or_inf_weights.bad
def not_a_number(g: CaseBuilder) -> object:
    return _conv(g, float("nan"))


@nan_or_inf_weights.bad
def infinite(g: CaseBuilder) -> object:
    return _conv(g, float("inf"))


@nan_or_inf_weights.good
def finite(g: CaseBuilder) -> object:
    return _conv(g, 1e30)


@nan_or_inf_weights.good
def a_mask_of_minus_infinity(g: CaseBuilder) -> object:
    mask = np.triu(np.full((8, 8), -np.inf, np.float32), 1)
    return g.Softmax(g.Add(g.input(1, 8, 8), g.constant(mask, name="mask")))
