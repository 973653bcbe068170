"""Random Resize nodes, and stating one in a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder
from graphc_passes.sampling.convolutions import DIMS


@dataclass(frozen=True)
class DrawnResize:
    """A Resize: `data` shape; `scales` or else `sizes` for `axes` (None: all), `region` for tf_crop_and_resize."""

    data: tuple[int | str, ...]
    scales: tuple[float, ...] | None
    sizes: tuple[int, ...] | None
    axes: tuple[int, ...] | None
    region: tuple[float, ...] | None
    attributes: Mapping[str, Any]

    def __str__(self) -> str:
        """All of it on one line: the name of a case."""
        said = " ".join(f"{name}={value}" for name, value in self.attributes.items())
        target = f"scales={self.scales}" if self.scales is not None else f"sizes={self.sizes}"
        return f"Resize {list(self.data)} {target} axes={self.axes} region={self.region} {said}"

    def of(self, g: CaseBuilder, x: ir.Value | None = None) -> ir.Value:
        """The node over `x`, by default a new graph input."""
        data = g.input(*self.data) if x is None else x
        region = None if self.region is None else g.constant(np.asarray(self.region, np.float32))
        scales = None if self.scales is None else g.constant(np.asarray(self.scales, np.float32))
        sizes = () if self.sizes is None else (g.constant(list(self.sizes)),)
        return g.Resize(data, region, scales, *sizes, axes=self.axes, **self.attributes)


TRANSFORMS = (
    *("half_pixel", "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"),
    *("half_pixel_symmetric", "tf_crop_and_resize"),
)


SCALES = (1, 2, 3, 0.5, 0.25, 1.5, 0.75, 0.6, 1 / 3, 2.3)


def draw_resize(
    random: Random,
    *,
    modes: Sequence[str] = ("nearest", "linear", "cubic"),
    transforms: Sequence[str] = TRANSFORMS,
    scales: Sequence[float] = SCALES,
    size: int = 7,
    spatial: bool = False,
    channels: int = 3,
) -> DrawnResize:
    """A Resize of 3-D to 5-D data by some of `scales`, or to random sizes; `spatial`: not of batch and channels.

    One in five has dynamic sizes. What ONNX Runtime refuses or gets wrong is drawn too.
    """
    rank, mode, transform = random.choice((3, 4, 4, 4, 5)), random.choice(modes), random.choice(transforms)
    whole = [random.randint(1, 2), random.randint(1, channels), *(random.randint(1, size) for _ in range(rank - 2))]
    axes = sorted(random.sample(range(2 if spatial else 0, rank), random.randint(1, rank - 2)))
    if random.random() < 0.3:
        random.shuffle(axes)
    attributes: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": transform}
    if mode == "nearest":
        attributes["nearest_mode"] = random.choice(("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"))
    else:
        attributes["antialias"] = int(random.random() < 0.2)
        attributes["exclude_outside"] = int(mode == "cubic" and random.random() < 0.2)
    if mode == "cubic":
        attributes["cubic_coeff_a"] = random.choice((-0.75, -0.5))
    region = None
    if transform == "tf_crop_and_resize":
        attributes["extrapolation_value"] = random.choice((0.0, 1.5))
        region = tuple(random.choice((0.0, 0.25, -0.3)) for _ in axes) + tuple(
            random.choice((1.0, 0.7, 1.4)) for _ in axes
        )
    factors = [random.choice(scales) for _ in axes]
    if (
        transform == "half_pixel_symmetric"
    ):  # onnx.reference takes a wrong neighbour where rounding misses a whole place
        factors = [random.choice((1, 2, 3)) for _ in axes]
    by_scales = transform != "tf_crop_and_resize" and random.random() < 0.7
    sizes = tuple(max(1, int(whole[axis] * factor)) for axis, factor in zip(axes, factors, strict=True))
    data: list[int | str] = list(whole)
    if random.random() < 0.2:
        data = ["N", data[1], *DIMS[: rank - 2]] if by_scales else ["N" if 0 not in axes else data[0], *data[1:]]
    return DrawnResize(
        tuple(data),
        tuple(float(factor) for factor in factors) if by_scales else None,
        None if by_scales else sizes,
        tuple(axes),
        region,
        attributes,
    )


def resize(
    g: CaseBuilder,
    x: ir.Value,
    scales: Sequence[float] | None = None,
    sizes: Sequence[int] | None = None,
    roi: Sequence[float] | None = None,
    op_type: str = "Resize",
    **attributes: Any,
) -> ir.Value:
    """A Resize (or Upsample) of `x` by scales or to sizes."""
    factors = None if scales is None else g.constant(np.asarray(scales, np.float32))
    if op_type == "Upsample" or g.opset < 11:
        made = g.record(op_type, x, factors, **attributes)
    else:
        region = None if roi is None else g.constant(np.asarray(roi, np.float32))
        made = g.Resize(x, region, factors, *([g.constant(list(sizes))] if sizes is not None else []), **attributes)
    return made


def resize_case(
    name: str,
    x: Sequence[int | str],
    *targets: Any,
    refuses: str | None = None,
    opset: int = 20,
    dtype: ir.DataType | None = None,
    oracle: Literal["runtime", "reference"] = "runtime",
    options: dict[str, Any] | None = None,
    **attributes: Any,
) -> Case:
    """A case of one such node over an input of shape `x`."""
    return Case(
        name,
        lambda g: resize(g, g.input(*x, dtype=dtype), *targets, **attributes),
        refuses=refuses,
        opset=opset,
        oracle=oracle,
        options=options or {},
    )
