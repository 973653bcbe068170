"""Matrix products: convolutions without an axis. Each output element is a sum over the shared dimension K."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from graphc.convolution import static_shape
from graphc.costs import ZERO, Cost
from graphc.ops.layout import reshaped
from graphc.ops.op import Op, Saved, buffer, elements, gradient_traffic, keep, op, operand, size_in_bytes, traffic
from graphc.ops.quantisation import REQUANTISED, shifts
from graphc.view import View

LEFT, RIGHT, ADDEND = range(3)


@op("MatMul")
class MatrixProduct(Op):
    """[..., M, K] × [..., K, N] with broadcast batch; a 1-D operand has only K.

    Each gradient is a product of the same size; that of an operand broadcast over the batch is then summed.
    """

    def forward(self, view: View) -> Cost:
        return products(view) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        left, right = (static_shape(operand(view, each))[:-2] for each in (LEFT, RIGHT))
        own = operand(view, index)
        copies = prod(np.broadcast_shapes(left, right)) // max(1, prod((left, right)[index]))
        sums = Cost(add=max(0, copies - 1) * elements(own))
        return products(view) + sums + gradient_traffic(view, index, operand(view, 1 - index))

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """The other operand for each gradient; PyTorch folds the batch, by a copy where strides cannot say it."""
        right = self._folded(view, RIGHT) if LEFT in wanted else ()
        return right + (self._folded(view, LEFT) if RIGHT in wanted else ())

    def _folded(self, view: View, index: int) -> tuple[Saved, ...]:
        """One operand, broadcast to the whole batch if both have one, as PyTorch's product of matrices takes it."""
        value, other = operand(view, index), operand(view, 1 - index)
        (*own, rows, columns), rank = _matrix(value), len(static_shape(other))
        if not own:
            return keep(value, "operand")
        batch = np.broadcast_shapes(tuple(own), static_shape(other)[:-2])
        folded = (prod(batch) * rows, columns) if rank <= 2 else (prod(batch), rows, columns)
        if reshaped(value, folded, broadcast=(*batch, rows, columns)):
            return keep(value, "operand")
        copies = prod(batch) // max(1, prod(own))
        return buffer(size_in_bytes([value]) * copies, "copy of an operand")


def _matrix(value: ir.Value) -> tuple[int, ...]:
    """The shape, of a vector as a matrix of one row."""
    shape = static_shape(value)
    return shape if len(shape) > 1 else (1, *shape)


@op("Gemm")
class GeneralProduct(Op):
    """alpha·A·B + beta·C; factors of 1 cost nothing. The gradient of a C that is broadcast is one add per output."""

    def forward(self, view: View) -> Cost:
        out, addend = elements(view.node.outputs[0]), view.input("C")
        cost = Cost(mac=out * _depth(view), mul=out if view.attr("alpha") != 1 else 0)
        if addend is not None:
            cost += Cost(add=out, mul=elements(addend) if view.attr("beta") != 1 else 0)
        return cost + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        own, out = operand(view, index), view.node.outputs[0]
        if index == ADDEND:
            scale = Cost(mul=elements(own)) if view.attr("beta") != 1 else ZERO
            if static_shape(own) == static_shape(out):
                return scale + gradient_traffic(view, index) if scale.mul else ZERO  # the output's gradient itself
            return Cost(add=elements(out)) + scale + gradient_traffic(view, index)
        scale = Cost(mul=elements(own)) if view.attr("alpha") != 1 else ZERO
        macs = Cost(mac=elements(out) * _depth(view))
        return macs + scale + gradient_traffic(view, index, operand(view, 1 - index))

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """The other operand for each gradient."""
        right = keep(operand(view, RIGHT), "right operand") if LEFT in wanted else ()
        return right + (keep(operand(view, LEFT), "left operand") if RIGHT in wanted else ())


def _depth(view: View) -> int:
    rows, columns = static_shape(operand(view, LEFT))
    return rows if view.attr("transA") else columns


def products(view: View) -> Cost:
    """One multiply-add per output element and step of the dimension that the operands share, A's last."""
    (*_, depth) = static_shape(operand(view, LEFT))
    return Cost(mac=elements(view.node.outputs[0]) * depth)


@op("MatMulInteger")
class IntegerProduct(Op):
    """Zero points are taken off the operands first. Integers have no gradient."""

    gradients = frozenset()

    def forward(self, view: View) -> Cost:
        return products(view) + shifts(view, {2: LEFT, 3: RIGHT}) + traffic(view)


@op("QLinearMatMul")
class QuantisedProduct(Op):
    """As MatMulInteger, each output then brought to its own scale."""

    gradients = frozenset()

    def forward(self, view: View) -> Cost:
        outputs = elements(view.node.outputs[0])
        return products(view) + shifts(view, {2: 0, 5: 3}) + REQUANTISED * outputs + traffic(view)


@op("Det")
class Determinant(Op):
    """By elimination with pivots: n(n−1)(2n−1)/6 steps, n(n−1)/2 quotients and as many comparisons, n−1 products.

    Back, g·det·X⁻ᵀ: the inverse from the factors is n² quotients and about n³ steps.
    """

    gradients = frozenset({0})

    def forward(self, view: View) -> Cost:
        *batch, _, n = static_shape(operand(view, 0))
        steps, pairs = n * (n - 1) * (2 * n - 1) // 6, n * (n - 1) // 2
        each = Cost(mul=steps + max(0, n - 1), add=steps, div=pairs, cmp=pairs)
        return each * prod(batch) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        *batch, _, n = static_shape(operand(view, 0))
        each = Cost(mul=n**3 + n**2 + 1, add=n**3, div=n**2)
        return each * prod(batch) + gradient_traffic(view, index, operand(view, 0))

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """The data, the determinant and the factors with their pivots."""
        data, out = operand(view, 0), view.node.outputs[0]
        *batch, _, n = static_shape(data)
        factors = buffer(size_in_bytes([data]) + 4 * n * prod(batch), "factors")
        return keep(data, "data") + keep(out, "output") + factors
