"""Replace a Gather of rows (an embedding) with the product of one-hot rows and the table.

Law    gather(table, i) = [i = 0, 1, ..., V − 1] · table      for a finite table; an index below 0 counts from the end
Why    a target that cannot read where its data says has MatMul. It costs V times the multiplications of nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, constant, require, rewrite
from graphc_passes.nodes.reshaping import unsqueeze
from graphc_passes.nodes.stated import rank_of


@rewrite("Gather", numerics="reassociates")
def replace_gather_with_one_hot_matmul(gather: View, op: Tape) -> ir.Value:
    table, indices = gather.required("data"), gather.required("indices")
    if rank_of(table) != 2 or gather.attr("axis") not in (0, -2):
        raise Refusal("it does not gather the rows of a table")
    require(constant(indices) is None, "the indices are constant", conservative="then Slices do it")
    require(
        table.dtype in (ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16), "no product of the table's type"
    )
    rows = table.shape[0] if table.shape is not None else None
    if not isinstance(rows, int) or rows < 1:
        raise Refusal("the number of rows is not known")
    counted = op.Where(op.Less(indices, _like(op, 0, indices)), op.Add(indices, _like(op, rows, indices)), indices)
    place = unsqueeze(op, counted, [rank_of(indices)])
    hit = op.Equal(place, _like(op, np.arange(rows), indices))
    return op.MatMul(op.Cast(hit, to=table.dtype), table)


def _like(op: Tape, content: object, indices: ir.Value) -> ir.Value:
    return op.constant(content, like=indices)


def _embed(g: CaseBuilder, *, x: tuple[int | str, ...], rows: int, computed: bool = False) -> ir.Value:
    """Indices from −rows to rows − 1, made of floats so that every value that is fed is one."""
    fraction = g.Sub(g.Sigmoid(g.input(*x)), g.constant(0.5, like=g.weight()))
    indices = g.Cast(g.Floor(g.Mul(fraction, g.constant(np.float32(1.9 * rows)))), to=ir.DataType.INT64)
    table = g.input(rows, 3) if computed else g.weight(rows, 3)
    return g.Gather(table, indices)


@replace_gather_with_one_hot_matmul.cases
def cases() -> Iterator[Case]:
    yield Case("an embedding", partial(_embed, x=("N", 4), rows=5))
    yield Case("one index, a computed table", partial(_embed, x=(), rows=4, computed=True))
    yield Case(
        "constant indices",
        lambda g: g.Gather(g.input(4, 2), g.constant([1, 0])),
        refuses="the indices are constant",
    )
    yield Case(
        "a table of integers",
        lambda g: g.Gather(g.constant([[1, 2], [3, 4]]), g.input(3, dtype=ir.DataType.INT64)),
        refuses="no product of the table's type",
    )


@replace_gather_with_one_hot_matmul.samples
def samples(random: Random) -> Case:
    x = tuple(random.choice((1, 2, 3, "N")) for _ in range(random.randint(0, 3)))
    rows, computed = random.randint(1, 6), random.random() < 0.5
    name = f"{rows} rows at {list(x)}{' computed' if computed else ''}"
    return Case(name, partial(_embed, x=x, rows=rows, computed=computed), seed=random.getrandbits(32))
