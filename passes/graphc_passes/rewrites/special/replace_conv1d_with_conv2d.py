"""Replace a one-dimensional convolution with a two-dimensional one of data that is one element high (or wide).

Law    conv1d(x, w) = squeeze(conv2d(unsqueeze(x), unsqueeze(w)))      the new axis has one element, one tap and one
       place; a transposed convolution likewise
Why    Runtimes keep their fast layouts and kernels for images; many targets have no other convolution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, constant, rewrite
from graphc_passes.nodes.nests import both_sides, read_nest
from graphc_passes.nodes.reshaping import squeeze, unsqueeze
from graphc_passes.nodes.transposed import transposed_attributes
from graphc_passes.nodes.windows import WindowedConv
from graphc_passes.sampling.convolutions import draw_conv


@rewrite("Conv", "ConvTranspose", numerics="reassociates")
def replace_conv1d_with_conv2d(root: View, op: Tape, *, vertical: bool = False) -> ir.Value:
    data, weights = root.required("X"), root.required("W")
    if data.shape is None or len(data.shape) != 3:
        raise Refusal("it has not one spatial axis")
    given, place = _attributes(root), 3 if vertical else 2
    group = given.pop("group")
    content = constant(weights)
    if content is None:
        filter_ = unsqueeze(op, weights, [place])
    else:
        filter_ = op.constant(np.expand_dims(content, place), like=weights, name="weight")
    both: dict[str, Any] = {
        name: _beside(numbers, int(name in ("strides", "dilations")), vertical) for name, numbers in given.items()
    }
    made = op.record(
        root.op_type,
        unsqueeze(op, data, [place]),
        filter_,
        root.input("B"),
        group=group,
        **both,
    )
    return squeeze(op, made, [place])


def _attributes(root: View) -> dict[str, Any]:
    """The attributes of the one axis, with explicit pads."""
    if root.op_type == "ConvTranspose":
        nest = read_nest(root)
        if not nest.axes[0].output:
            raise Refusal("nothing comes out")
        return transposed_attributes(nest.axes, nest.groups)
    conv = WindowedConv.read(root)
    (window,) = conv.windows
    pads = both_sides([window.pads])
    return {"strides": [window.stride], "dilations": [window.dilation], "pads": pads, "group": conv.groups}


def _beside(numbers: Sequence[int], idle: int, vertical: bool) -> list[int]:
    """Each number with that of an axis where nothing happens."""
    return [each for number in numbers for each in ((number, idle) if vertical else (idle, number))]


def _case(
    name: str, data: tuple[int | str, ...], weight: tuple[int, ...], op_type: str = "Conv", **attributes: Any
) -> Case:
    def build(g: CaseBuilder) -> ir.Value:
        return g.record(op_type, g.input(*data), g.weight(*weight), g.weight(4), **attributes)

    return Case(name, build)


@replace_conv1d_with_conv2d.cases
def cases() -> Iterator[Case]:
    yield _case("padded, strided, dilated", (2, 3, 9), (4, 3, 3), strides=(2,), pads=(1, 2), dilations=(2,))
    yield _case("a dynamic size, grouped", ("N", 4, "L"), (4, 2, 3), pads=(1, 1), group=2)
    yield _case("SAME_UPPER", (1, 3, 8), (4, 3, 3), strides=(2,), auto_pad="SAME_UPPER")
    yield _case("transposed", (1, 3, 5), (3, 4, 4), "ConvTranspose", strides=(3,), pads=(1, 0), output_padding=(2,))
    yield _case("transposed, output_shape", (1, 3, 5), (3, 4, 3), "ConvTranspose", strides=(2,), output_shape=(10,))
    yield Case(
        "vertical, computed weights, opset 11",
        lambda g: g.Conv(g.input(1, 3, 7), g.input(4, 3, 3), pads=(0, 2)),
        options={"vertical": True},
        opset=11,
    )
    yield Case(
        "vertical, transposed",
        lambda g: g.ConvTranspose(g.input(1, 4, 5), g.weight(4, 2, 3), group=2, strides=(2,), pads=(1, 1)),
        options={"vertical": True},
    )
    yield Case(
        "two axes",
        lambda g: g.Conv(g.input(1, 3, 7, 1), g.weight(4, 3, 3, 1)),
        refuses="it has not one spatial axis",
    )


@replace_conv1d_with_conv2d.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, op_type=random.choice(("Conv", "ConvTranspose")), ranks=(1,), size=12, kernel=5)
    options = {"vertical": random.random() < 0.5}
    return Case(str(drawn), drawn.of, options=options, seed=random.getrandbits(32))
