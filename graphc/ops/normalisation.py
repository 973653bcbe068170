"""Normalisations. Scale and shift together are one multiply-add per element."""

from __future__ import annotations

from math import prod

from graphc.convolution import static_shape
from graphc.costs import Cost
from graphc.ops.op import elements, op, traffic
from graphc.view import View


@op("BatchNormalization")
def batch_normalization(view: View) -> Cost:
    """In inference the statistics are constants, part of scale and shift. In training they are computed."""
    shape = static_shape(view.required("X"))
    affine = Cost(mac=prod(shape)) + traffic(view)
    training = view.attr("training_mode") or any(value.name for value in view.node.outputs[1:])
    if not training:
        return affine
    channels = shape[1]
    running = Cost(mac=2 * channels, mul=2 * channels)  # mean and variance: m·old + (1 − m)·new
    return standardised(prod(shape), channels) + running + affine


@op("InstanceNormalization")
def instance_normalization(view: View) -> Cost:
    """Statistics per image and channel."""
    shape = static_shape(view.required("input"))
    return standardised(prod(shape), prod(shape[:2])) + Cost(mac=prod(shape)) + traffic(view)


@op("GroupNormalization")
def group_normalization(view: View) -> Cost:
    """Statistics per image and group of channels."""
    shape = static_shape(view.required("X"))
    groups = shape[0] * view.attr("num_groups")
    return standardised(prod(shape), groups) + Cost(mac=prod(shape)) + traffic(view)


@op("LayerNormalization")
def layer_normalization(view: View) -> Cost:
    """Statistics over all dimensions from `axis` on."""
    shape = static_shape(view.required("X"))
    size = prod(shape)
    affine = Cost(mac=size) if view.input("B") else Cost(mul=size)
    return standardised(size, prod(shape[: view.attr("axis")])) + affine + traffic(view)


@op("LRN")
def lrn(view: View) -> Cost:
    """x / (bias + alpha/size · Σ x²)^beta over a window of channels; taps beyond the channels count."""
    size = elements(view.required("X"))
    each = Cost(mac=view.attr("size") + 1, transcendental=1, div=1)
    return each * size + traffic(view)


def standardised(size: int, groups: int) -> Cost:
    """(x − mean) / √(variance + ε), with statistics over each of `groups` equal parts of `size` elements.

    Per element: one add to the mean, one to centre, a multiply-add of the square, a multiplication by 1/√.
    """
    groups = min(groups, size)  # empty groups have no statistics
    statistics = Cost(div=3, add=1, transcendental=1) * groups  # mean, variance, 1/√(variance + ε)
    return Cost(add=2 * size - groups, mac=size, mul=size) + statistics
