"""Every form of a ConvTranspose over the whole attribute space, against the float64 nest.

What a rewrite makes is evaluated by plain `onnx.reference`, which shares no code with the nest or the rewrite.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from graphc.cases import CaseBuilder
from graphc.convolution import read_convolution, transpose_filter
from graphc.pipeline import find_rewrite

STRIDE_1 = "replace-conv-transpose-with-conv"
EXAMPLES = {  # by rank, 10,000 in all: fewer where there are many nodes to evaluate
    "replace-conv-transpose-with-subpixel-conv": {1: 900, 2: 1000, 3: 500},
    "replace-conv-transpose-with-phase-convs": {1: 1300, 2: 600, 3: 200},
    "replace-conv-transpose-with-zero-insertion": {1: 900, 2: 1000, 3: 500},
    "replace-conv-transpose-with-overlap-add": {1: 1400, 2: 400, 3: 200},
    STRIDE_1: {1: 400, 2: 500, 3: 200},
}
OPTIONS = {"replace-conv-transpose-with-overlap-add": {"most_blocks": 1 << 10}}
# A result is a sum of at most 2·5² products of magnitudes around 1; 1e-9 leaves seven digits for their rounding.
RELATIVE = 1e-9


def configuration(random: Random, rank: int, stride: int) -> dict[str, Any]:
    """Shapes and attributes of a legal ConvTranspose of that rank and at most that stride. It may have no output."""

    def per_axis(low: int, high: int) -> list[int]:
        return [random.randint(low, high) for _ in range(rank)]

    strides, dilations = per_axis(1, stride), per_axis(1, 3)
    kernel, sizes = per_axis(1, 5 if rank < 3 else 3), per_axis(1, 6 if rank < 3 else 3)
    groups, inner, outer = random.randint(1, 3), random.randint(1, 2), random.randint(1, 2)
    padding = [random.randint(0, max(s, d) - 1) for s, d in zip(strides, dilations, strict=True)]
    attributes: dict[str, Any] = {
        "strides": strides,
        "dilations": dilations,
        "group": groups,
        "output_padding": padding,
    }
    form = random.choice(("pads", "pads", "auto_pad", "output_shape"))
    if form == "pads":
        attributes["pads"] = per_axis(0, 4) + per_axis(0, 4)
    elif form == "auto_pad":
        attributes["auto_pad"] = random.choice(("SAME_UPPER", "SAME_LOWER", "VALID"))
    else:
        axes = zip(strides, sizes, dilations, kernel, padding, strict=True)
        attributes["output_shape"] = [random.randint(1, s * (n - 1) + d * (k - 1) + 1 + o) for s, n, d, k, o in axes]
        attributes["auto_pad"] = random.choice(("NOTSET", "SAME_UPPER", "SAME_LOWER"))
    return {
        "data": [random.randint(1, 2), groups * inner, *sizes],
        "filter": [groups * inner, outer, *kernel],
        "bias": groups * outer if random.random() < 0.5 else 0,
        "seed": random.getrandbits(32),
        "attributes": attributes,
    }


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", EXAMPLES)
def test_equals_the_nest(name: str, rank: int) -> None:
    random, stride, held = Random(f"{name} {rank}"), 1 if name == STRIDE_1 else 4 if rank < 3 else 3, 0
    while held < EXAMPLES[name][rank]:
        held += holds(name, configuration(random, rank, stride))


def holds(name: str, drawn: dict[str, Any]) -> bool:
    """False where the configuration has no output. AssertionError where the rewrite changes what is computed."""
    builder = CaseBuilder(20, ir.DataType.DOUBLE, drawn["seed"])
    x = builder.input(*drawn["data"])
    w = builder.weight(*drawn["filter"])
    b = builder.weight(drawn["bias"]) if drawn["bias"] else None
    node = ir.node("ConvTranspose", [x, w, b], drawn["attributes"])
    nest = read_convolution(node, drawn["data"], drawn["filter"])
    if not all(nest.out_shape):
        return False
    # ONNX's shape inference forgets the output padding where auto_pad is SAME; the operator's text does not.
    node.outputs[0].type, node.outputs[0].shape = ir.TensorType(ir.DataType.DOUBLE), ir.Shape(nest.out_shape)
    builder.nodes.append(node)
    data = builder.random.standard_normal(drawn["data"])
    filter_, bias = (None if v is None else v.const_value.numpy() for v in (w, b))
    expected = nest.run(data, transpose_filter(filter_, nest.groups), bias)

    run = find_rewrite(name)(**OPTIONS.get(name, {}))
    after = run(builder.model(node.outputs)).model
    assert run.fired, (drawn, run.refused)
    assert not any(node.op_type == "ConvTranspose" for node in after.graph)
    found = ReferenceEvaluator(ir.to_proto(after)).run(None, {"x0": data})[0]
    assert found.shape == expected.shape, drawn
    assert np.abs(found - expected).max() <= RELATIVE * np.abs(expected).max(initial=1.0), drawn
    return True
