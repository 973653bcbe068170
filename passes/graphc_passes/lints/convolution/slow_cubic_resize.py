"""A cubic Resize of more than a few thousand elements.

Why    ONNX Runtime's CPU provider interpolates with a general kernel, element by element. As one product of matrices
       for each axis, or as a convolution, the same takes between a ninth and a fortieth of the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import CaseBuilder, Problem, Rewrite, Subject, lint
from graphc_passes.nodes.deployed import deployed
from graphc_passes.rewrites.resampling.replace_resize_with_depthwise_conv import replace_resize_with_depthwise_conv
from graphc_passes.rewrites.resampling.replace_resize_with_matmul import replace_resize_with_matmul

WORTH = 1 << 13  # elements that come out: a fifth of a millisecond and more
FASTER: tuple[
    tuple[Rewrite, dict[str, Any]], ...
] = (  # the rewrites with their options, in the order in which the pipeline for inference has them
    (replace_resize_with_matmul, {"only": "cubic", "largest": 128}),
    (replace_resize_with_depthwise_conv, {"only": "cubic"}),
)


def _spelled(name: str, options: dict[str, Any]) -> str:
    return f"{name}{{{','.join(f'{key}={value}' for key, value in options.items())}}}"


@lint(
    category="convolution",
    severity="warning",
    help="interpolate with products of matrices, or with a convolution",
    fix=tuple(_spelled(rewrite.name, options) for rewrite, options in FASTER),
)
def slow_cubic_resize(subject: Subject) -> Iterator[Problem]:
    for node, opset in deployed(subject, "Resize"):
        if node.outputs and _is_small(node.outputs[0]):
            continue
        if any(rewrite.would_fire(node, opset, **options) for rewrite, options in FASTER):
            yield Problem("it is interpolated element by element", at=node)


def _is_small(value: ir.Value) -> bool:
    return value.shape is not None and value.shape.is_static() and prod(value.shape.numpy()) < WORTH


def _twice(g: CaseBuilder, *shape: int | str, mode: str) -> object:
    scales = g.constant(np.array([1, 1, 2, 2], np.float32), name="scales")
    return g.Resize(g.input(*shape), None, scales, mode=mode)


@slow_cubic_resize.bad
def of_an_image(g: CaseBuilder) -> object:
    return _twice(g, 1, 3, 64, 64, mode="cubic")


@slow_cubic_resize.bad
def of_an_image_of_any_size(g: CaseBuilder) -> object:
    return _twice(g, "N", 3, "H", "W", mode="cubic")


@slow_cubic_resize.good
def linear(g: CaseBuilder) -> object:
    return _twice(g, 1, 3, 64, 64, mode="linear")


@slow_cubic_resize.good
def of_a_thumbnail(g: CaseBuilder) -> object:
    return _twice(g, 1, 3, 16, 16, mode="cubic")
