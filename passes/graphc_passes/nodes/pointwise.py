"""Reading a pointwise convolution: one tap, stride 1, no padding; what it does at one place, it does at each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from graphc import Refusal, Tape, View, constant
from graphc_passes.nodes.sizes import product, reshape, sizes_of


@dataclass(frozen=True)
class Pointwise:
    """The channels of a pointwise convolution, of all groups."""

    in_channels: int
    out_channels: int
    groups: int

    @property
    def macs(self) -> int:
        """Multiply-adds at each place."""
        return self.in_channels * self.out_channels // self.groups

    @classmethod
    def read(cls, conv: View) -> Pointwise:
        """Read the attributes of a Conv and the shape of its filter. Raises Refusal when it is not pointwise."""
        shape, groups = conv.required("W").shape, conv.attr("group")
        if shape is None or not shape.is_static():
            raise Refusal("the shape of the filter is not known")
        outer, inner, *taps = shape.numpy()
        if any(tap != 1 for tap in taps) or not taps:
            raise Refusal("the kernel has more than one tap")
        if any(stride != 1 for stride in conv.attr("strides") or ()):
            raise Refusal("the convolution has a stride")
        if any(conv.attr("pads") or ()):
            raise Refusal("the convolution is padded")
        for name in ("dilations", "kernel_shape", "auto_pad"):
            conv.attr(name)  # one tap has no distance to others, and SAME adds nothing to it
        if 0 in (outer, inner):
            raise Refusal("there are no channels")
        return cls(inner * groups, outer, groups)


def as_matmul(op: Tape, conv: View, shape: Pointwise) -> ir.Value:
    """The convolution as a product of [Cout, Cin] with [N, Cin, ΠL], or batched over its groups; W may be computed."""
    data, inner, outer = conv.required("X"), shape.in_channels // shape.groups, shape.out_channels // shape.groups
    batch, _, *lengths = sizes_of(op, data)
    rank, groups = len(lengths), [shape.groups] if shape.groups > 1 else []
    flat = data if rank == 1 and not groups else reshape(op, data, [batch, *groups, inner, product(lengths)])
    filter_ = _matrix(op, conv.required("W"), [*groups, outer, inner])
    made = op.MatMul(filter_, flat)
    if groups or rank > 1:
        made = reshape(op, made, [batch, shape.out_channels, *lengths])
    bias = conv.input("B")
    if bias is not None:
        made = op.Add(made, _matrix(op, bias, [shape.out_channels, *[1] * rank]))
    return made


def _matrix(op: Tape, weights: ir.Value, sizes: Sequence[int]) -> ir.Value:
    """Weights in that shape, as a constant where they are one."""
    content = constant(weights)
    if content is not None:
        return op.constant(content.reshape(sizes), like=weights, name="weight")
    return reshape(op, weights, sizes)
