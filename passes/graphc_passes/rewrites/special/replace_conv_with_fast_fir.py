"""Replace a convolution whose rows are read two by two with a fast filter: three shorter ones make each two rows.

Law    y = conv(x, w), rows o of y and r of x, taps t, pad p, w zero where it has no tap:
           y[2i]     = q[i] + Σ over even t of (w[t] − w[t−1])·x[2i − p + t]
           y[2i + 1] = q[i] + Σ over even t of (w[t] − w[t+1])·x[2i − p + t + 1]
           q[i]      =        Σ over odd t of w[t]·(x[2i − p + t] + x[2i − p + t + 1])
       The sums of two rows are twice an average pool that counts its padding. An activation of y is one of its even
       rows and of its odd rows, and a reader of even row stride the sum of a reader of each: y is never put together.
Why    k odd rows of the kernel cost (3k + 1)/2 multiplications for two outputs instead of 2k, 8 for 10 of 5×5, and one
       pool (the two-parallel fast FIR: Mou & Duhamel, IEEE TSP 1991; Parker & Parhi, 1997). Its transforms are sums and
       means of two, so roundings weigh at most twice as much. ONNX Runtime runs a convolution of whole blocks at the
       peak of the machine, where only fewer multiplications make it faster, and adds q inside the convolutions. SRCNN
       9-5-5 (5×5, 64 to 32 channels) runs 1.13 times as fast, 9×9 from 32 to 64 channels 1.2 times. Kernels of three
       rows, few outputs and small images do not pay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import prod
from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Axis, Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.elementwise import UNARY, Elementwise
from graphc_passes.nodes.filters import survives
from graphc_passes.nodes.nests import both_sides
from graphc_passes.nodes.windows import Window, WindowedConv
from graphc_passes.sampling.convolutions import DrawnConv, draw_conv, plain_conv

LANES = 16  # of AVX-512


@rewrite("Conv", numerics="reassociates", improves=("macs",))
def replace_conv_with_fast_fir(
    root: View, op: Tape, *, lanes: int = LANES, least_saved: int = 128, least_saved_in_all: int = 50_000_000
) -> ir.Value:
    reader, last = WindowedConv.read(root), root.producer("X", "Conv", *UNARY)
    activation = None if last.op_type == "Conv" else Elementwise.read(last, 2 + len(reader.windows))
    conv = WindowedConv.read(last if activation is None else last.made_by(activation.data, "Conv"))
    rows, whole = conv.windows[0], conv.view.constant("W").astype(np.float64)
    _readable(rows, reader.windows[0])
    require(
        conv.in_channels // conv.groups % lanes == conv.out_channels // conv.groups % lanes == 0,
        "its channels are no whole blocks of lanes",
        conservative="it would be slower: other kernels lose more on strides and dilations than is saved",
    )
    filters = _filters(whole)
    saved = (2 * rows.taps - sum(each.shape[2] for each in filters)) * (whole[:, :, 0].size * rows.axis.output // 2)
    saved *= prod(window.axis.output for window in conv.windows[1:])
    require(
        saved >= least_saved * conv.in_channels * prod(window.axis.input for window in conv.windows)
        and saved >= least_saved_in_all,
        "few multiplications are saved",
        conservative="it would be slower: the pool and the nodes that are more cost as much",
    )
    require(all(survives(each, np.zeros(len(each)), conv.filter) for each in filters), "the new weights would overflow")
    halves = _halves(op, conv, filters)
    return _read(op, reader, halves if activation is None else [activation.remade(op, each) for each in halves])


def _readable(rows: Window, reader: Window) -> None:
    """Raises Refusal unless the rows of a convolution may come apart into even and odd ones for that reader."""
    if not (rows.known and reader.known):
        raise Refusal("the number of rows is not known")
    if (rows.stride, rows.dilation, reader.dilation) != (1, 1, 1) or min(rows.taps, reader.taps) < 2:
        raise Refusal("it skips rows, its reader is dilated, or one of them has one tap")
    if max(rows.pads) >= rows.taps:
        raise Refusal("some outputs are of padding alone")
    if rows.begin == 0:
        raise Refusal("nothing is padded in front of the rows: the first pair would begin before them")
    if reader.stride % 2:
        raise Refusal("its reader does not move by pairs of rows")
    require(rows.axis.output % 2 == 0, "its rows are no pairs")


def _filters(whole: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Those of the averages of two rows, of the rows that even outputs begin at, and of those that odd ones do."""
    framed = np.pad(whole, [(0, 0), (0, 0), (1, 1), *[(0, 0)] * (whole.ndim - 3)])
    with np.errstate(invalid="ignore"):
        steps = np.diff(framed, axis=2)
    return 2 * whole[:, :, 1::2], steps[:, :, 0::2], -steps[:, :, 1::2]


