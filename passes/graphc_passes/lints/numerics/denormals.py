"""Weights that are subnormal: not 0, and below the least number of full precision.

Why    a product with one takes a CPU up to a hundred times as long as any other, unless the program sets
       flush-to-zero; decayed and pruned weights end there, and contribute nothing. One in a thousand is told.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from graphc import CaseBuilder, Problem, Subject, lint

SHARE = 1e-3  # of the elements: at a hundred times the time of others, they are a tenth of all of it
NARROW = (ir.DataType.FLOAT16,)  # there they are numbers like any other: numerics/fp16-underflow


@lint(category="numerics", severity="warning", help="set them to 0, or set_denormal_as_zero in the session")
def denormals(subject: Subject) -> Iterator[Problem]:
    for value, found in subject.weights.items():
        if value.dtype not in NARROW and found.subnormal > SHARE * found.size:
            message = f"{found.subnormal:,} of its {found.size:,} elements are subnormal"
            yield Problem(message, at=value, measured=found.subnormal)


def _conv(g: CaseBuilder, small: float) -> object:
    weights = g.random.standard_normal((4, 3, 3, 3)).astype(np.float32)
    weights[1] *= np.float32(small)
    return g.Conv(g.input(1, 3, 8, 8), g.constant(weights, name="w"))


@denormals.bad
def a_filter_that_decayed(g: CaseBuilder) -> object:
    return _conv(g, 1e-40)


@denormals.good
def a_filter_of_small_numbers(g: CaseBuilder) -> object:
    return _conv(g, 1e-30)


@denormals.good
def a_filter_of_zeros(g: CaseBuilder) -> object:
    return _conv(g, 0)
