"""Fold a Mul, Add, Sub or Div by a constant per channel into the convolution before or after it.

Law    conv(x, w, b)·s + t = conv(x, w·s, b·s + t)
       conv(x·s + t, w, b) = conv(x, w·s, b + Σ w·t)     the shift only where no padding meets it
Why    one full read and write of the activation less.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, constant, require, rewrite
from graphc_passes.filters import ConstantConv, per_channel, survives

AFFINE = ("Mul", "Add", "Sub", "Div")
CONVOLUTIONS = ("Conv", "ConvTranspose")


@rewrite(*AFFINE, *CONVOLUTIONS, numerics="reassociates", improves=("bytes", "nodes"))
def fold_affine_into_conv(root: View, op: Tape) -> ir.Value:
    if root.op_type in CONVOLUTIONS:
        return _fold_before(root, op)
    data, content, constant_first = _operands(root)
    conv = ConstantConv.read(root.made_by(data, *CONVOLUTIONS))
    scale, shift = _affine(root, per_channel(content, conv.rank, conv.out_channels), constant_first)
    with np.errstate(invalid="ignore"):
        filter_, bias = conv.scale_outputs(scale), conv.bias * scale + shift
    return _remade(conv, op, conv.view.required("X"), filter_, bias)


def _fold_before(root: View, op: Tape) -> ir.Value:
    affine = root.producer("X", *AFFINE)
    conv = ConstantConv.read(root)
    data, content, constant_first = _operands(affine)
    require(_channels(data, conv.rank) == conv.in_channels, "the constant may enlarge its data")
    scale, shift = _affine(affine, per_channel(content, conv.rank, conv.in_channels), constant_first)
    if not shift.any():
        return _remade(conv, op, data, conv.scale_inputs(scale), conv.bias)
    require(not conv.transposed, "a shift before a transposed convolution acts differently at the border")
    require(
        not any(root.attr("pads") or ()) and root.attr("auto_pad") in ("NOTSET", "VALID"),
        "the padding is not shifted: its border would differ",
    )
    taps = conv.scale_inputs(shift).sum(axis=tuple(range(1, conv.rank)))
    return _remade(conv, op, data, conv.scale_inputs(scale), conv.bias + taps)


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
        "Add before, padded",
        lambda g: g.Conv(g.Add(g.input(1, 3, 5, 6), g.weight(3, 1, 1)), g.weight(4, 3, 3, 3), pads=(1, 1, 1, 1)),
        refuses="the padding is not shifted: its border would differ",
    )
    yield Case(
        "Add before transposed",
        lambda g: g.ConvTranspose(g.Add(g.input(1, 3, 5, 6), g.weight(3, 1, 1)), g.weight(3, 4, 3, 3)),
        refuses="a shift before a transposed convolution acts differently at the border",
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
