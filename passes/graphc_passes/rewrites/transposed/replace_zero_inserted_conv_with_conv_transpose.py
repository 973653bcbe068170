"""Replace a convolution over data stretched with zeros with the transposed convolution that it is.

Law    conv(x', w, pad p, dilation d) = conv_transpose(x, w', stride s)     for x'[s·i + z] = x[i], else 0;
       w'[c, k, t] = w[k, c, taps − 1 − t] in each group, with begin pad d·(taps − 1) − p − z;
       x' is made by Reshape (or Unsqueeze), Pad, Reshape, or by a depthwise ConvTranspose with a 1 among zeros
Why    of s multiplications on each axis s − 1 are by a zero that was put there, and the stretched data is never made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, read_convolution, require, rewrite
from graphc_passes.nodes.padding import padded
from graphc_passes.nodes.reshaping import unsqueeze
from graphc_passes.nodes.stretching import Line, stretching_conv, stretching_reshape
from graphc_passes.nodes.transposed import gathered_filter, transposed_attributes
from graphc_passes.sampling.convolutions import draw_conv


@rewrite("Conv", numerics="reassociates", improves=("macs",))
def replace_zero_inserted_conv_with_conv_transpose(root: View, op: Tape) -> ir.Value:
    maker = root.producer("X", "Reshape", "ConvTranspose")
    data, lines = _stretched(maker)
    require(all(stride == 1 for stride in root.attr("strides") or ()), "the convolution has a stride")
    if all(line.stride == 1 for line in lines):
        raise Refusal("no zeros are put between the data")
    channels = data.shape[1] if data.shape is not None else None
    if not isinstance(channels, int):
        raise Refusal("the number of channels is not known")
    nest = read_convolution(root, [1, channels, *(line.length for line in lines)])
    axes = [line.under(axis) for line, axis in zip(lines, nest.axes, strict=True)]
    mirrored = [range(axis.taps - 1, -1, -1) for axis in axes]
    return op.ConvTranspose(
        data,
        gathered_filter(op, root.required("W"), nest.groups, mirrored),
        root.input("B"),
        **transposed_attributes(axes, nest.groups),
    )


def _stretched(maker: View) -> tuple[ir.Value, list[Line]]:
    """The data before it was stretched, and where it went."""
    if maker.op_type == "ConvTranspose":
        data, lines = stretching_conv(maker)
        require(maker.input("B") is None, "the stretched data has a bias")
        return data, lines
    data, lines, padding = stretching_reshape(maker)
    require(padding.mode == "constant" and padding.value == 0, "the data is not stretched with zeros")
    return data, lines


def _reshaped(
    g: CaseBuilder,
    data: ir.Value,
    strides: Sequence[int],
    begin: Sequence[int] = (),
    *,
    spell: str = "Reshape",
    target: Sequence[int] = (),
    value: float | None = None,
) -> ir.Value:
    """[N, C, L...] to [N, C, L·stride...], element i at stride·i + begin."""
    assert data.shape is not None
    sizes = [size if isinstance(size, int) else 0 for size in data.shape[1:]]
    beside = range(3, 3 + 2 * len(strides), 2)
    if spell == "Reshape":
        apart = g.Reshape(data, g.constant([0, sizes[0], *(size for length in sizes[1:] for size in (length, 1))]))
    else:
        apart = unsqueeze(g, data, beside)
    first = begin or [0] * len(strides)
    widths = [0, 0, *(width for each in first for width in (0, each))]
    after = [0, 0, *(w for s, each in zip(strides, first, strict=True) for w in (0, s - 1 - each))]
    if value is None:
        full = padded(g, apart, widths, after)
    else:
        full = g.Pad(apart, g.constant([*widths, *after]), g.constant(np.asarray(value, g.dtype.numpy())))
    return g.Reshape(full, g.constant(list(target) or [0, sizes[0], *np.multiply(sizes[1:], strides).tolist()]))


def _moved(g: CaseBuilder, data: ir.Value, kernel: Sequence[int], tap: Sequence[int], **attributes: Any) -> ir.Value:
    """The same by a depthwise ConvTranspose with a 1 at `tap`."""
    assert data.shape is not None
    channels = data.shape[1]
    assert isinstance(channels, int)
    content = np.zeros((channels, 1, *kernel), g.dtype.numpy())
    at: tuple[slice | int, ...] = (slice(None), 0, *tap)
    content[at] = 1
    bias = attributes.pop("bias", None)
    return g.ConvTranspose(data, g.constant(content), bias and g.weight(channels), group=channels, **attributes)


@replace_zero_inserted_conv_with_conv_transpose.cases
def cases() -> Iterator[Case]:
    def conv(g: CaseBuilder, data: ir.Value, *filter_: int, bias: int = 0, **attributes: object) -> ir.Value:
        return g.Conv(data, g.weight(*filter_), g.weight(bias) if bias else None, **attributes)

    yield Case(
        "two axes",
        lambda g: conv(g, _reshaped(g, g.input(2, 3, 3, 4), (2, 2)), 4, 3, 3, 3, bias=4, pads=(1, 1, 2, 2)),
    )
    yield Case(
        "zeros before, grouped, dilated",
        lambda g: conv(g, _reshaped(g, g.input(1, 4, 5), (3,), (1,)), 6, 2, 2, group=2, dilations=(2,), pads=(0, 1)),
    )
    yield Case(
        "Unsqueeze, unequal strides",
        lambda g: conv(g, _reshaped(g, g.input(1, 2, 3, 4), (1, 3), spell="Unsqueeze"), 3, 2, 2, 3),
    )
    yield Case(
        "opset 11", lambda g: conv(g, _reshaped(g, g.input(1, 2, 4), (2,), spell="Unsqueeze"), 3, 2, 3), opset=11
    )
    yield Case(
        "a dynamic size",
        lambda g: conv(g, _reshaped(g, g.input("N", 2, "L"), (2,), spell="Unsqueeze", target=(0, 0, -1)), 3, 2, 3),
    )
    yield Case("3-D", lambda g: conv(g, _reshaped(g, g.input(1, 2, 2, 2, 2), (2, 2, 2)), 2, 2, 2, 2, 2, pads=[1] * 6))
    yield Case("SAME_UPPER", lambda g: conv(g, _reshaped(g, g.input(1, 2, 5), (2,)), 3, 2, 3, auto_pad="SAME_UPPER"))
    yield Case(
        "a filter that is computed", lambda g: g.Conv(_reshaped(g, g.input(1, 4, 4), (2,)), g.input(2, 2, 3), group=2)
    )
    yield Case(
        "a depthwise ConvTranspose",
        lambda g: conv(g, _moved(g, g.input(1, 3, 3, 4), (2, 3), (1, 0), strides=(2, 3)), 4, 3, 2, 2, bias=4),
    )
    yield Case(
        "a pointwise ConvTranspose, dynamic",
        lambda g: conv(g, _moved(g, g.input(1, 3, "L"), (1,), (0,), strides=(2,)), 4, 3, 3, pads=(2, 1)),
    )
    yield Case(
        "strided",
        lambda g: conv(g, _moved(g, g.input(1, 3, "L"), (2,), (0,), strides=(2,)), 4, 3, 3, pads=(1, 1), strides=(2,)),
        refuses="the convolution has a stride",
    )
    yield Case(
        "stretched with ones",
        lambda g: conv(g, _reshaped(g, g.input(1, 2, 4), (2,), value=1.0), 3, 2, 3),
        refuses="the data is not stretched with zeros",
    )
    yield Case(
        "a bias between",
        lambda g: conv(g, _moved(g, g.input(1, 3, 4), (2,), (0,), strides=(2,), bias=True), 4, 3, 3),
        refuses="the stretched data has a bias",
    )
    yield Case(
        "data that is cropped away",
        lambda g: conv(g, _moved(g, g.input(1, 3, 4), (2,), (0,), strides=(2,), pads=(1, 0)), 4, 3, 3),
        refuses="the stretched data lacks some of the data",
    )
    yield Case(
        "a kernel that adds",
        lambda g: conv(g, g.ConvTranspose(g.input(1, 3, 4), g.weight(3, 1, 2), group=3, strides=(2,)), 4, 3, 3),
        refuses="it does not stretch the data with zeros",
    )
    yield Case(
        "pads around",
        lambda g: conv(g, g.Reshape(padded(g, g.input(1, 2, 4), [0, 0, 1], [0, 0, 1]), g.constant([1, 2, 6])), 3, 2, 3),
        refuses="the input of Pad does not come from Reshape or Unsqueeze",
    )


@replace_zero_inserted_conv_with_conv_transpose.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, strides=random.choice((1, 1, 1, 1, 2)), pads=random.choice((0, 1, 2)))
    factors = [random.choice((1, 2, 2, 3)) for _ in drawn.filter[2:]]
    begin = [random.randint(0, factor - 1) for factor in factors]
    dynamic = isinstance(drawn.data[2], str)
    kernel = [factor + random.randint(0, 1) for factor in factors]
    tap = [min(each + random.randint(0, 1), taps - 1) for each, taps in zip(begin, kernel, strict=True)]
    by_reshapes = random.random() < 0.6 and not (dynamic and len(factors) > 1)
    spell = "Unsqueeze" if dynamic else random.choice(("Reshape", "Unsqueeze"))

    def build(g: CaseBuilder) -> ir.Value:
        data = g.input(*drawn.data)
        if not by_reshapes:
            return drawn.of(g, _moved(g, data, kernel, tap, strides=factors))
        return drawn.of(g, _reshaped(g, data, factors, begin, spell=spell, target=(0, 0, -1) if dynamic else ()))

    how = f"{spell} {begin}" if by_reshapes else f"ConvTranspose {kernel} {tap}"
    opset = random.choice((9, 11, 13, 18, 20, 21))
    return Case(f"{drawn} over {factors} {how}", build, opset=opset, seed=random.getrandbits(32))
