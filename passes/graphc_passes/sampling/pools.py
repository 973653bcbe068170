"""Random average pools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import onnx_ir as ir

from graphc import CaseBuilder
from graphc_passes.sampling.convolutions import DIMS


@dataclass(frozen=True)
class DrawnPool:
    """An AveragePool: the `data` shape, its attributes, and who knows what it computes (`Case.oracle`)."""

    data: tuple[int | str, ...]
    attributes: Mapping[str, Any]

    def __str__(self) -> str:
        """All of it on one line: the name of a case."""
        return " ".join([f"AveragePool {list(self.data)}", *(f"{k}={v}" for k, v in self.attributes.items())])

    @property
    def oracle(self) -> Literal["runtime", "reference"]:
        """ONNX Runtime gets SAME pads wrong with dilations, and where a stride is larger than a window."""
        kernel, strides = self.attributes["kernel_shape"], self.attributes["strides"]
        leaps = any(stride > taps for stride, taps in zip(strides, kernel, strict=True))
        same = str(self.attributes.get("auto_pad")).startswith("SAME")
        return "reference" if same and (leaps or "dilations" in self.attributes) else "runtime"

    def of(self, g: CaseBuilder, x: ir.Value | None = None) -> ir.Value:
        """The node over `x`, by default a new graph input."""
        return g.AveragePool(g.input(*self.data) if x is None else x, **self.attributes)


def draw_average_pool(
    random: Random, *, ranks: Sequence[int] = (1, 2, 2, 3), kernel: int = 4, size: int = 7, plain: float = 0.2
) -> DrawnPool:
    """An AveragePool of any attributes, pads smaller than the kernel; one in five has dynamic sizes.

    A share of `plain` has neither pads nor dilations. It may have no output (it is then no valid case).
    """
    rank = random.choice(ranks)
    taps = [random.randint(1, kernel) for _ in range(rank)]
    spatial: list[int | str] = [random.randint(1, size) for _ in range(rank)]
    if random.random() < 0.2:
        spatial = list(DIMS[:rank])
    attributes: dict[str, Any] = {
        "kernel_shape": taps,
        "strides": [random.randint(1, 3) for _ in range(rank)],
        "ceil_mode": random.choice((0, 0, 1)),
        "count_include_pad": random.choice((0, 1)),
    }
    data = (random.choice((1, 1, 2, "N")), random.randint(1, 4), *spatial)
    if random.random() < plain:
        return DrawnPool(data, attributes)
    if random.random() < 0.5 and all(isinstance(length, int) for length in spatial):
        attributes["dilations"] = [random.randint(1, 3) for _ in range(rank)]  # a dynamic axis may be 5 long
    if random.random() < 0.25:
        attributes["auto_pad"] = random.choice(("SAME_UPPER", "SAME_LOWER", "VALID"))
    else:
        attributes["pads"] = [random.randint(0, taps[index % rank] - 1) for index in range(2 * rank)]
    return DrawnPool(data, attributes)
