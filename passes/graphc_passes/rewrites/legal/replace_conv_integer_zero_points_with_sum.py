"""Replace a zero point for each filter of a ConvInteger with a sum of the data that each filter sees.

Law    Σ (x − x₀)(w − z_k) = Σ (x − x₀)·w − z_k·Σ (x − x₀)      the sum once more a ConvInteger, by a filter of ones
Why    ONNX Runtime knows one zero point for all filters; models quantised per channel have one for each. Integers
       wrap around on both sides alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, read_convolution, require, rewrite
from graphc_passes.nodes.stated import attributes_of, spatial_sizes
from graphc_passes.sampling.convolutions import draw_conv


@rewrite("ConvInteger", numerics="exact")
def replace_conv_integer_zero_points_with_sum(root: View, op: Tape) -> ir.Value:
    data, filter_, data_zero = root.required("x"), root.required("w"), root.input("x_zero_point")
    zeros = root.required("w_zero_point")
    if filter_.shape is None or not filter_.shape.is_static() or zeros.shape is None:
        raise Refusal("the size of the filter is not known")
    outputs, *inner = (int(size) for size in filter_.shape.numpy())
    require(
        len(zeros.shape) == 1 and outputs > 1,
        "one zero point for all filters",
        conservative="every runtime has that",
    )
    _require_outputs(root, data, [outputs, *inner])
    given = attributes_of(root)
    ones = np.ones((1 if root.attr("group") == 1 else outputs, *inner), np.int8)
    products = op.ConvInteger(data, filter_, data_zero, **given)
    sums = op.ConvInteger(data, op.constant(ones, like=filter_, name="ones"), data_zero, **given)
    per_filter = op.constant([-1, *[1] * (len(inner) - 1)])
    shifts = op.Reshape(op.Cast(zeros, to=ir.DataType.INT32.value), per_filter)
    return op.Sub(products, op.Mul(sums, shifts))


def _require_outputs(root: View, data: ir.Value, filter_: list[int]) -> None:
    """Raises Refusal where there are none, or ONNX Runtime refuses the padding."""
    require(
        root.attr("auto_pad") in ("NOTSET", "VALID"),
        "auto_pad pads it",
        conservative="replace-auto-pad-with-pads makes the pads explicit first",
    )
    nest = read_convolution(root, [1, filter_[1] * root.attr("group"), *spatial_sizes(data)], filter_)
    if 0 in (*nest.out_shape, *filter_):
        raise Refusal("the output or the filter is empty")


def _conv(
    g: CaseBuilder,
    x: tuple[int | str, ...],
    w: tuple[int, ...],
    dtype: ir.DataType = ir.DataType.UINT8,
    zeros: int | None = None,
    computed: bool = False,
    **attributes: Any,
) -> ir.Value:
    """`zeros` of them: one for each filter by default, 0 for a scalar."""
    data = g.input(*x, dtype=dtype)
    filter_ = g.constant(g.random.integers(0, 127, w), like=data)
    shape = [w[0] if zeros is None else zeros] if zeros != 0 else []
    shifts = g.constant(g.random.integers(0, 127, shape), like=data)
    if computed:
        shifts = g.Identity(g.input(w[0], dtype=dtype))
    return g.ConvInteger(data, filter_, g.constant(3, like=data), shifts, **attributes)


@replace_conv_integer_zero_points_with_sum.cases
def cases() -> Iterator[Case]:
    conv, case = partial(partial, _conv), partial(Case, oracle="reference")
    x, w = (1, 2, 5, 6), (3, 2, 3, 2)
    yield case("padded, strided", conv(x=x, w=w, pads=(1, 0, 1, 1), strides=(2, 1)))
    yield case("signed, dynamic", conv(x=("N", 2, "H", "W"), w=w, dtype=ir.DataType.INT8))
    yield case("grouped", conv(x=(2, 4, 5, 6), w=(6, 2, 2, 3), group=2, dilations=(2, 1)))
    yield case("1-D, computed", conv(x=(1, 2, 6), w=(3, 2, 3), computed=True))
    yield case("SAME", conv(x=x, w=w, auto_pad="SAME_UPPER"), refuses="auto_pad pads it")
    yield case("a scalar", conv(x=x, w=w, zeros=0), refuses="one zero point for all filters")


@replace_conv_integer_zero_points_with_sum.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, kernel=3, dilations=2, size=9)
    build = partial(
        _conv,
        x=drawn.data,
        w=drawn.filter,
        dtype=random.choice((ir.DataType.UINT8, ir.DataType.INT8)),
        computed=random.random() < 0.3,
        **{name: value for name, value in drawn.attributes.items() if name != "auto_pad"},
    )
    return Case(f"ConvInteger as {drawn}", build, seed=random.getrandbits(32), oracle="reference")