def _halves(op: Tape, conv: WindowedConv, filters: tuple[np.ndarray, ...]) -> list[ir.Value]:
    """The even rows of its output, and the odd ones."""
    rows, others = conv.windows[0], conv.windows[1:]
    size, half, begin = rows.axis.input, rows.axis.output // 2, rows.begin
    paired, even, odd = filters
    skipped, lead = divmod(begin - 1, 2)
    pairs = min((size + lead + 1) // 2, half + paired.shape[2] - 1 - skipped)
    pool = Axis(size, pairs, 2, 1, 2, lead)
    ones, none = [1] * len(others), [(0, 0)] * len(others)
    mean = op.AveragePool(
        conv.data,
        kernel_shape=[2, *ones],
        strides=[2, *ones],
        pads=both_sides([_pads(pool), *none]),
        count_include_pad=1,
    )

    def made(data: ir.Value, filter_: np.ndarray, axis: Axis, bias: ir.Value | None = None) -> ir.Value:
        return _conv(op, conv, data, filter_, axis, bias)

    both = made(mean, paired, Axis(pairs, half, paired.shape[2], 1, 1, skipped), conv.bias)
    return [
        op.Add(made(conv.data, even, Axis(size, half, even.shape[2], 1, 2, begin, 2)), both),
        op.Add(made(conv.data, odd, Axis(size, half, odd.shape[2], 1, 2, begin - 1, 2)), both),
    ]


def _read(op: Tape, reader: WindowedConv, halves: list[ir.Value]) -> ir.Value:
    """The sum of what it makes of the even rows and of the odd ones."""
    rows, whole = reader.windows[0], reader.view.constant("W")
    made = []
    for parity, half in enumerate(halves):
        first = (rows.begin + parity) % 2
        filter_, pad = whole[:, :, first::2], (rows.begin + parity - first) // 2
        axis = Axis(rows.axis.input // 2, rows.axis.output, filter_.shape[2], 1, rows.stride // 2, pad)
        if axis.pads[1] <= -axis.down:
            raise Refusal("its reader would read more of the even rows, or of the odd ones")
        made.append(_conv(op, reader, half, filter_, axis, None if parity else reader.bias))
    return op.Add(*reversed(made))


def _conv(
    op: Tape, conv: WindowedConv, data: ir.Value, filter_: np.ndarray, rows: Axis, bias: ir.Value | None
) -> ir.Value:
    """The same convolution with other rows."""
    others = conv.windows[1:]
    weight = op.constant(filter_, like=conv.filter, name="weight")
    return op.Conv(
        *([data, weight] if bias is None else [data, weight, bias]),  # ONNX Runtime blocks none whose bias is ""
        group=conv.groups,
        strides=[rows.down, *(window.stride for window in others)],
        dilations=[rows.step, *(window.dilation for window in others)],
        pads=both_sides([_pads(rows), *(window.pads for window in others)]),
    )


def _pads(axis: Axis) -> tuple[int, int]:
    """Those of the operator: what lies behind the last window needs no cropping."""
    begin, end = axis.pads
    return begin, max(0, end)


ANY: dict[str, Any] = {"lanes": 1, "least_saved": 0, "least_saved_in_all": 0}


def _build(g: CaseBuilder, conv: DrawnConv, reader: DrawnConv, activation: str = "Relu") -> ir.Value:
    made = conv.of(g)
    return reader.of(g, g.record(activation, made) if activation else made)


def _case(
    name: str,
    conv: DrawnConv,
    reader: tuple[int, ...] = (2, 4, 4, 4),
    activation: str = "Relu",
    options: dict[str, Any] = ANY,
    refuses: str | None = None,
    **attributes: Any,
) -> Case:
    given: dict[str, Any] = {"strides": [2] * (len(reader) - 2), "pads": [1] * (2 * len(reader) - 4)} | attributes
    read = plain_conv((), reader, **given)
    build = partial(_build, conv=conv, reader=read, activation=activation)
    return Case(name, build, options=options, refuses=refuses)


@replace_conv_with_fast_fir.cases
def cases() -> Iterator[Case]:
    x, w, two = (1, 3, 8, 6), (4, 3, 5, 5), [2, 2, 2, 2]
    plain = plain_conv(x, w, bias=True, pads=two)
    yield _case("kernel 5", plain)
    yield _case("kernel 3, no activation", plain_conv(x, (4, 3, 3, 3), pads=[1, 1, 1, 1]), activation="")
    yield _case("kernel 4, a leaky activation", plain_conv(x, (4, 3, 4, 3), pads=[1, 1, 2, 1]), activation="LeakyRelu")
    yield _case("a tall kernel, all of the pads in front", plain_conv(x, (4, 3, 7, 1), pads=[6, 0, 0, 0]))
    yield _case("an odd size, biased twice", plain_conv((1, 3, 9, 6), w, bias=True, pads=[2, 2, 1, 2]), bias=True)
    yield _case("a stride of 4", plain, (2, 4, 6, 3), strides=[4, 1], pads=[2, 1, 1, 0])
    yield _case("more pads than taps of the reader", plain, (2, 4, 2, 2), pads=[3, 0, 2, 0])
    beside: dict[str, Any] = {"strides": [1, 2], "dilations": [1, 2], "pads": [1, 3, 1, 2], "group": 2}
    yield _case("grouped, strided and dilated along the columns", plain_conv((2, 4, 6, 9), (4, 2, 3, 3), **beside))
    yield _case("columns and batch of any size", plain_conv(("N", 3, 8, "W"), w, pads=two))
    yield _case("1-D", plain_conv((1, 3, 10), (4, 3, 5), pads=[2, 2]), (2, 4, 4))
    yield _case("3-D", plain_conv((1, 3, 4, 3, 4), (4, 3, 3, 2, 2), pads=[1, 0, 0, 1, 1, 1]), (2, 4, 2, 2, 2))
    yield _case("SAME_LOWER", plain_conv(x, (4, 3, 4, 4), auto_pad="SAME_LOWER"))
    blocks = plain_conv((1, 16, 8, 6), (16, 16, 5, 5), pads=two)
    yield _case("of blocks", blocks, (2, 16, 4, 4), options={**ANY, "lanes": LANES})
    few, skips = "few multiplications are saved", "it skips rows, its reader is dilated, or one of them has one tap"
    for name, conv, reason in (
        ("an odd number of rows", plain_conv((1, 3, 9, 6), w, pads=two), "its rows are no pairs"),
        ("no pads", plain_conv(x, w), "nothing is padded in front of the rows: the first pair would begin before them"),
        ("a dynamic size", plain_conv((1, 3, "H", 6), w, pads=two), "the number of rows is not known"),
        ("strided", plain_conv(x, w, pads=two, strides=[2, 1]), skips),
        ("a row of padding", plain_conv(x, w, pads=[5, 2, 2, 2]), "some outputs are of padding alone"),
        ("kernel 2", plain_conv(x, (4, 3, 2, 5), pads=[1, 2, 0, 2]), "it would not be cheaper here"),
    ):
        yield _case(name, conv, refuses=reason)
    yield _case("read by ones", plain, strides=[1, 2], refuses="its reader does not move by pairs of rows")
    yield _case("read by threes", plain, strides=[3, 2], refuses="its reader does not move by pairs of rows")
    yield _case("a dilated reader", plain, (2, 4, 2, 2), dilations=[3, 1], refuses=skips)
    yield _case(
        "the last row is not read",
        plain,
        (2, 4, 3, 3),
        pads=[0, 0, 0, 0],
        refuses="its reader would read more of the even rows, or of the odd ones",
    )
    yield _case(
        "four channels", plain, options={**ANY, "lanes": 8}, refuses="its channels are no whole blocks of lanes"
    )
    yield _case("little work", blocks, (2, 16, 4, 4), options={}, refuses=few)
    yield _case("a small image", blocks, (2, 16, 4, 4), options={"least_saved": 1}, refuses=few)
    yield Case("weights that overflow", _overflowing, options=ANY, refuses="the new weights would overflow")
    yield Case("it is read twice", partial(_twice, plain), options=ANY, refuses="it would not be cheaper here")


def _overflowing(g: CaseBuilder) -> ir.Value:
    """Data of zeros stays zero, but infinite weights would make it not a number."""
    x, large = g.input(1, 1, 8, 8), np.full((1, 1, 3, 3), 3e38, np.float32)
    made = g.Conv(g.Sub(x, x), g.constant(large), pads=(1, 1, 1, 1))
    return g.Conv(made, g.weight(1, 1, 4, 4), pads=(1, 1, 1, 1), strides=(2, 2))


def _twice(conv: DrawnConv, g: CaseBuilder) -> tuple[ir.Value, ir.Value]:
    made = g.Relu(conv.of(g))
    return g.Conv(made, g.weight(1, 4, 2, 2), strides=(2, 2)), g.Neg(made)


@replace_conv_with_fast_fir.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, strides=1, kernel=7, size=12, groups=(1, 1, 2))
    rank = len(drawn.filter) - 2
    given = {**drawn.attributes, "dilations": [1, *drawn.attributes["dilations"][1:]]}
    if "pads" in given and random.random() < 0.8:  # rows that are padded, and come in pairs but for chance
        begin, end = random.randint(1, 3), random.randint(0, 3)
        given["pads"][0], given["pads"][rank] = begin, end
        rows = drawn.filter[2] - begin - end + 2 * random.randint(1, 5) + random.choice((-1, -1, -1, 0))
        drawn = replace(drawn, data=(*drawn.data[:2], max(1, rows), *drawn.data[3:]))
    conv = replace(drawn, attributes=given)
    attributes: dict[str, Any] = {
        "strides": [random.choice((2, 2, 2, 4, 3)), *(random.randint(1, 2) for _ in range(rank - 1))],
        "pads": [random.randint(0, 3) for _ in range(2 * rank)],
    }
    shape = (random.randint(1, 2), conv.filter[0], *(random.randint(1, 6 if axis == 0 else 3) for axis in range(rank)))
    reader = plain_conv((), shape, bias=random.random() < 0.5, **attributes)
    build = partial(_build, conv=conv, reader=reader, activation=random.choice(("", "Relu", "Tanh")))
    opset = random.choice((9, 13, 20))
    return Case(f"{conv} {reader}", build, options=ANY, seed=random.getrandbits(32), opset=opset, oracle=conv.oracle)
