"""Replace an average pooling with a depthwise convolution, and a map where windows average fewer elements.

Law    average_pool(x) = conv(x, 1/K, groups = C) · (K / count)     K = the taps of a window, count = what it averages
       The map K / count is 1 where the padding counts or there is none; else it depends on the size (the end of a
       `ceil_mode` window never counts).
Why    A convolution meets other convolutions: it merges with them, folds scales, and runs where pooling does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Tape, View, require, rewrite
from graphc_passes.nodes.averaging import Averaging
from graphc_passes.nodes.stated import static_channels
from graphc_passes.sampling.pools import draw_average_pool


@rewrite("AveragePool", numerics="reassociates")
def replace_average_pool_with_depthwise_conv(pool: View, op: Tape) -> ir.Value:
    averaging, data = Averaging.read(pool), pool.required("X")
    require(averaging.has_output, "nothing comes out")
    made = averaging.depthwise(op, data, static_channels(data))
    if averaging.is_uniform:
        return made
    fewer = averaging.taps / np.maximum(averaging.counts, 1)  # the mean of nothing is 0
    return op.Mul(made, op.constant(fewer[None, None], like=data, name="map"))


@replace_average_pool_with_depthwise_conv.cases
def cases() -> Iterator[Case]:
    yield _case("no padding", (1, 3, 5, 6), kernel_shape=(2, 3), strides=(2, 1))
    yield _case("padding that counts", (2, 3, 5, 6), kernel_shape=(3, 3), pads=(1, 1, 0, 1), count_include_pad=1)
    yield _case("padding that does not count", (1, 3, 5, 6), kernel_shape=(3, 3), pads=(1, 1, 1, 1), strides=(2, 2))
    yield _case("ceil_mode", (1, 3, 6, 5), kernel_shape=(3, 3), strides=(2, 2), ceil_mode=1)
    yield _case(
        "ceil_mode beyond padding that counts",
        (1, 2, 6, 5),
        kernel_shape=(3, 3),
        strides=(2, 2),
        pads=(1, 1, 0, 1),
        ceil_mode=1,
        count_include_pad=1,
    )
    yield _case("dilated", (1, 3, 6, 7), kernel_shape=(3, 2), dilations=(2, 3), pads=(1, 1, 1, 1))
    yield _case("SAME_UPPER", (1, 3, 5, 6), kernel_shape=(2, 3), strides=(2, 2), auto_pad="SAME_UPPER")
    yield Case(
        "SAME_LOWER with a dilation",  # ONNX Runtime gives it another size
        lambda g: g.AveragePool(
            g.input(1, 2, 5, 6), kernel_shape=(2, 3), dilations=(2, 1), auto_pad="SAME_LOWER", count_include_pad=1
        ),
        oracle="reference",
    )
    yield _case("1-D, VALID", (1, 3, 7), kernel_shape=(3,), strides=(2,), auto_pad="VALID")
    yield _case("3-D", (1, 2, 4, 3, 4), kernel_shape=(2, 3, 2), pads=(1, 1, 0, 0, 1, 0), count_include_pad=1)
    yield _case("a dynamic size", ("N", 3, "H", "W"), kernel_shape=(3, 3), pads=(1, 1, 1, 1), count_include_pad=1)
    yield Case("opset 9", lambda g: g.AveragePool(g.input(1, 3, 5, 6), kernel_shape=(2, 2)), opset=9)
    yield _case("a window larger than its data", (1, 2, 1, 3), "nothing comes out", kernel_shape=(2, 2))
    yield _case(
        "a window that sees nothing",
        (1, 2, 1, 3),
        kernel_shape=(2, 2),
        dilations=(2, 1),
        pads=(1, 0, 1, 0),
    )
    yield _case(
        "a dynamic size that the map depends on",
        (1, 3, "H", 6),
        "the windows depend on a size that is not known",
        kernel_shape=(3, 3),
        pads=(1, 1, 1, 1),
    )


def _case(name: str, shape: tuple[int | str, ...], refuses: str | None = None, **attributes: object) -> Case:
    """ONNX Runtime is wrong about SAME pads where a dilation or a large stride meets them, as in some neighbours."""

    def build(g: CaseBuilder) -> ir.Value:
        return g.AveragePool(g.input(*shape), **attributes)

    return Case(name, build, refuses, oracle="reference" if "SAME_UPPER" in attributes.values() else "runtime")


@replace_average_pool_with_depthwise_conv.samples
def samples(random: Random) -> Case:
    drawn = draw_average_pool(random)
    return Case(str(drawn), drawn.of, oracle=drawn.oracle)
