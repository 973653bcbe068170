"""Drop a Dropout that runs in inference mode.

Law    dropout(x) = x   when it is not training
Why    one node less, and nothing between two operators that could fuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Tape, View, constant, require, rewrite


@rewrite("Dropout", numerics="exact", improves=("nodes",))
def drop_dropout(dropout: View, op: Tape) -> ir.Value:
    if dropout.opset >= 12:
        dropout.input("ratio")  # without effect when not training
        training = dropout.input("training_mode")
        require(training is None or constant(training) is not None, "training_mode is not a constant")
        require(
            training is None or not np.any(constant(training)),
            "training mode: elements are dropped at random",
        )
    else:
        dropout.attr("ratio")
        require(dropout.opset >= 7 or dropout.attr("is_test"), "is_test=0: elements are dropped at random")
    return dropout.required("data")


@drop_dropout.cases
def cases() -> Iterator[Case]:
    yield Case("with a ratio", lambda g: g.Relu(g.Dropout(g.input(2, 3), g.constant(np.float32(0.3)))))
    yield Case(
        "training_mode is false",
        lambda g: g.Relu(g.Dropout(g.input(2, 3), g.constant(np.float32(0.3)), g.constant(np.bool_(False)))),
    )
    yield Case("opset 9, ratio as an attribute", lambda g: g.Relu(g.Dropout(g.input(2, 3), ratio=0.3)), opset=9)
    yield Case(
        "training",
        lambda g: g.Relu(g.Dropout(g.input(9, 9), g.constant(np.float32(0.5)), g.constant(np.bool_(True)))),
        refuses="training mode: elements are dropped at random",
    )
    yield Case(
        "the caller says whether it is training",
        lambda g: g.Relu(g.Dropout(g.input(2, 3), g.constant(np.float32(0.5)), g.input(dtype=ir.DataType.BOOL))),
        refuses="training_mode is not a constant",
    )
    yield Case(
        "opset 6 trains by default",
        lambda g: g.Relu(g.Dropout(g.input(9, 9))),
        refuses="is_test=0: elements are dropped at random",
        opset=6,
    )
    yield Case(
        "the mask is used",
        lambda g: g.Dropout(g.input(2, 3), outputs=2),
        refuses="output 1 of Dropout is in use and not accounted for",
    )


@drop_dropout.samples
def samples(random: Random) -> Case:
    opset, ratio = random.choice((7, 10, 12, 13, 20)), random.choice((None, 0.0, 0.3, 1.0))
    training, shape = random.choice((None, False)), [random.choice((1, 2, "N")) for _ in range(random.randint(0, 3))]

    def build(g: CaseBuilder) -> ir.Value:
        x = g.input(*shape)
        if g.opset < 12:
            return g.Neg(g.Dropout(x, ratio=ratio))
        given = None if ratio is None else g.constant(np.float32(ratio))
        mode = [] if training is None else [g.constant(np.bool_(training))]
        return g.Neg(g.Dropout(x, given, *mode))

    return Case(f"{shape} ratio {ratio}, training {training}", build, opset=opset, seed=random.getrandbits(32))
