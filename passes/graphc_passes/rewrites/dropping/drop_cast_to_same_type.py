"""Drop a Cast, or CastLike, to the type that its data has already.

Law    cast(x, type of x) = x
Why    one read and write of the data less, and nothing between two operators that could fuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, rewrite

TYPES = (ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.INT64, ir.DataType.INT32, ir.DataType.BOOL)


@rewrite("Cast", "CastLike", numerics="exact", improves=("bytes", "nodes"))
def drop_cast_to_same_type(cast: View, op: Tape) -> ir.Value:
    data = cast.required("input")
    wanted = cast.required("target_type").dtype if cast.op_type == "CastLike" else cast.attr("to")
    if data.dtype is None or data.dtype != wanted:
        raise Refusal("it changes the type, or the type is not known")
    return data


@drop_cast_to_same_type.cases
def cases() -> Iterator[Case]:
    yield Case("float", lambda g: g.Relu(g.Cast(g.input("N", 3), to=ir.DataType.FLOAT)))
    yield Case("opset 9, integers", lambda g: g.Cast(_doubled(g), to=ir.DataType.INT64), opset=9)
    yield Case("like another", lambda g: g.Relu(g.CastLike(g.input(2, 3), g.weight(1))))
    yield Case(
        "to integers and back",
        lambda g: g.Cast(g.Cast(g.input(2, 3), to=ir.DataType.INT32), to=ir.DataType.FLOAT),
        refuses="it changes the type, or the type is not known",
    )


def _doubled(g: CaseBuilder) -> ir.Value:
    x = g.input(2, 3, dtype=ir.DataType.INT64)
    return g.Add(x, x)


@drop_cast_to_same_type.samples
def samples(random: Random) -> Case:
    before = random.choice(TYPES)
    after = before if random.random() < 0.5 else random.choice(TYPES)
    shape = [random.choice((1, 2, "N")) for _ in range(random.randint(0, 3))]

    def build(g: CaseBuilder) -> ir.Value:
        x = g.Unsqueeze(g.input(*shape, dtype=before), g.constant([0]))
        made = g.CastLike(x, g.constant(np.zeros(1, after.numpy()))) if g.opset >= 15 else g.Cast(x, to=after)
        return g.Squeeze(made, g.constant([0]))

    return Case(f"{shape} {before.name} to {after.name}", build, opset=random.choice((13, 20)), seed=0)
