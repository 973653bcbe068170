"""Fold a Pad into the padding of the pooling that follows: zeros into a mean, minus infinity into a maximum.

Law    mean(pad(x, 0)) = mean of x padded, the padding counted
       max(pad(x, −∞)) = max of x padded     zeros do as well where no data is negative, and else are wrong
Why    one full read and write of the activation less.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.padding import Padding
from graphc_passes.nodes.stated import attributes_of

POOLS = ("AveragePool", "MaxPool")
NEVER_NEGATIVE = ("Abs", "Exp", "Relu", "Sigmoid", "Softplus")


@rewrite(*POOLS, numerics="reassociates", improves=("bytes", "nodes"))
def fold_pad_into_pool(pool: View, op: Tape) -> ir.Value:
    pad = pool.producer("X", "Pad")
    padding, rank = Padding.read(pad), len(pool.attr("kernel_shape"))
    require(padding.mode == "constant", "the padding reflects, repeats or wraps")
    require(_is_neutral(padding.value, pool, pad.required("data")), "the padding is not what the pooling adds")
    if not padding.spatial_only:
        raise Refusal("the batch or the channels are padded")
    if 0 in (pad.required("data").shape or ()):
        raise Refusal("there is no data")
    require(not padding.crops, "a negative pad crops")
    require(pool.attr("auto_pad") in ("NOTSET", "VALID"), "auto_pad depends on the padded size")
    require(not pool.attr("ceil_mode"), "ceil_mode: windows may begin in a Pad, but not in pads")
    require(set(pool.attr("dilations") or (1,)) == {1}, "dilated: a window may meet no data")
    stated = pool.attr("pads") if pool.attr("auto_pad") == "NOTSET" else None
    own = np.asarray(stated or [0] * (2 * rank)).reshape(2, -1)
    attributes = attributes_of(pool)
    if pool.op_type == "AveragePool":
        attributes["count_include_pad"] = _counted(pool, own)
    pads = np.stack([padding.before[2:], padding.after[2:]]) + own
    require((pads < pool.attr("kernel_shape")).all(), "a window would meet nothing but padding")
    return op.record(
        pool.op_type, pad.required("data"), **attributes | {"pads": pads.reshape(-1).tolist(), "auto_pad": "NOTSET"}
    )


def _is_neutral(value: float, pool: View, data: ir.Value) -> bool:
    """Whether padding with it is what the pooling does by itself."""
    if pool.op_type == "AveragePool":
        return value == 0
    maker = data.producer()
    never_negative = maker is not None and maker.op_type in NEVER_NEGATIVE and not maker.domain
    return value == -np.inf or (value <= 0 and never_negative)


def _counted(pool: View, own: np.ndarray) -> int:
    """What count_include_pad has to be: a Pad counts, so the own pads must, too."""
    if pool.opset < 7:
        raise Refusal("AveragePool before opset 7 counts no pads")
    require(pool.attr("count_include_pad") or not own.any(), "the own pads are not counted, those of the Pad are")
    return 1


def _padded(g: CaseBuilder, value: float | None = None, **attributes: Any) -> ir.Value:
    """1 and 2 in front, 0 and 1 behind."""
    filled = None if value is None else g.constant(np.asarray(value, g.dtype.numpy()))
    return g.Pad(g.input(1, 2, 5, 6), g.constant([0, 0, 1, 2, 0, 0, 0, 1]), filled, **attributes)


@fold_pad_into_pool.cases
def cases() -> Iterator[Case]:
    yield Case("a mean", lambda g: g.AveragePool(_padded(g), kernel_shape=(3, 3), strides=(2, 1)))
    yield Case(
        "a mean that counts its own pads",
        lambda g: g.AveragePool(_padded(g), kernel_shape=(3, 4), pads=(1, 1, 0, 0), count_include_pad=1),
    )
    yield Case(
        "a mean, a dynamic size",
        lambda g: g.AveragePool(g.Pad(g.input("N", 2, "L"), g.constant([0, 0, 1, 0, 0, 1])), kernel_shape=(2,)),
    )
    yield Case("a maximum", lambda g: g.MaxPool(_padded(g, -np.inf), kernel_shape=(3, 3), pads=(0, 0, 2, 0)))
    yield Case(
        "zeros into a maximum after a ReLU",
        lambda g: g.MaxPool(
            g.Pad(g.Relu(g.input(1, 2, 5, 6)), g.constant([0, 0, 1, 1, 0, 0, 1, 1])),
            kernel_shape=(3, 3),
            strides=(2, 2),
        ),
    )
    yield Case(
        "ones into a maximum after a ReLU",
        lambda g: g.MaxPool(
            g.Pad(g.Relu(g.input(1, 2, 5)), g.constant([0, 0, 1, 0, 0, 0]), g.constant(np.float32(1))),
            kernel_shape=(2,),
        ),
        refuses="the padding is not what the pooling adds",
    )
    yield Case(
        "opset 9",
        lambda g: g.AveragePool(g.Pad(g.input(1, 2, 6), pads=[0, 0, 1, 0, 0, 1]), kernel_shape=(3,)),
        opset=9,
    )
    yield Case(
        "zeros into a maximum",
        lambda g: g.MaxPool(_padded(g), kernel_shape=(3, 3)),
        refuses="the padding is not what the pooling adds",
    )
    yield Case(
        "ones into a mean",
        lambda g: g.AveragePool(_padded(g, 1), kernel_shape=(3, 3)),
        refuses="the padding is not what the pooling adds",
    )
    yield Case(
        "a mean that does not count its own pads",
        lambda g: g.AveragePool(_padded(g), kernel_shape=(3, 4), pads=(1, 1, 0, 0)),
        refuses="the own pads are not counted, those of the Pad are",
    )
    yield Case(
        "reflected",
        lambda g: g.AveragePool(_padded(g, mode="reflect"), kernel_shape=(3, 3)),
        refuses="the padding reflects, repeats or wraps",
    )
    yield Case(
        "channels",
        lambda g: g.AveragePool(g.Pad(g.input(1, 2, 5), g.constant([0, 1, 0, 0, 0, 0])), kernel_shape=(2,)),
        refuses="the batch or the channels are padded",
    )
    yield Case(
        "a crop",
        lambda g: g.AveragePool(
            g.Pad(g.input(1, 2, 5), g.constant([0, 0, -1, 0, 0, 0])),
            kernel_shape=(2,),
            pads=(1, 0),
            count_include_pad=1,
        ),
        refuses="a negative pad crops",
    )
    yield Case(
        "auto_pad",
        lambda g: g.AveragePool(
            g.Pad(g.input(1, 2, "W"), g.constant([0, 0, 1, 0, 0, 0])),
            kernel_shape=(3,),
            strides=(2,),
            auto_pad="SAME_UPPER",
        ),
        refuses="auto_pad depends on the padded size",
    )
    yield Case(
        "a window that begins in the Pad",
        lambda g: g.AveragePool(
            g.Pad(g.input(1, 2, "W"), g.constant([0, 0, 0, 0, 0, 1])), kernel_shape=(2,), strides=(5,), ceil_mode=1
        ),
        refuses="ceil_mode: windows may begin in a Pad, but not in pads",
    )
    yield Case(
        "a dilated window around one element",
        lambda g: g.MaxPool(
            g.Pad(g.input(1, 2, 1), g.constant([0, 0, 1, 0, 0, 1]), g.constant(np.float32(-np.inf))),
            kernel_shape=(2,),
            dilations=(2,),
        ),
        refuses="dilated: a window may meet no data",
    )
    yield Case(
        "a pad as wide as the window",
        lambda g: g.AveragePool(g.Pad(g.input(1, 2, 5), g.constant([0, 0, 2, 0, 0, 0])), kernel_shape=(2,)),
        refuses="a window would meet nothing but padding",
    )
    yield Case(
        "no data",
        lambda g: g.AveragePool(g.Pad(g.input(1, 2, 0), g.constant([0, 0, 1, 0, 0, 1])), kernel_shape=(2,)),
        refuses="there is no data",
    )
    yield Case(
        "opset 6",
        lambda g: g.AveragePool(g.Pad(g.input(1, 2, 5), pads=[0, 0, 1, 0, 0, 0]), kernel_shape=(2,)),
        refuses="AveragePool before opset 7 counts no pads",
        opset=6,
    )


@fold_pad_into_pool.samples
def samples(random: Random) -> Case:
    rank, kind, opset = random.randint(1, 3), random.choice(POOLS), random.choice((9, 11, 13, 18, 20))
    kernel = [random.randint(1, 4) for _ in range(rank)]
    widths = [[0, 0, *(random.randrange(size) for size in kernel)] for _ in range(2)]
    own = [random.randrange(2) if random.random() < 0.3 else 0 for _ in range(2 * rank)]
    value = random.choice((-np.inf, -np.inf, 0.0)) if kind == "MaxPool" else random.choice((0.0, 0.0, 0.0, 1.0))
    attributes: dict[str, Any] = {
        "kernel_shape": kernel,
        "strides": [random.randint(1, 3) for _ in kernel],
        "pads": own,
        "count_include_pad": random.randrange(2) if kind == "AveragePool" else None,
        "ceil_mode": 1 if opset >= 18 and random.random() < 0.1 else None,
    }
    shape = [random.choice((1, 2, "N")), 2, *(random.choice((3, 4, 6, "W")) for _ in kernel)]

    def build(g: CaseBuilder) -> ir.Value:
        x, pads = g.input(*shape), widths[0] + widths[1]
        if g.opset < 11:
            x = g.Pad(x, pads=pads, value=value)
        else:
            x = g.Pad(x, g.constant(pads), g.constant(np.float32(value)))
        return g.record(kind, x, **attributes)

    return Case(f"{shape} {widths} {value} {kind} {attributes}", build, opset=opset, seed=random.getrandbits(32))
