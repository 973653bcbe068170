"""Fold a Mul, Add, Sub or Div by a constant per channel into the convolution before or after it.

Law    conv(x, w, b)·s + t = conv(x, w·s, b·s + t)
       conv(x·s + t, w, b) = conv(x, w·s) + conv(t, w, b)     a constant; where no padding meets t it is a bias
Why    one full read and write of the activation less.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, constant, require, rewrite
from graphc_passes.nodes.broadcasting import per_channel
from graphc_passes.nodes.filters import ConstantConv, survives
from graphc_passes.sampling.convolutions import draw_conv

AFFINE = ("Mul", "Add", "Sub", "Div")
CONVOLUTIONS = ("Conv", "ConvTranspose")


@rewrite(*AFFINE, *CONVOLUTIONS, numerics="reassociates", improves=("bytes",))
def fold_affine_into_conv(root: View, op: Tape, *, largest_shift: int = 1 << 20) -> ir.Value:
    if root.op_type in CONVOLUTIONS:
        return _fold_before(root, op, largest_shift)
    data, content, constant_first = _operands(root)
    conv = ConstantConv.read(root.made_by(data, *CONVOLUTIONS))
    scale, shift = _affine(root, per_channel(content, conv.rank, conv.out_channels), constant_first)
    with np.errstate(invalid="ignore"):
        filter_, bias = conv.scale_outputs(scale), conv.bias * scale + shift
    return _remade(conv, op, conv.view.required("X"), filter_, bias)


def _fold_before(root: View, op: Tape, largest_shift: int) -> ir.Value:
    affine = root.producer("X", *AFFINE)
    conv = ConstantConv.read(root)
    data, content, constant_first = _operands(affine)
    require(_channels(data, conv.rank) == conv.in_channels, "the constant may enlarge its data")
    scale, shift = _affine(affine, per_channel(content, conv.rank, conv.in_channels), constant_first)
    filter_ = conv.scale_inputs(scale)
    if not shift.any():
        return _remade(conv, op, data, filter_, conv.bias)
    require(
        conv.borderless or conv.axes is not None,
        "the padding is not shifted: its border would differ, and the sizes are not known",
    )
    require(
        conv.levels <= max(largest_shift, conv.out_channels),
        "the shift differs at the border and is large",
        conservative="a constant as large as an activation makes the model large",
    )
    return _remade(conv, op, data, filter_, conv.of_level(shift))


def _remade(conv: ConstantConv, op: Tape, data: ir.Value, filter_: np.ndarray, bias: np.ndarray) -> ir.Value:
    require(survives(filter_, bias, conv.view.required("W")), "the folded weights would overflow or underflow")
    return conv.remade(op, data, filter_, bias)


def _operands(affine: View) -> tuple[ir.Value, np.ndarray, bool]:
    """(data, constant, whether the constant is the first operand). Raises Refusal when neither is a constant."""
    first, second = affine.required("A"), affine.required("B")
    content = constant(second)
    if content is not None:
        return first, content, False
    content = constant(first)
    if content is not None:
        return second, content, True
    raise Refusal(f"neither operand of {affine.op_type} is a constant")


def _channels(data: ir.Value, rank: int) -> object:
    """The channel count of [N, C, ...] data of that rank, else None."""
    return data.shape[1] if data.shape is not None and len(data.shape) == rank else None


def _affine(affine: View, content: np.ndarray, constant_first: bool) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift per channel that the operator applies to its data."""
    one, zero = np.ones_like(content), np.zeros_like(content)
    if affine.op_type == "Mul":
        return content, zero
    if affine.op_type == "Add":
        return one, content
    if affine.op_type == "Sub":
        return (-one, content) if constant_first else (one, -content)
    require(not constant_first, "a constant divided by the data is not affine")
    with np.errstate(divide="ignore"):
        return one / content, zero


def _conv(g: CaseBuilder, *, transposed: bool = False, **attributes: object) -> ir.Value:
    if transposed:
        return g.ConvTranspose(g.input(1, 4, 5, 6), g.weight(4, 2, 3, 3), group=2, strides=(2, 1), **attributes)
    return g.Conv(g.input(1, 3, 5, 6), g.weight(4, 3, 3, 3), g.weight(4), **attributes)


