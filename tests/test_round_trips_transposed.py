"""A ConvTranspose brought to another form and back: exactly which nodes return as they were.

A node returns where it is stated in the one way that `transposed_attributes` has for it: both pads of an axis equal
where an output padding below the stride makes them so, else no output padding beside an end pad; dilation 1 where there
is one tap. Any other returns in that way, with the same weights. That holds where some stride is above 1 and every
output padding below its stride:

- through the zero-inserted form for any dilations and pads;
- through the sub-pixel form for dilation 1 (dilated taps return with the zeros between them) and pads smaller than the
  kernel (larger ones crop the data before the convolution), when no tap at the border is zero.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from graphc.cases import CaseBuilder
from graphc.convolution import read_convolution
from graphc.pipeline import find_rewrite

SUBPIXEL = (
    "replace-conv-transpose-with-subpixel-conv",
    "replace-subpixel-conv-with-conv-transpose",
    "fold-crop-into-conv-transpose",
    "drop-zero-taps-from-conv-transpose",
)
ZERO_INSERTION = (
    "replace-conv-transpose-with-zero-insertion",
    "replace-zero-inserted-conv-with-conv-transpose",
    "fold-crop-into-conv-transpose",
)


def attributes(random: Random, rank: int, kernel: list[int], dilation: int) -> dict[str, Any]:
    """Some stride above 1, output paddings below the strides; pads below the kernel unless that may be dilated."""
    strides = [random.randint(1, 4) for _ in range(rank)]
    strides[random.randrange(rank)] = random.randint(2, 4)
    dilations = [random.randint(1, dilation) if k > 1 else 1 for k in kernel]
    padding = [random.randint(0, stride - 1) for stride in strides]
    reach = [d * (k - 1) + 2 * (dilation > 1) for d, k in zip(dilations, kernel, strict=True)]
    return {
        "strides": strides,
        "dilations": dilations,
        "pads": [random.randint(0, r) for r in reach] + [random.randint(0, r) for r in reach],
        "output_padding": padding,
        "group": random.randint(1, 3),
    }


def model_of(
    random: Random, rank: int, *, dilation: int = 1, dynamic: bool = False, **fixed: list[int]
) -> ir.Model | None:
    """A random ConvTranspose; None where it has no output. Where it is `dynamic` no size but the channels is known."""
    kernel = [random.randint(1, 5 if rank < 3 else 3) for _ in range(rank)]
    given = attributes(random, rank, kernel, dilation) | fixed
    group, inner, outer = given["group"], random.randint(1, 2), random.randint(1, 2)
    sizes = [random.randint(1, 5) for _ in range(rank)]
    builder = CaseBuilder(20, ir.DataType.FLOAT, random.getrandbits(32))
    x = builder.input(*(["N", group * inner, *"HWD"[:rank]] if dynamic else [1, group * inner, *sizes]))
    w = builder.weight(group * inner, outer, *kernel, low=0.5)
    b = builder.weight(group * outer) if random.random() < 0.5 else None
    node = ir.node("ConvTranspose", [x, w, b], given)
    shape = read_convolution(node, [1, group * inner, *sizes], [group * inner, outer, *kernel]).out_shape
    return builder.model([builder.ConvTranspose(x, w, b, **given)]) if all(shape) else None


def normal(given: dict[str, Any]) -> dict[str, Any]:
    """The one way in which a node returns."""
    rank = len(given["strides"])
    begins, ends, paddings = given["pads"][:rank], list(given["pads"][rank:]), list(given["output_padding"])
    for axis, (stride, begin) in enumerate(zip(given["strides"], begins, strict=True)):
        net = ends[axis] - paddings[axis]
        symmetric = 0 <= begin - net < stride
        ends[axis] = begin if symmetric else max(0, net)
        paddings[axis] = begin - net if symmetric else max(0, -net)
    return {**given, "pads": [*begins, *ends], "output_padding": paddings}


def stated(node: ir.Node) -> dict[str, Any]:
    return {
        name: list(attribute.value) if isinstance(attribute.value, list | tuple) else attribute.value
        for name, attribute in node.attributes.items()
    }


def constants(node: ir.Node) -> list[np.ndarray]:
    return [value.const_value.numpy() for value in node.inputs[1:] if value is not None and value.const_value]


def goes_and_returns(model: ir.Model, there: str, *back: str) -> bool:
    """Whether the node is as it was; AssertionError unless it is at least that in its normal form."""
    (node,) = model.graph
    before, weights = stated(node), constants(node)
    run = find_rewrite(there)()
    run(model)
    assert run.fired, run.refused
    assert not any(node.op_type == "ConvTranspose" for node in model.graph)
    for name in back:
        find_rewrite(name)(when="always")(model)
    assert [node.op_type for node in model.graph] == ["ConvTranspose"], before
    (node,) = model.graph
    assert stated(node) == normal(before)
    assert len(constants(node)) == len(weights)
    assert all(np.array_equal(a, b) for a, b in zip(constants(node), weights, strict=True)), before
    return stated(node) == before


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("forms", "dilation"), [(SUBPIXEL, 1), (ZERO_INSERTION, 3)], ids=["sub-pixel", "zeros"])
def test_every_node_returns_in_its_normal_form(forms: tuple[str, ...], dilation: int, rank: int) -> None:
    random, returned, held = Random(f"{forms[0]} {rank}"), 0, 0
    while held < 120:
        model = model_of(random, rank, dilation=dilation)
        if model is not None:
            held += 1
            returned += goes_and_returns(model, *forms)
    assert returned > 10, "most nodes are not normal, but some are"


@pytest.mark.parametrize("rank", [1, 2])
def test_as_frameworks_state_it(rank: int) -> None:
    """Equal pads and any output padding: the node itself returns, also where k is no multiple of s."""
    random, held = Random(rank), 0
    while held < 60:
        pads = [random.randint(0, 2) for _ in range(rank)]
        model = model_of(random, rank, pads=pads + pads)
        if model is None or any(pad >= k for pad, k in zip(pads, kernel_of(model), strict=True)):
            continue
        held += 1
        assert goes_and_returns(model, *SUBPIXEL)


def kernel_of(model: ir.Model) -> list[int]:
    (node,) = model.graph
    assert node.inputs[1] is not None
    assert node.inputs[1].shape is not None
    return list(node.inputs[1].shape.numpy()[2:])


def test_with_dynamic_sizes() -> None:
    """DepthToSpace and one length that is left over (−1) are read at any size."""
    random = Random(0)
    for _ in range(30):
        square = model_of(random, 2, dynamic=True, strides=[2, 2], output_padding=[0, 1])
        if square is not None:
            goes_and_returns(square, *SUBPIXEL)
        line = model_of(random, 1, dilation=3, dynamic=True)
        if line is not None:
            goes_and_returns(line, *ZERO_INSERTION)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"strides": [2], "dilations": [2], "pads": [1, 1], "output_padding": [0]}, "its dilation returns as zeros"),
        ({"strides": [1], "dilations": [1], "pads": [1, 1], "output_padding": [0]}, "stride 1 interleaves nothing"),
        ({"strides": [2], "dilations": [1], "pads": [6, 0], "output_padding": [0]}, "its data is cropped first"),
    ],
)
def test_what_does_not_return_through_subpixel(given: dict[str, Any], why: str) -> None:
    builder = CaseBuilder(20, ir.DataType.FLOAT)
    made = builder.ConvTranspose(builder.input(1, 2, 6), builder.weight(2, 3, 3, low=0.5), **given, group=1)
    model = builder.model([made])
    (node,) = model.graph
    before = stated(node)
    for name in SUBPIXEL:
        find_rewrite(name)(when="always")(model)
    assert [stated(node) for node in model.graph] != [before], why
