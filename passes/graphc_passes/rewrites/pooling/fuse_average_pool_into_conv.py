"""Fuse an average pooling into the convolution that reads it: one convolution of a larger kernel and stride.

Law    conv(average_pool(x), w) = conv(x, W)        W[e] = Σ w[t] / K over the taps with e = s·d_conv·t + d_pool·u
       from i = s·o − p + d_pool·u and o = S·n − q + d_conv·t: stride s·S, begin pad p + s·q
Why    One pass over the data instead of two: a pool of 2 and a kernel of k become a kernel of 2k and stride 2, which is
       the form that a strided convolution has been distilled from; it takes more multiplications.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Axis, Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.averaging import Averaging
from graphc_passes.nodes.filters import survives
from graphc_passes.nodes.nests import both_sides, nest_over
from graphc_passes.nodes.stated import static_channels
from graphc_passes.sampling.pools import draw_average_pool


@rewrite("Conv", numerics="reassociates")
def fuse_average_pool_into_conv(root: View, op: Tape) -> ir.Value:
    pool = root.producer("X", "AveragePool")
    averaging, filter_ = Averaging.read(pool), root.constant("W").astype(np.float64)
    if not averaging.has_output:
        raise Refusal("no window of the pool fits its data")
    require(averaging.is_uniform, "some windows average fewer elements than others")
    fused = [_Fused.of(averaging, index, axis) for index, axis in enumerate(_outer(root, averaging))]
    for index, axis in enumerate(fused):
        filter_ = np.moveaxis(np.tensordot(filter_, axis.spread, (2 + index, 0)), -1, 2 + index)
    filter_, weights = filter_ / averaging.taps, root.required("W")
    require(survives(filter_, np.zeros(len(filter_)), weights), "the fused weights would underflow")
    return op.Conv(
        pool.required("X"),
        op.constant(filter_, like=weights, name="weight"),
        root.input("B"),
        group=root.attr("group"),
        strides=[axis.stride for axis in fused],
        dilations=[axis.dilation for axis in fused],
        pads=both_sides([axis.pads for axis in fused]),
    )


def _outer(root: View, averaging: Averaging) -> Sequence[Axis]:
    """The axes of the convolution, whose padding stands for means of nothing but padding."""
    channels = static_channels(root.required("X"))
    outer = nest_over(root, [1, channels, *(axis.output for axis in averaging.axes)]).axes
    if not averaging.is_static:
        require(
            not any(root.attr("pads") or ()) and root.attr("auto_pad") in ("NOTSET", "VALID"),
            "a size that is not known decides what the padding would see",
        )
        return outer
    for inner, axis in zip(averaging.axes, outer, strict=True):
        if axis.output == 0:
            raise Refusal("nothing comes out")
        begin, end = (max(0, pad) for pad in axis.pads)
        in_front, behind = inner.preceded_by(begin), replace(inner, output=inner.output + end)
        seen = inner.effective_macs
        require(in_front.effective_macs == seen, "a window in the padding in front would see data")
        require(behind.effective_macs == seen, "a window in the padding behind would see data")
    return outer


@dataclass(frozen=True)
class _Fused:
    """One axis of the fused convolution; `spread[t, e]` counts how often its tap e is part of tap t."""

    spread: np.ndarray
    stride: int
    dilation: int
    pads: tuple[int, int]

    @classmethod
    def of(cls, averaging: Averaging, index: int, outer: Axis) -> _Fused:
        """That axis of the pool, followed by `outer`."""
        kernel, stride, near = averaging.kernel[index], averaging.strides[index], averaging.dilations[index]
        far = stride * outer.step
        dilation = gcd(far * (outer.taps > 1), near * (kernel > 1)) or 1
        places = (far * np.arange(outer.taps)[:, None] + near * np.arange(kernel)) // dilation
        spread = np.zeros((outer.taps, int(places.max()) + 1))
        np.add.at(spread, (np.arange(outer.taps)[:, None], places), 1)
        pads = averaging.pads[index]
        if averaging.is_static:
            inner, begin = averaging.axes[index], pads[0] + stride * outer.pad
            whole = Axis(inner.input, outer.output, spread.shape[1], 1, stride * outer.down, begin, dilation)
            pads = (begin, max(0, whole.pads[1]))
        return cls(spread, stride * outer.down, dilation, pads)


def _case(
    name: str,
    pool: Mapping[str, object],
    conv: Mapping[str, object],
    refuses: str | None = None,
    *,
    data: tuple[int | str, ...] = (1, 2, 8, 7),
    kernel: tuple[int, ...] = (3, 2),
    group: int = 1,
) -> Case:
    def build(g: CaseBuilder) -> ir.Value:
        return g.Conv(
            g.AveragePool(g.input(*data), **pool), g.weight(4, 2 // group, *kernel), g.weight(4), group=group, **conv
        )

    return Case(name, build, refuses)


TWO = {"kernel_shape": (2, 2), "strides": (2, 2)}


@fuse_average_pool_into_conv.cases
def cases() -> Iterator[Case]:
    yield _case("pool 2, kernel 3 x 2", TWO, {})
    yield _case("grouped and strided", TWO, {"strides": (2, 1)}, group=2)
    yield _case("padded where no window sees data", TWO, {"pads": (1, 1, 1, 0)})
    yield _case("windows that overlap", {"kernel_shape": (3, 2), "strides": (2, 1)}, {})
    yield _case("windows with gaps, dilated", {"kernel_shape": (1, 2), "strides": (2, 2)}, {"dilations": (1, 2)})
    yield _case("dilated alike", {"kernel_shape": (2, 2), "dilations": (2, 2), "strides": (2, 1)}, {})
    yield _case(
        "padding that counts", {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1,) * 4, "count_include_pad": 1}, {}
    )
    yield _case("SAME_LOWER", TWO, {"auto_pad": "SAME_LOWER"}, data=(1, 2, 8, 8))
    yield _case("1-D", {"kernel_shape": (2,), "strides": (2,)}, {}, data=(1, 2, 9), kernel=(3,))
    yield _case("a dynamic size", TWO, {}, data=("N", 2, "H", "W"), kernel=(2, 2))
    yield _case(
        "padding that does not count",
        {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)},
        {},
        "some windows average fewer elements than others",
    )
    yield _case(
        "windows that overlap the front",
        {"kernel_shape": (3, 3)},
        {"pads": (1, 0, 0, 0)},
        "a window in the padding in front would see data",
    )
    yield _case(
        "windows with gaps, of which the second sees data",
        {"kernel_shape": (2, 2), "dilations": (3, 1), "pads": (1, 0, 1, 0), "count_include_pad": 1},
        {"pads": (2, 0, 0, 0)},
        "a window in the padding in front would see data",
        data=(1, 2, 2, 4),
        kernel=(2, 2),
    )
    yield _case("an odd size", TWO, {"pads": (0, 0, 0, 1)}, "a window in the padding behind would see data")
    yield _case(
        "a dynamic size and padding",
        TWO,
        {"pads": (0, 0, 1, 0)},
        "a size that is not known decides what the padding would see",
        data=(1, 2, "H", 8),
        kernel=(2, 2),
    )
    yield Case("weights that underflow", _underflowing, refuses="the fused weights would underflow")


def _underflowing(g: CaseBuilder) -> ir.Value:
    """A mean of 1e35 · 1e-45 is an ordinary number; 1e-45 / 4 is 0 in float32."""
    large = g.Mul(g.input(1, 1, 2, 2), g.constant(np.float32(1e35)))
    return g.Conv(g.AveragePool(large, kernel_shape=(2, 2)), g.constant(np.full((1, 1, 1, 1), 1e-45, np.float32)))


@fuse_average_pool_into_conv.samples
def samples(random: Random) -> Case:
    drawn = draw_average_pool(random, ranks=(1, 2, 2), kernel=3, size=12, plain=0.7)
    rank, group = len(drawn.data) - 2, random.choice((1, 1, 2))
    data = (drawn.data[0], 2, *drawn.data[2:])
    kernel = [random.randint(1, 3) for _ in range(rank)]
    conv: dict[str, object] = {
        "strides": [random.randint(1, 2) for _ in range(rank)],
        "dilations": [random.randint(1, 2) for _ in range(rank)],
    }
    if random.random() < 0.3:
        conv["pads"] = [random.randint(0, 2) for _ in range(2 * rank)]
    elif random.random() < 0.2:
        conv["auto_pad"] = random.choice(("SAME_UPPER", "SAME_LOWER", "VALID"))

    def build(g: CaseBuilder) -> ir.Value:
        bias = g.weight(4) if group == 2 else None
        return g.Conv(drawn.of(g, g.input(*data)), g.weight(4, 2 // group, *kernel), bias, group=group, **conv)

    return Case(f"{drawn} then Conv {kernel} {conv}", build, seed=random.getrandbits(32), oracle=drawn.oracle)