@fold_affine_into_conv.cases
def cases() -> Iterator[Case]:
    yield Case("Mul after", lambda g: g.Mul(_conv(g, pads=(1, 1, 1, 1)), g.weight(4, 1, 1)))
    yield Case("Add after, constant first", lambda g: g.Add(g.weight(1, 4, 1, 1), _conv(g)))
    yield Case("Sub after", lambda g: g.Sub(_conv(g), g.weight(1)))
    yield Case("Sub after, constant first", lambda g: g.Sub(g.weight(4, 1, 1), _conv(g)))
    yield Case("Div after", lambda g: g.Div(_conv(g), g.weight(4, 1, 1, low=0.5)))
    yield Case("Mul after transposed and grouped", lambda g: g.Mul(_conv(g, transposed=True), g.weight(4, 1, 1)))
    yield Case(
        "Mul before, padded and grouped",
        lambda g: g.Conv(
            g.Mul(g.input(1, 4, 5, 6), g.weight(4, 1, 1)), g.weight(6, 2, 3, 3), group=2, pads=(1, 1, 1, 1)
        ),
    )
    yield Case(
        "Div before transposed and grouped",
        lambda g: g.ConvTranspose(
            g.Div(g.input(1, 4, 5, 6), g.weight(4, 1, 1, low=0.5)), g.weight(4, 2, 3, 3), group=2
        ),
    )
    yield Case(
        "Add before, no padding",
        lambda g: g.Conv(g.Add(g.input(1, 3, 5, 6), g.weight(3, 1, 1)), g.weight(4, 3, 3, 3)),
    )
    yield Case(
        "Sub before, constant first, grouped",
        lambda g: g.Conv(g.Sub(g.weight(4, 1, 1), g.input(1, 4, 5, 6)), g.weight(6, 2, 3, 3), g.weight(6), group=2),
    )
    yield Case("1-D, dynamic", lambda g: g.Mul(g.Conv(g.input("N", 3, "L"), g.weight(4, 3, 3)), g.weight(4, 1)))
    yield Case(
        "Add before, padded, strided",
        lambda g: g.Conv(
            g.Add(g.input(2, 3, 7, 6), g.weight(3, 1, 1)),
            g.weight(2, 3, 3, 3),
            g.weight(2),
            strides=(2, 2),
            pads=(1, 2, 0, 1),
        ),
    )
    yield Case(
        "Sub before, padded on one axis and grouped",
        lambda g: g.Conv(
            g.Sub(g.weight(4, 1, 1), g.input(1, 4, 5, 6)), g.weight(2, 2, 3, 3), group=2, auto_pad="SAME_LOWER"
        ),
    )
    yield Case(
        "Add before transposed",
        lambda g: g.ConvTranspose(
            g.Add(g.input(2, 5, 5, 6), g.weight(5, 1, 1)), g.weight(5, 1, 3, 3), strides=(2, 1), pads=(1, 1, 1, 0)
        ),
    )
    yield Case(
        "Add before, padded, a dynamic size",
        lambda g: g.Conv(g.Add(g.input(1, 3, "H", 6), g.weight(3, 1, 1)), g.weight(2, 3, 3, 3), pads=(1, 1, 1, 1)),
        refuses="the padding is not shifted: its border would differ, and the sizes are not known",
    )
    yield Case(
        "Add before transposed, a dynamic size",
        lambda g: g.ConvTranspose(g.Add(g.input(1, 3, "H", "W"), g.weight(3, 1, 1)), g.weight(3, 2, 3, 3)),
        refuses="the padding is not shifted: its border would differ, and the sizes are not known",
    )
    yield Case(
        "Add before, padded, more than the option allows",
        lambda g: g.Conv(g.Add(g.input(1, 3, 5, 6), g.weight(3, 1, 1)), g.weight(2, 3, 3, 3), pads=(1, 1, 1, 1)),
        refuses="the shift differs at the border and is large",
        options={"largest_shift": 59},
    )
    yield Case(
        "Add before, padded, to more channels",
        lambda g: g.Conv(g.Add(g.input(1, 3, 5, 6), g.weight(3, 1, 1)), g.weight(4, 3, 3, 3), pads=(1, 1, 1, 1)),
        refuses="it would not be cheaper here",
    )
    yield Case(
        "the data is the divisor",
        lambda g: g.Div(g.weight(4, 1, 1), _conv(g)),
        refuses="a constant divided by the data is not affine",
    )
    yield Case(
        "division by zero",
        lambda g: g.Div(_conv(g), g.constant(np.zeros((4, 1, 1), np.float32))),
        refuses="the folded weights would overflow or underflow",
    )
    yield Case(
        "a scale that overflows",
        _overflowing,
        refuses="the folded weights would overflow or underflow",
    )
    yield Case(
        "a scale that underflows",
        _underflowing,
        refuses="the folded weights would overflow or underflow",
    )
    for shape in ((4,), (4, 1), (1, 1, 1, 4)):
        yield Case(
            f"a constant {list(shape)} where the sides equal Cout",
            partial(_square, shape=shape),
            refuses="the constant does not act per channel",
        )
    yield Case(
        "transposed, a constant along the width that equals Cout",
        lambda g: g.Mul(g.ConvTranspose(g.input(1, 3, 4, 4), g.weight(3, 4, 1, 1)), g.weight(4)),
        refuses="the constant does not act per channel",
    )
    yield Case(
        "one channel times a constant per channel",
        lambda g: g.Conv(g.Mul(g.input(1, 1, 5, 6), g.weight(3, 1, 1)), g.weight(4, 3, 3, 3)),
        refuses="the constant may enlarge its data",
    )
    yield Case(
        "a constant that makes the result larger",
        lambda g: g.Mul(g.Conv(g.input(1, 3, 4, 4), g.weight(1, 3, 1, 1)), g.weight(1, 4, 1, 1)),
        refuses="the constant has another number of channels",
    )


