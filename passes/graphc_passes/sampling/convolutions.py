"""Random convolutions: any legal attributes, sizes small enough to run by the thousand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Literal

import onnx_ir as ir

from graphc import Case, CaseBuilder
from graphc_passes.nodes.stated import static_channels

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
    def oracle(self) -> Literal["runtime", "reference"]:
        """Who knows what it computes: ONNX Runtime refuses a SAME Conv with a dilation."""
        same = str(self.attributes.get("auto_pad")).startswith("SAME")
        return "reference" if same and self.op_type == "Conv" else "runtime"

    @property
    def out_channels(self) -> int:
        """Cout."""
        grouped = self.op_type == "ConvTranspose"
        return self.filter[1] * self.attributes["group"] if grouped else self.filter[0]

    def of(self, g: CaseBuilder, x: ir.Value | None = None, *, computed: bool = False) -> ir.Value:
        """The node over `x`, by default a new graph input; so are the weights if they are `computed`."""
        data = g.input(*self.data) if x is None else x
        weights = g.input if computed else g.weight
        bias = weights(self.out_channels) if self.bias else None
        return g.record(self.op_type, data, weights(*self.filter), bias, **self.attributes)


def draw_conv(
    random: Random,
    *,
    op_type: str = "Conv",
    ranks: Sequence[int] = (1, 2, 2, 3),
    strides: int = 3,
    dilations: int = 3,
    groups: Sequence[int] = (1, 1, 2, 3),
    inner: Sequence[int] = (1, 2, 3),
    kernel: int = 4,
    size: int = 7,
    pads: int = 3,
) -> DrawnConv:
    """A convolution of one of `ranks` spatial axes; the numbers are the largest that may be drawn for each axis.

    `inner`: what the input channels of a group may be.

    One in five has dynamic sizes, one in six pads by `auto_pad`. It may have no output (it is then no valid case).
    """
    rank, group = random.choice(ranks), random.choice(groups)
    each, outer = random.choice(inner), random.randint(1, 3)
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
    channels = group * each
    outer = outer if op_type == "ConvTranspose" else group * outer
    first = channels if op_type == "ConvTranspose" else outer
    second = outer if op_type == "ConvTranspose" else each
    batch: int | str = random.choice((1, 1, 2, "N"))
    return DrawnConv(op_type, (batch, channels, *spatial), (first, second, *taps), random.random() < 0.5, attributes)


def plain_conv(
    x: tuple[int | str, ...], w: tuple[int, ...], *, bias: bool = False, group: int = 1, **attributes: Any
) -> DrawnConv:
    """A Conv that is not drawn: what cases say of it."""
    return DrawnConv("Conv", x, w, bias, {"group": group, **attributes})


def conv_sample(
    random: Random, drawn: DrawnConv, opsets: Sequence[int] = (9, 12, 20), options: Mapping[str, Any] | None = None
) -> Case:
    """A case of it alone, at one of these opsets; two in five have weights that are graph inputs."""
    computed, opset = random.random() < 0.4, random.choice(opsets)
    build = partial(drawn.of, computed=computed)
    seed = random.getrandbits(32)
    return Case(f"{drawn} computed={computed}", build, options=options or {}, opset=opset, seed=seed)


@dataclass(frozen=True)
class DrawnPointwise:
    """A Conv of one tap."""

    in_channels: int
    out_channels: int
    group: int
    bias: bool

    def of(self, g: CaseBuilder, x: ir.Value) -> ir.Value:
        """The node over `x`, of any rank."""
        ones = (1,) * (len(x.shape or ()) - 2)
        weight = g.weight(self.out_channels, self.in_channels // self.group, *ones)
        return g.Conv(x, weight, g.weight(self.out_channels) if self.bias else None, group=self.group)


def draw_pointwise(random: Random, groups: Sequence[int] = (1, 1, 2, 3)) -> DrawnPointwise:
    """A Conv of one tap, of one of these numbers of groups."""
    group = random.choice(groups)
    return DrawnPointwise(group * random.randint(1, 4), group * random.randint(1, 4), group, random.random() < 0.5)


def pointwise_over(g: CaseBuilder, x: ir.Value, outputs: int, *, bias: bool = False, group: int = 1) -> ir.Value:
    """A Conv of one tap over `x`."""
    return DrawnPointwise(static_channels(x), outputs, group, bias).of(g, x)


def pointwise_sample(random: Random, groups: Sequence[int] = (1, 1, 2, 3)) -> Case:
    """A Conv of one tap over data of any rank, at any opset."""
    conv, rank = draw_pointwise(random, groups), random.choice((1, 2, 2, 3))
    sizes = [random.choice((1, 2, 3, 5, dim)) for dim in DIMS[:rank]]
    data = (random.choice((1, 2, "N")), conv.in_channels, *sizes)
    opset = random.choice((9, 11, 13, 20))
    return Case(f"{conv} of {data}", lambda g: conv.of(g, g.input(*data)), seed=random.getrandbits(32), opset=opset)
