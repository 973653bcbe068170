"""What float16 cannot hold because it is too large: a value whose bounds lie beyond 65504.

Why    it becomes infinite, and a difference or a quotient of two such is not a number. By intervals: what a Clip or a
       Sigmoid bounds is summed up here over enough elements. Sums of what nothing bounds are not told: with
       --run the model is run on large inputs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from graphc import CaseBuilder, Problem, Subject, lint

LARGEST = float(np.finfo(np.float16).max)


@lint(category="numerics", severity="warning", help="take a mean, scale before it, or cast to float32 there")
def fp16_overflow(subject: Subject) -> Iterator[Problem]:
    for value, found in subject.intervals.items():
        node = value.producer()
        if node is None or value.dtype != ir.DataType.FLOAT16:
            continue
        reach = max((abs(end) for end in (found.low, found.high) if np.isfinite(end)), default=0.0)
        known = all(end is None or np.isfinite(_reach(subject, end)) for end in node.inputs)
        if reach > LARGEST and known:
            yield Problem(f"its output reaches {reach:.4g}", at=node, measured=reach, limit=LARGEST)


def _reach(subject: Subject, value: ir.Value) -> float:
    found = subject.intervals.get(value)
    return float("inf") if found is None else max(abs(found.low), abs(found.high))


def _sum(g: CaseBuilder, size: int) -> object:
    x = g.Sigmoid(g.input(1, 3, size, size, dtype=ir.DataType.FLOAT16))
    return g.ReduceSum(x, g.constant([1, 2, 3], name="axes"))


@fp16_overflow.bad
def a_sum_over_an_image(g: CaseBuilder) -> object:
    return _sum(g, 224)


@fp16_overflow.bad
def an_exponential_of_what_is_clipped(g: CaseBuilder) -> object:
    half = ir.DataType.FLOAT16
    low, high = (g.constant(np.float16(end), name="end") for end in (-20, 20))
    return g.Exp(g.Clip(g.input(1, 3, dtype=half), low, high))


@fp16_overflow.good
def a_sum_over_a_patch(g: CaseBuilder) -> object:
    return _sum(g, 32)
