"""How far around itself an output of a spec looks into an input: its effective receptive field, axis by axis.

If all taps weigh the same, what an output depends on is the sum of independent steps, one per layer: K taps at distance
d are a step of variance d²·(K² − 1)/12, in pixels of the layer's input, and variances add up. Some 95 % of it lies
within two standard deviations on either side, far less than the outermost pixel that could matter: the field of many
small layers grows with the root of their number. Where branches meet, their variances are averaged.

Followed are operators that keep positions; behind any other, a field is not known. What is the same at all positions,
such as a global average, has none. Source: W. Luo, Y. Li, R. Urtasun, R. Zemel, Understanding the Effective Receptive
Field in Deep Convolutional Neural Networks, NIPS 2016.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from math import sqrt

import onnx_ir as ir

from graphc.axis import Axis
from graphc.collector import uncollected
from graphc.errors import GraphcError
from graphc.spec.network import Network
from graphc.view import Refusal, View

DEVIATIONS = 4  # of the field's width: two on either side, some 95 % of a normal distribution
WINDOWS = frozenset(("Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool"))
SAMPLING = frozenset(("DepthToSpace", "Resize", "SpaceToDepth", "Upsample"))
MERGES = frozenset(("Add", "Concat", "Div", "Max", "Mean", "Min", "Mul", "Sub", "Sum", "Where"))
# fmt: off
LOCAL = frozenset((
    "Abs", "BatchNormalization", "Cast", "Celu", "Clip", "Dropout", "Elu", "Erf", "Exp", "Gelu",
    "GroupNormalization", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "LRN", "LeakyRelu",
    "Log", "Mish", "Neg", "PRelu", "Pad", "Pow", "Relu", "Selu", "Sigmoid", "Slice", "Softplus", "Softsign", "Sqrt",
    "Tanh", "ThresholdedRelu",
))
# fmt: on


@dataclass(frozen=True)
class Field:
    """Along one axis: the variance in pixels of the input, and how many of these two neighbours are apart."""

    variance: float = 0.0
    jump: Fraction = Fraction(1)

    @property
    def width(self) -> float:
        """The pixels that matter."""
        return 1 + DEVIATIONS * sqrt(self.variance)

    def through(self, axis: Axis) -> Field:
        """Behind a layer's axis: its taps lie step/up pixels of what is read apart, what it makes down/up."""
        variance = float(Fraction(axis.step, axis.up) * self.jump) ** 2 * (axis.taps**2 - 1) / 12
        return Field(self.variance + variance, self.jump * Fraction(axis.down, axis.up))


@dataclass(frozen=True)
class Fields:
    """The fields along the spatial axes, of an input of the network."""

    input: ir.Value
    axes: tuple[Field, ...]


@uncollected()
def receptive_fields(network: Network) -> dict[ir.Value, Fields]:
    """The fields of the outputs of a network whose fields are known and that look into an input of as many axes."""
    found: dict[ir.Value, Fields] = {
        value: Fields(value, (Field(),) * (len(value.shape) - 2))
        for value in network.inputs
        if value.shape is not None and len(value.shape) > 2
    }
    for node in network.nodes:
        reads = [found[value] for value in node.inputs if value in found]
        if not reads or not node.outputs:
            continue
        try:
            behind = _behind(node, reads, network)
        except (Refusal, GraphcError):
            behind = None
        if behind is not None:
            found[node.outputs[0]] = behind
    return {value: found[value] for value in network.outputs if value in found and value is not found[value].input}


def _behind(node: ir.Node, reads: list[Fields], network: Network) -> Fields | None:
    if node.domain or len({(each.input, len(each.axes)) for each in reads}) != 1:
        return None
    if node.op_type in WINDOWS:
        return _windowed(View(node, network.emitter.opset), reads[0], network)
    if node.op_type in SAMPLING:
        return _sampled(node, reads[0], network)
    if node.op_type in LOCAL:
        return reads[0]
    return _merged(reads) if node.op_type in MERGES else None


def _windowed(view: View, read: Fields, network: Network) -> Fields | None:
    kernel = view.attr("kernel_shape")
    if kernel is None:
        kernel = preferred_sizes(network, view.node.inputs[1])[2:]
    ones = (1,) * len(kernel)
    strides, dilations = view.attr("strides") or ones, view.attr("dilations") or ones
    if not len(kernel) == len(strides) == len(dilations) == len(read.axes):
        return None
    make = Axis.conv_transpose if view.op_type == "ConvTranspose" else Axis.conv
    axes = map(make, (1,) * len(kernel), kernel, strides, dilations)  # over any size: it plays no part
    return Fields(read.input, tuple(field.through(axis) for field, axis in zip(read.axes, axes, strict=True)))


def _sampled(node: ir.Node, read: Fields, network: Network) -> Fields | None:
    """By the sizes before and after, whatever says them; taps of an interpolation count for nothing."""
    before, after = preferred_sizes(network, node.inputs[0])[2:], preferred_sizes(network, node.outputs[0])[2:]
    if len(before) != len(read.axes) or not all(after):
        return None
    jumps = [field.jump * Fraction(old, new) for field, old, new in zip(read.axes, before, after, strict=True)]
    return Fields(read.input, tuple(replace(field, jump=jump) for field, jump in zip(read.axes, jumps, strict=True)))


def _merged(reads: list[Fields]) -> Fields | None:
    """Branches that weigh the same."""
    axes = []
    for fields in zip(*(each.axes for each in reads), strict=True):
        if len({field.jump for field in fields}) != 1:
            return None
        axes.append(Field(_mean(field.variance for field in fields), fields[0].jump))
    return Fields(reads[0].input, tuple(axes))


def _mean(numbers: Iterable[float]) -> float:
    found = list(numbers)
    return sum(found) / len(found)


def preferred_sizes(network: Network, value: ir.Value | None) -> tuple[int, ...]:
    """The sizes of a value where the dims are as preferred, the first of the emitter's points; none where it is absent.

    Raises GraphcError (spec/unknown-shape) where they are not known.
    """
    return tuple(network.emitter.sizes(value)[0]) if value is not None else ()
