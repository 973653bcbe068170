"""Matrix products: convolutions without an axis. Each output element is a sum over the shared dimension K."""

from __future__ import annotations

from graphc.convolution import static_shape
from graphc.costs import Cost
from graphc.ops.op import elements, op, traffic
from graphc.view import Refusal, View


@op("MatMul")
def matmul(view: View) -> Cost:
    """[..., M, K] × [..., K, N] with broadcast batch; a 1-D operand has only K."""
    (*_, shared) = static_shape(view.required("A"))
    return Cost(mac=_output(view) * shared) + traffic(view)


@op("Gemm")
def gemm(view: View) -> Cost:
    """alpha·A·B + beta·C; factors of 1 cost nothing."""
    rows, columns = static_shape(view.required("A"))
    out, addend = _output(view), view.input("C")
    cost = Cost(mac=out * (rows if view.attr("transA") else columns))
    if view.attr("alpha") != 1:
        cost += Cost(mul=out)
    if addend is not None:
        cost += Cost(add=out, mul=elements(addend) if view.attr("beta") != 1 else 0)
    return cost + traffic(view)


def _output(view: View) -> int:
    value = view.output("Y")
    if value is None:
        raise Refusal(f"{view.op_type} has no output")
    return elements(value)
