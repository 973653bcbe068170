"""ConvTranspose to sub-pixel convolution over the whole attribute space, against the float64 nest.

What the rewrite makes is evaluated by `onnx.reference`, which shares no code with the nest or the rewrite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

from graphc.cases import CaseBuilder
from graphc.convolution import read_convolution, transpose_filter
from graphc.pipeline import find_rewrite

REWRITE = find_rewrite("replace-conv-transpose-with-subpixel-conv")
EXAMPLES = {1: 700, 2: 800, 3: 500}  # 2,000 in all
# A result is a sum of at most 3·5³ products of magnitudes around 1; 1e-9 leaves seven digits for their rounding.
RELATIVE = 1e-9


@st.composite
def configurations(draw: st.DrawFn, rank: int) -> dict[str, Any]:
    """Shapes and attributes of a legal ConvTranspose of that rank with a non-empty output."""

    def per_axis(low: int, high: int) -> list[int]:
        return [draw(st.integers(low, high)) for _ in range(rank)]

    strides, dilations = per_axis(1, 4), per_axis(1, 3)
    kernel, sizes = per_axis(1, 5 if rank < 3 else 3), per_axis(1, 6 if rank < 3 else 3)
    groups, inner, outer = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    attributes: dict[str, Any] = {"strides": strides, "dilations": dilations, "group": groups}
    attributes["output_padding"] = [
        draw(st.integers(0, max(s, d) - 1)) for s, d in zip(strides, dilations, strict=True)
    ]
    form = draw(st.sampled_from(("pads", "pads", "auto_pad", "output_shape")))
    if form == "pads":
        attributes["pads"] = per_axis(0, 4) + per_axis(0, 4)
    elif form == "auto_pad":
        attributes["auto_pad"] = draw(st.sampled_from(("SAME_UPPER", "SAME_LOWER", "VALID")))
    else:
        full = [
            s * (n - 1) + d * (k - 1) + 1 + o
            for s, n, d, k, o in zip(strides, sizes, dilations, kernel, attributes["output_padding"], strict=True)
        ]
        attributes["output_shape"] = [draw(st.integers(1, size)) for size in full]
        attributes["auto_pad"] = draw(st.sampled_from(("NOTSET", "SAME_UPPER", "SAME_LOWER")))
    return {
        "data": [draw(st.integers(1, 2)), groups * inner, *sizes],
        "filter": [groups * inner, outer, *kernel],
        "bias": groups * outer if draw(st.booleans()) else 0,
        "seed": draw(st.integers(0, 2**32 - 1)),
        "attributes": attributes,
    }


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_equals_the_nest(rank: int) -> None:
    @settings(
        max_examples=EXAMPLES[rank],
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    )
    @given(configurations(rank))
    def holds(configuration: dict[str, Any]) -> None:
        check(configuration)

    holds()


def check(configuration: dict[str, Any]) -> None:
    builder = CaseBuilder(20, ir.DataType.DOUBLE, configuration["seed"])
    x = builder.input(*configuration["data"])
    w = builder.weight(*configuration["filter"])
    b = builder.weight(configuration["bias"]) if configuration["bias"] else None
    node = ir.node("ConvTranspose", [x, w, b], configuration["attributes"])
    nest = read_convolution(node, configuration["data"], configuration["filter"])
    assume(all(size > 0 for size in nest.out_shape))
    model = builder.model([builder.ConvTranspose(x, w, b, **configuration["attributes"])])
    # ONNX's shape inference forgets the output padding where auto_pad is SAME; the operator's text does not.
    model.graph.outputs[0].shape = ir.Shape(nest.out_shape)
    data = builder.random.standard_normal(configuration["data"])
    filter_, bias = (None if v is None else v.const_value.numpy() for v in (w, b))
    expected = nest.run(data, transpose_filter(filter_, nest.groups), bias)

    run = REWRITE()
    after = run(model).model
    assert run.fired, run.refused
    assert not any(node.op_type == "ConvTranspose" for node in after.graph)
    found = ReferenceEvaluator(ir.to_proto(after)).run(None, {"x0": data})[0]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= RELATIVE * np.abs(expected).max(initial=1.0)
