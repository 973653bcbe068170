"""Replace a convolution by a mixture of filters with one convolution by all of them, whose outputs are mixed.

Law    conv(x, Σ_e r_e·W_e) = Σ_e r_e·conv(x, W_e)      the filters of all experts side by side in one convolution
Why    a filter that is computed at run time (conditionally parameterised: Yang et al., NeurIPS 2019; dynamic
       convolution: Chen et al., CVPR 2020) cannot be packed, fused or folded in advance; for a few experts, constant
       filters are worth the E-fold multiplications. The mixture itself must hold for the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod
from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, constant, require, rewrite
from graphc_passes.nodes.rearranging import with_spatial_of
from graphc_passes.nodes.stated import attributes_of
from graphc_passes.sampling.convolutions import draw_conv


@rewrite("Conv", numerics="reassociates")
def replace_conditional_conv_with_experts(root: View, op: Tape, *, most_experts: int = 8) -> ir.Value:
    weights, group = root.required("W"), root.attr("group")
    shares, bank = _mixture(root)
    require(
        len(bank) <= most_experts,
        "too many experts",
        conservative="each costs a whole convolution",
    )
    experts, outputs = bank.shape[:2]
    by_group = bank.reshape(experts, group, outputs // group, *bank.shape[2:]).swapaxes(0, 1)
    made = op.Conv(
        root.required("X"),
        op.constant(by_group.reshape(experts * outputs, *bank.shape[2:]), like=weights, name="weight"),
        **attributes_of(root),
    )
    apart = op.Reshape(made, op.constant([0, group, experts, -1]))
    mixed = op.MatMul(op.Reshape(shares, op.constant([1, experts])), apart)
    result = with_spatial_of(op, mixed, outputs, made)
    bias = root.input("B")
    if bias is None:
        return result
    return op.Add(result, op.Reshape(bias, op.constant([-1, *[1] * (bank.ndim - 3)])))


def _mixture(root: View) -> tuple[ir.Value, np.ndarray]:
    """(the share of each expert, their filters [E, Cout, Cin/g, ...]). Raises Refusal for other filters."""
    maker = root.producer("W", "Reshape", "ReduceSum")
    shares, bank = _of_product(root, maker) if maker.op_type == "Reshape" else _of_sum(maker)
    if shares.shape is None or not shares.shape.is_static() or prod(shares.shape.numpy()) != len(bank):
        raise Refusal("not one share for each expert")
    if 0 in bank.shape:
        raise Refusal("a filter is empty")
    return shares, bank


def _of_product(root: View, reshape: View) -> tuple[ir.Value, np.ndarray]:
    """Reshape(MatMul(shares, bank)), the bank [E, elements of a filter]."""
    shape = root.required("W").shape
    if shape is None or not shape.is_static():
        raise Refusal("the shape of the filter is not known")
    reshape.attr("allowzero")
    reshape.required("shape")
    product = reshape.producer("data", "MatMul")
    bank = product.constant("B")
    if bank.ndim != 2 or bank.shape[1] != prod(shape.numpy()):
        raise Refusal("the product is not one filter")
    return product.required("A"), bank.reshape(-1, *shape.numpy())


def _of_sum(total: View) -> tuple[ir.Value, np.ndarray]:
    """ReduceSum(Mul(shares, bank)) over the first axis."""
    axes = total.attr("axes") if total.opset < 13 else total.optional_constant("axes")
    if total.attr("keepdims") or axes is None or list(axes) != [0]:
        raise Refusal("the sum is not over the experts alone")
    total.attr("noop_with_empty_axes")
    product = total.producer("data", "Mul")
    for name, other in (("A", "B"), ("B", "A")):
        bank, shares = constant(product.required(name)), product.required(other)
        if bank is not None:
            break
    else:
        raise Refusal("the filters of the experts are not constants")
    spread = shares.shape
    if spread is None or len(spread) != bank.ndim or any(size != 1 for size in spread[1:]):
        raise Refusal("not one share for each expert")
    return shares, bank


def _conv(
    g: CaseBuilder,
    x: tuple[int | str, ...],
    w: tuple[int, ...],
    experts: int = 3,
    summed: bool = False,
    bias: bool = False,
    shares: int | None = None,
    **attributes: Any,
) -> ir.Value:
    """Shares from a gate over the data's means (`shares` rows of them), or as an input where they are summed."""
    data = g.input(*x)
    if summed:
        gate = g.Sigmoid(g.input(experts, *[1] * len(w)))
        filter_ = g.ReduceSum(g.Mul(g.weight(experts, *w), gate), g.constant([0]), keepdims=0)
    else:
        gate = g.Sigmoid(g.input(shares or 1, experts))
        filter_ = g.Reshape(g.MatMul(gate, g.weight(experts, prod(w) // (shares or 1))), g.constant(list(w)))
    return g.Conv(data, filter_, g.weight(w[0]) if bias else None, **attributes)


@replace_conditional_conv_with_experts.cases
def cases() -> Iterator[Case]:
    conv = partial(partial, _conv)
    x, w = (1, 2, 5, 6), (4, 2, 3, 3)
    yield Case("a product", conv(x=x, w=w, bias=True, pads=(1, 1, 1, 1), strides=(2, 1)))
    yield Case("a sum", conv(x=x, w=w, summed=True))
    yield Case("grouped, dynamic", conv(x=("N", 2, "H", "W"), w=(4, 1, 2, 3), group=2, experts=2))
    yield Case("1-D, a sum, SAME", conv(x=(2, 2, 6), w=(3, 2, 3), summed=True, auto_pad="SAME_UPPER", bias=True))
    yield Case("nine experts", conv(x=x, w=w, experts=9), refuses="too many experts")
    yield Case("nine of ten", conv(x=x, w=w, experts=9), options={"most_experts": 10})
    yield Case("two rows of shares", conv(x=x, w=w, shares=2), refuses="the product is not one filter")
    yield Case(
        "a filter that is an input",
        lambda g: g.Conv(g.input(*x), g.input(*w)),
        refuses="the input of Conv does not come from Reshape or ReduceSum",
    )


@replace_conditional_conv_with_experts.samples
def samples(random: Random) -> Case:
    drawn, bias, summed = draw_conv(random), random.random() < 0.5, random.random() < 0.5
    experts = random.randint(1, 4)
    build = partial(_conv, x=drawn.data, w=drawn.filter, experts=experts, summed=summed, bias=bias, **drawn.attributes)
    return Case(f"{drawn} of {experts} experts{', summed' if summed else ''}", build, seed=random.getrandbits(32))
