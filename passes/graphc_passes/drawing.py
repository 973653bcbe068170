"""Random convolutions for the samples of rewrites: any legal attributes, sizes small enough to run by the thousand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import onnx_ir as ir

from graphc import CaseBuilder

DIMS = ("H", "W", "D")


@dataclass(frozen=True)
class DrawnConv:
    """A Conv or ConvTranspose: `data` and `filter` shapes, whether it has a bias, its attributes."""

    op_type: str
    data: tuple[int | str, ...]
    filter: tuple[int, ...]
    bias: bool
    attributes: Mapping[str, Any]

    def __str__(self) -> str:
        """All of it on one line: the name of a case."""
        said = " ".join(f"{name}={value}" for name, value in self.attributes.items())
        return f"{self.op_type} {list(self.data)} {list(self.filter)}{' bias' if self.bias else ''} {said}"

    @property
    def out_channels(self) -> int:
        """Cout."""
        grouped = self.op_type == "ConvTranspose"
        return self.filter[1] * self.attributes["group"] if grouped else self.filter[0]

    def of(self, g: CaseBuilder, x: ir.Value | None = None) -> ir.Value:
        """The node over `x`, by default a new graph input."""
        data = g.input(*self.data) if x is None else x
        bias = g.weight(self.out_channels) if self.bias else None
        made = g.record(self.op_type, data, g.weight(*self.filter), bias, **self.attributes)
        assert isinstance(made, ir.Value)
        return made


def draw_conv(
    random: Random,
    *,
    op_type: str = "Conv",
    ranks: Sequence[int] = (1, 2, 2, 3),
    strides: int = 3,
    dilations: int = 3,
    groups: Sequence[int] = (1, 1, 2, 3),
    kernel: int = 4,
    size: int = 7,
    pads: int = 3,
) -> DrawnConv:
    """A convolution of one of `ranks` spatial axes; the numbers are the largest that may be drawn for each axis.

    One in five has dynamic sizes, one in six pads by `auto_pad`. It may have no output (it is then no valid case).
    """
    rank, group = random.choice(ranks), random.choice(groups)
    inner, outer = random.randint(1, 3), random.randint(1, 3)
    taps = [random.randint(1, kernel) for _ in range(rank)]
    spatial: list[int | str] = [random.randint(1, size) for _ in range(rank)]
    if random.random() < 0.2:
        spatial = list(DIMS[:rank])
    attributes: dict[str, Any] = {
        "strides": [random.randint(1, strides) for _ in range(rank)],
        "dilations": [random.randint(1, dilations) for _ in range(rank)],
        "group": group,
    }
    if random.random() < 1 / 6:
        attributes["auto_pad"] = random.choice(("SAME_UPPER", "SAME_LOWER", "VALID"))
    else:
        attributes["pads"] = [random.randint(0, pads) for _ in range(2 * rank)]
    if op_type == "ConvTranspose":
        steps = zip(attributes["strides"], attributes["dilations"], strict=True)
        attributes["output_padding"] = [random.randint(0, max(pair) - 1) for pair in steps]
    channels = group * inner
    outer = outer if op_type == "ConvTranspose" else group * outer
    first = channels if op_type == "ConvTranspose" else outer
    second = outer if op_type == "ConvTranspose" else inner
    batch: int | str = random.choice((1, 1, 2, "N"))
    return DrawnConv(op_type, (batch, channels, *spatial), (first, second, *taps), random.random() < 0.5, attributes)
