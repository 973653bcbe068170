"""Matrix products: convolutions without an axis. Each output element is a sum over the shared dimension K."""

from __future__ import annotations

from graphc.convolution import static_shape
from graphc.costs import ZERO, Cost
from graphc.ops.op import Op, Saved, broadcast_adds, elements, gradient_traffic, keep, op, traffic
from graphc.view import View

LEFT, RIGHT, ADDEND = range(3)


@op("MatMul")
class MatrixProduct(Op):
    """[..., M, K] × [..., K, N] with broadcast batch; a 1-D operand has only K.

    Each gradient is a product of the same size; that of an operand broadcast over the batch is then summed.
    """

    def forward(self, view: View) -> Cost:
        return Cost(mac=_multiply_adds(view)) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        own, other = view.node.inputs[index], view.node.inputs[1 - index]
        batch, own_batch = (_batch(view, each) for each in (None, index))
        sums = Cost(add=(batch // own_batch - 1) * elements(own)) if own_batch else ZERO
        return Cost(mac=_multiply_adds(view)) + sums + gradient_traffic(view, index, other)

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """The other operand of each gradient."""
        left = keep(view.input("B"), "right operand") if LEFT in wanted else ()
        return left + (keep(view.input("A"), "left operand") if RIGHT in wanted else ())
