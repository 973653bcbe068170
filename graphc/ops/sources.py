"""Operators that make numbers out of sizes, counters or chance. None has a gradient.

A number drawn uniformly is free, one drawn from another distribution is a transcendental function.
"""

from __future__ import annotations

from graphc.convolution import static_shape
from graphc.costs import ZERO, Cost
from graphc.ops.op import Op, elements, op, operand, traffic, written
from graphc.view import View

_AFFINE, _FUNCTION = Cost(mul=1, add=1), Cost(transcendental=1)
_COSINE = Cost(mul=2, add=1, transcendental=1)  # a + b·cos(c·i)

PER_ELEMENT = {
    "Range": _AFFINE,
    "RandomUniform": _AFFINE,
    "RandomUniformLike": _AFFINE,
    "RandomNormal": _AFFINE + _FUNCTION,
    "RandomNormalLike": _AFFINE + _FUNCTION,
    "HannWindow": _COSINE,
    "HammingWindow": _COSINE,
    "BlackmanWindow": 2 * _COSINE,
    "MelWeightMatrix": Cost(add=2, div=2, cmp=2),  # the two slopes of a triangle, of which the lower one, or 0
    "ConstantOfShape": ZERO,
    "EyeLike": ZERO,
    "Shape": ZERO,
    "Size": ZERO,
}


@op(*PER_ELEMENT)
class Source(Op):
    """The table's cost for each output element; the operands say how many, and are not read as data."""

    gradients = frozenset()

    def forward(self, view: View) -> Cost:
        return PER_ELEMENT[view.op_type] * elements(view.node.outputs[0]) + written(view)


@op("Constant")
class Stored(Op):
    """Part of the model."""

    gradients = frozenset()

    def forward(self, view: View) -> Cost:
        return ZERO


@op("Bernoulli")
class Bernoulli(Op):
    """A comparison of each probability with a number drawn."""

    gradients = frozenset()

    def forward(self, view: View) -> Cost:
        return Cost(cmp=elements(operand(view, 0))) + traffic(view)


@op("Multinomial")
class Multinomial(Op):
    """Each row of logarithms becomes cumulative probabilities, along which each sample is sought."""

    gradients = frozenset()

    def forward(self, view: View) -> Cost:
        rows, classes = static_shape(operand(view, 0))
        table = Cost(transcendental=1, add=1) * (rows * classes)
        return table + Cost(cmp=elements(view.node.outputs[0]) * classes) + traffic(view)


@op("NonZero")
class NonZero(Op):
    """A comparison per element; how many are found is data."""

    gradients = frozenset()

    def forward(self, view: View) -> Cost:
        return Cost(cmp=elements(operand(view, 0))) + traffic(view)