def _square(g: CaseBuilder, shape: tuple[int, ...]) -> ir.Value:
    return g.Mul(g.Conv(g.input(1, 3, 4, 4), g.weight(4, 3, 1, 1)), g.weight(*shape))


def _overflowing(g: CaseBuilder) -> ir.Value:
    """A convolution of zeros stays zero, but infinite weights would make it not a number."""
    x = g.input(1, 1, 3, 3)
    conv = g.Conv(g.Sub(x, x), g.constant(np.full((1, 1, 1, 1), 1e30, np.float32)))
    return g.Mul(conv, g.constant(np.float32(1e30)))


def _underflowing(g: CaseBuilder) -> ir.Value:
    """1e30 · 1e-25 · 1e-25 is an ordinary number, but the two weights together are 0 in float32."""
    large = g.Exp(g.Add(g.Abs(g.input(1, 1, 3, 3)), g.constant(np.float32(69))))
    conv = g.Conv(large, g.constant(np.full((1, 1, 1, 1), 1e-25, np.float32)))
    return g.Mul(conv, g.constant(np.float32(1e-25)))


@fold_affine_into_conv.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, op_type=random.choice(CONVOLUTIONS))
    kind, after, first = random.choice(AFFINE), random.random() < 0.5, random.random() < 0.3
    channels = drawn.out_channels if after else int(drawn.data[1])
    shape = random.choice([(channels, *[1] * (len(drawn.filter) - 2)), (1,), ()])

    def build(g: CaseBuilder) -> ir.Value:
        weight = g.weight(*shape, low=0.5) if kind == "Div" else g.weight(*shape)
        data = drawn.of(g) if after else g.input(*drawn.data)
        made = g.record(kind, *((weight, data) if first and kind != "Div" else (data, weight)))
        assert isinstance(made, ir.Value)
        return made if after else drawn.of(g, made)

    where = "after" if after else "before"
    return Case(f"{kind} {list(shape)} {where} {drawn}", build, seed=random.getrandbits(32))
