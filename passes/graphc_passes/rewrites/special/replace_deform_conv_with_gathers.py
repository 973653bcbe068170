"""Replace a deformable convolution with gathers of the corners around each place that it reads, and a matrix product.

Law    y[n, k, o] = Σ w[k, c, t]·mask[t, o]·x(s·o + d·t − p + offset[t, o])      x(·) linear between elements, 0 outside
       x(place) = Σ over the 2^r corners of ⌊place⌋ of Π (1 − fraction or fraction)·x[corner], with a border of zeros
       around x and places moved into it, where nothing but zeros is read
Why    few runtimes have DeformConv (Dai et al., ICCV 2017; Zhu et al., CVPR 2019), and ONNX Runtime only in two
       dimensions and 32 or 64 bits; gathers and products they all have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import product
from math import prod
from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Axis, Case, CaseBuilder, Convolution, Refusal, Tape, View, read_convolution, require, rewrite
from graphc_passes.nodes.padding import padded

BEFORE, AFTER = 1, 2  # zeros around the data: of a place in them, both neighbours are zeros


@rewrite("DeformConv", numerics="reassociates")
def replace_deform_conv_with_gathers(root: View, op: Tape) -> ir.Value:
    nest, parts = _nest(root), root.attr("offset_group")
    out, taps = nest.out_shape[2:], prod(nest.filter_shape[2:])
    places = _places(op, root.required("offset"), nest.axes, nest.filter_shape[2:])
    samples = _samples(op, root.required("X"), nest, parts, places)
    mask = root.input("mask")
    if mask is not None:
        samples = op.Mul(samples, op.Reshape(mask, op.constant([-1, taps * prod(out), 1])))
    apart = op.Reshape(samples, op.constant([-1, taps, prod(out), nest.in_channels // parts]))
    per_group = nest.in_channels // nest.groups * taps
    columns = op.Reshape(op.Transpose(apart, perm=(0, 3, 1, 2)), op.constant([-1, nest.groups, per_group, prod(out)]))
    rows = op.Reshape(root.required("W"), op.constant([nest.groups, nest.out_channels // nest.groups, per_group]))
    result: ir.Value = op.Reshape(op.MatMul(rows, columns), op.constant([-1, nest.out_channels, *out]))
    bias = root.input("B")
    if bias is None:
        return result
    return op.Add(result, op.Reshape(bias, op.constant([-1, *[1] * len(out)])))


def _nest(root: View) -> Convolution:
    """The convolution that it is without its offsets; any batch."""
    data, filter_ = root.required("X").shape, root.required("W").shape
    sizes = [size for size in (data or [])[1:] if isinstance(size, int)]
    if data is None or len(sizes) != len(data) - 1 or filter_ is None or not filter_.is_static():
        raise Refusal("a size other than the batch is not known")
    nest = read_convolution(root, [1, *sizes], [int(size) for size in filter_.numpy()])
    require(
        all(nest.out_shape) and all(nest.data_shape) and all(nest.filter_shape),
        "a size is 0",
        conservative="nothing is to be computed",
    )
    return nest


@dataclass(frozen=True)
class _Place:
    """Where each tap of each output reads one axis: the element before it, −1 of the border, and how far beyond it."""

    index: ir.Value
    beyond: ir.Value


def _places(op: Tape, offset: ir.Value, axes: Sequence[Axis], kernel: Sequence[int]) -> list[_Place]:
    """For each axis, [N·offset groups, taps·outputs]."""
    out, taps, places = [axis.output for axis in axes], prod(kernel), []
    moved = op.Reshape(offset, op.constant([-1, taps, len(axes), prod(out)]))
    outputs, steps = np.indices(out).reshape(len(axes), 1, -1), np.indices(kernel).reshape(len(axes), -1, 1)
    for index, axis in enumerate(axes):
        still = axis.down * outputs[index] - axis.pad + axis.step * steps[index]
        place = op.Add(op.Gather(moved, op.constant(index), axis=2), op.constant(still, like=offset, name="place"))
        inside = op.Clip(place, op.constant(-1, like=offset), op.constant(axis.input, like=offset))
        low = op.Floor(inside)
        flat = op.constant([-1, taps * prod(out)])
        beyond = op.Reshape(op.Sub(inside, low), flat)
        places.append(_Place(op.Reshape(op.Cast(low, to=ir.DataType.INT64.value), flat), beyond))
    return places


def _samples(op: Tape, data: ir.Value, nest: Convolution, parts: int, places: Sequence[_Place]) -> ir.Value:
    """[N·parts, taps·outputs, channels of a part]: the data read at the places."""
    rank = len(places)
    bordered = padded(op, data, [0, 0, *[BEFORE] * rank], [0, 0, *[AFTER] * rank])
    sizes = [axis.input + BEFORE + AFTER for axis in nest.axes]
    flat = op.Reshape(bordered, op.constant([-1, nest.in_channels // parts, prod(sizes)]))
    lines = op.Transpose(flat, perm=(0, 2, 1))
    strides = [prod(sizes[axis + 1 :]) for axis in range(rank)]
    scaled = [op.Mul(place.index, op.constant(stride)) for place, stride in zip(places, strides, strict=True)]
    first = reduce(op.Add, scaled)
    sides = [(op.Sub(op.constant(1, like=data), place.beyond), place.beyond) for place in places]
    total: ir.Value | None = None
    for corner in product((0, 1), repeat=rank):
        index = op.Add(first, op.constant(int(np.dot(np.add(corner, BEFORE), strides))))
        read = op.GatherND(lines, op.Unsqueeze(index, op.constant([2])), batch_dims=1)
        weight = reduce(op.Mul, [pair[side] for pair, side in zip(sides, corner, strict=True)])
        term = op.Mul(read, op.Unsqueeze(weight, op.constant([2])))
        total = term if total is None else op.Add(total, term)
    assert total is not None
    return total


def _deformed(
    g: CaseBuilder,
    x: tuple[int | str, ...],
    w: tuple[int, ...],
    out: tuple[int, ...],
    parts: int = 1,
    more: Sequence[str] = (),
    spread: float = 2.0,
    **attributes: Any,
) -> ir.Value:
    """Offsets of a deviation of `spread`: some leave the data. `more` holds "bias", "mask", "computed"."""
    taps = prod(w[2:])
    data, batch = g.input(*x), x[0]
    offset = g.Mul(g.input(batch, parts * taps * (len(x) - 2), *out), g.constant(spread, like=data))
    filter_ = g.input(*w) if "computed" in more else g.weight(*w)
    bias = g.weight(w[0]) if "bias" in more else None
    mask = g.input(batch, parts * taps, *out) if "mask" in more else None
    inputs = [data, filter_, offset, bias, mask] if mask is not None else [data, filter_, offset, bias]
    return g.DeformConv(*inputs, offset_group=parts, **attributes)


@replace_deform_conv_with_gathers.cases
def cases() -> Iterator[Case]:
    case = partial(partial, _deformed)
    x, w = (1, 2, 4, 5), (3, 2, 2, 3)
    yield Case("plain", case(x=x, w=w, out=(3, 3)))
    yield Case("modulated, biased, padded", case(x=x, w=w, out=(4, 5), more=("bias", "mask"), pads=(1, 1, 0, 1)))
    yield Case(
        "groups, offset groups, strides, dilations",
        case(x=(2, 4, 5, 6), w=(2, 2, 2, 2), out=(2, 4), parts=2, group=2, strides=(2, 1), dilations=(1, 2)),
    )
    yield Case("any batch, a filter that is computed", case(x=("N", 2, 4, 5), w=w, out=(3, 3), more=("computed",)))
    yield Case("opset 19, mask only", case(x=x, w=w, out=(3, 3), more=("mask",)), opset=19)
    yield Case("3-D", case(x=(1, 2, 3, 3, 4), w=(2, 2, 2, 1, 2), out=(2, 3, 3), parts=2), oracle="reference")
    yield Case("1-D", case(x=(2, 2, 6), w=(3, 2, 3), out=(4,), more=("mask", "bias")), oracle="reference")
    yield Case(
        "a width that is not known",
        case(x=(1, 2, 4, "W"), w=w, out=(3, 3)),
        refuses="a size other than the batch is not known",
    )
    yield Case("no output", case(x=x, w=(3, 2, 5, 3), out=(0, 3)), refuses="a size is 0", oracle="reference")


@replace_deform_conv_with_gathers.samples
def samples(random: Random) -> Case:
    rank, group, parts = random.choice((1, 2, 2, 2, 3)), random.choice((1, 1, 2)), random.choice((1, 1, 2))
    pads = [(random.randint(0, 2), random.randint(0, 2)) for _ in range(rank)]
    axes = [
        Axis.conv(random.randint(3, 5), random.randint(1, 3), random.randint(1, 2), random.randint(1, 2), pair)
        for pair in pads
    ]
    wanted = [name for name in ("bias", "mask", "computed") if random.random() < 0.5]
    channels = 2 * random.randint(1, 2)
    build = partial(
        _deformed,
        x=(random.choice((1, 2, "N")), channels, *(axis.input for axis in axes)),
        w=(group * random.randint(1, 2), channels // group, *(axis.taps for axis in axes)),
        out=tuple(axis.output for axis in axes),
        parts=parts,
        more=wanted,
        spread=random.choice((0.5, 3.0)),
        group=group,
        strides=[axis.down for axis in axes],
        dilations=[axis.step for axis in axes],
        pads=[begin for begin, _ in pads] + [end for _, end in pads],
    )
    said = f"{rank}-D {axes} {group} groups {parts} parts {wanted} {build.keywords['x']} {build.keywords['w']}"
    return Case(said, build, seed=random.getrandbits(32), oracle="runtime" if rank == 2 else "reference")
