"""Losses: −Σ w·log p of the right class, summed or averaged. The targets are integers and have no gradient."""

from __future__ import annotations

import onnx_ir as ir

from graphc.costs import ZERO, Cost
from graphc.ops.op import (
    Op,
    Saved,
    buffer,
    elements,
    gradient_traffic,
    keep,
    op,
    operand,
    optional,
    size_in_bytes,
    traffic,
)
from graphc.ops.reduction import softmax
from graphc.view import View

SCORES, TARGETS, WEIGHTS = range(3)
LOG_PROBABILITIES = 1  # the output
TOTAL_WEIGHT_BYTES = 4


@op("NegativeLogLikelihoodLoss")
class NegativeLogLikelihood(Op):
    """Picks, weighs and adds up one number per target; back, as many numbers are put in their places."""

    gradients = frozenset({SCORES})

    def forward(self, view: View) -> Cost:
        return picked(view) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        targets = operand(view, TARGETS)
        work = Cost(mul=elements(targets) if optional(view, WEIGHTS) else 0, div=_mean(view))
        return work + gradient_traffic(view, index, targets, optional(view, WEIGHTS))

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        scores = keep(operand(view, SCORES), "scores")
        return scores + targets_kept(view) if wanted else ()


@op("SoftmaxCrossEntropyLoss")
class SoftmaxCrossEntropy(Op):
    """LogSoftmax over the classes, then as above; back (exp(log p) − [the right class])·g."""

    gradients = frozenset({SCORES})

    def forward(self, view: View) -> Cost:
        scores, targets = (elements(operand(view, index)) for index in (SCORES, TARGETS))
        return softmax(scores, targets, logarithm=True) + picked(view) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        scores, targets = elements(operand(view, SCORES)), operand(view, TARGETS)
        weighed = Cost(mul=elements(targets)) if optional(view, WEIGHTS) else ZERO
        work = Cost(transcendental=scores, mul=scores, add=elements(targets), div=_mean(view))
        probabilities = Cost(bytes_read=size_in_bytes([operand(view, SCORES)]))
        return work + weighed + probabilities + gradient_traffic(view, index, targets, optional(view, WEIGHTS))

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """The logarithms of the probabilities, whether or not the node gives them."""
        if not wanted:
            return ()
        given = self._given(view)
        size = size_in_bytes([operand(view, SCORES)])
        kept = keep(given, "log probabilities") if given else buffer(size, "log probabilities")
        return kept + targets_kept(view)

    def _given(self, view: View) -> ir.Value | None:
        outputs = view.node.outputs
        present = len(outputs) > LOG_PROBABILITIES and outputs[LOG_PROBABILITIES].name
        return outputs[LOG_PROBABILITIES] if present else None


def picked(view: View) -> Cost:
    """One number per target, times its weight; then a sum, divided by the number of targets or the sum of weights."""
    targets = elements(operand(view, TARGETS))
    weighed = optional(view, WEIGHTS) is not None
    cost = Cost(mul=targets if weighed else 0)
    if view.attr("reduction") == "none":
        return cost
    weights = Cost(add=max(0, targets - 1)) if weighed and _mean(view) else ZERO
    return cost + weights + Cost(add=max(0, targets - 1), div=_mean(view))


def targets_kept(view: View) -> tuple[Saved, ...]:
    """The targets and the sum of their weights."""
    return keep(operand(view, TARGETS), "targets") + buffer(TOTAL_WEIGHT_BYTES, "total weight")


def _mean(view: View) -> int:
    """Divisions: one for a mean."""
    return int(view.attr("reduction") == "mean")
