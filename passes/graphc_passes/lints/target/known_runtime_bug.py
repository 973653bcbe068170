"""Valid ONNX that ONNX Runtime's CPU provider refuses, or computes otherwise than ONNX says.

Why    a model that the checker accepts does not open there, or opens and gives other numbers: of other sizes where a
       window is counted differently, off by the order of the data itself where an interpolation is.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from graphc import CaseBuilder, GraphcError, NotAsked, Problem, Refusal, Subject, View, lint
from graphc_passes.lints.target._bugs import BUGS
from graphc_passes.lints.target._target import CPU, provider


@lint(category="target", severity="error", help="rewrite it, which graphc's pipeline `legal` does where it can")
def known_runtime_bug(subject: Subject) -> Iterator[Problem]:
    if provider(subject) != CPU:
        raise NotAsked
    if not subject.is_model:  # a spec is built with passes that rewrite them
        return
    for bug in BUGS:
        for node, opset in subject.nodes(*bug.operators):
            try:
                found = bug.is_form(View(node, opset))
            except (Refusal, GraphcError) as unreadable:
                yield Problem(str(unreadable), at=node, unfinished=True)
                continue
            if found:
                yield Problem(bug.what, at=node, fix=bug.fix(node, opset))


def _resized(g: CaseBuilder, shape: list[int], factors: list[float], **attributes: str) -> ir.Value:
    found: ir.Value = g.Resize(g.input(*shape), None, g.constant(np.asarray(factors, np.float32)), **attributes)
    return found


@known_runtime_bug.bad(target="ort-cpu")
def cubic_over_one_axis(g: CaseBuilder) -> object:
    return _resized(g, [1, 3, 8], [1, 1, 2], mode="cubic")


@known_runtime_bug.bad(target="ort-cpu")
def linear_over_channels(g: CaseBuilder) -> object:
    return _resized(g, [1, 3, 4, 4], [1, 2, 2, 2], mode="linear")


@known_runtime_bug.bad(target="ort-cpu")
def corners_between_elements(g: CaseBuilder) -> object:
    attributes = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    return _resized(g, [1, 1, 4, 4], [1, 1, 0.6, 0.6], **attributes)


@known_runtime_bug.bad(target="ort-cpu")
def symmetric_cubic(g: CaseBuilder) -> object:
    attributes = {"mode": "cubic", "coordinate_transformation_mode": "half_pixel_symmetric"}
    return _resized(g, [1, 1, 7, 7], [1, 1, 1.5, 0.6], **attributes)


@known_runtime_bug.bad(target="ort-cpu")
def deformable_in_three_axes(g: CaseBuilder) -> object:
    return g.DeformConv(g.input(1, 1, 4, 4, 4), g.weight(1, 1, 2, 2, 2), g.input(1, 24, 3, 3, 3))


@known_runtime_bug.bad(target="ort-cpu")
def a_zero_point_for_each_filter(g: CaseBuilder) -> object:
    x = g.input(1, 1, 5, 5, dtype=ir.DataType.UINT8)
    weights = g.constant(np.arange(18).reshape(2, 1, 3, 3), like=x)
    return g.ConvInteger(x, weights, g.constant(3, like=x), g.constant([1, 2], like=x))


@known_runtime_bug.bad(target="ort-cpu")
def the_batch_first(g: CaseBuilder) -> object:
    return g.GRU(g.input(2, 5, 8), g.weight(1, 48, 8), g.weight(1, 48, 16), hidden_size=16, layout=1)


@known_runtime_bug.good(target="ort-cpu")
def linear_over_two_axes(g: CaseBuilder) -> object:
    return _resized(g, [1, 1, 4, 4], [1, 1, 2, 2], mode="linear")


@known_runtime_bug.good(target="ort-cpu")
def time_first(g: CaseBuilder) -> object:
    return g.GRU(g.input(5, 2, 8), g.weight(1, 48, 8), g.weight(1, 48, 16), hidden_size=16)


@known_runtime_bug.good
def on_no_target(g: CaseBuilder) -> object:
    return g.GRU(g.input(2, 5, 8), g.weight(1, 48, 8), g.weight(1, 48, 16), hidden_size=16, layout=1)
