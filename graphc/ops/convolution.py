"""Convolution and its transpose."""

from __future__ import annotations

from math import prod

from graphc.convolution import read_convolution
from graphc.costs import Cost
from graphc.ops.op import op, traffic
from graphc.view import View


@op("Conv", "ConvTranspose")
def convolution(view: View) -> Cost:
    """Dense multiply-adds of the nest; a bias is one add per output."""
    nest = read_convolution(view)
    bias = prod(nest.out_shape) if view.input("B") else 0
    return Cost(mac=nest.macs, add=bias) + traffic(view)
