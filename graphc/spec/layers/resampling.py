"""Changing the spatial size: interpolation, and rearrangement between space and channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import onnx_ir as ir
from pydantic import BeforeValidator

from graphc.spec.layers import Field, Layer, PerAxis
from graphc.spec.layers._window import per_axis, spatial_rank
from graphc.spec.layers.shuffle import interleave

if TYPE_CHECKING:
    from graphc.spec.emit import Emitter


def _as_list(value: object) -> object:
    return [value] if isinstance(value, int | float) else value


Scale = Annotated[
    list[float],
    Field(min_length=1),
    BeforeValidator(_as_list, json_schema_input_type=float | list[float]),
]
Mode = Literal["nearest", "linear", "cubic"]
Coordinates = Literal["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"]


class Resize(Layer):
    """Interpolates [N, C, spatial...] to another spatial size, given as a factor or as sizes.

    The defaults are PyTorch's `interpolate`: nearest takes floor(i / scale), linear and cubic put pixels at
    their centres (half_pixel), cubic has coefficient -0.75. The output size is floor(scale size).
    """

    primary: ClassVar = "scale"
    scale: Scale | None = Field(None, description="output over input size: one number, or one per axis")
    size: PerAxis | None = Field(None, description="output size, instead of 'scale'")
    mode: Mode = Field("nearest", description="interpolation; cubic needs two spatial axes")
    coordinate_transformation_mode: Coordinates | None = Field(
        None, description="where pixels lie; default: asymmetric for nearest, else half_pixel"
    )
    cubic_coeff_a: float = Field(-0.75, description="the cubic kernel's coefficient; -0.5 is Keys' and Pillow's")
    antialias: bool = Field(False, description="widen the kernel when shrinking; needs opset 18")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        rank = spatial_rank(g, x)
        self._check(g, rank)
        nearest, cubic = self.mode == "nearest", self.mode == "cubic"
        attributes: dict[str, Any] = {
            "mode": self.mode,
            "coordinate_transformation_mode": self.coordinate_transformation_mode
            or ("asymmetric" if nearest else "half_pixel"),
            "nearest_mode": "floor" if nearest else None,
            "cubic_coeff_a": self.cubic_coeff_a if cubic else None,
            "antialias": 1 if self.antialias else None,
        }
        target: tuple[ir.Value | None, ...]
        if self.scale is not None:
            target = (self._scales(g, rank),)
        else:
            sizes = g.constant(per_axis(g, "size", self.size or (), rank))
            if g.opset >= 18:
                attributes["axes"] = list(range(2, rank + 2))
            else:
                sizes = _with_batch_and_channels(g, x, sizes)
            target = None, sizes
        y: ir.Value = g.op("Resize", x, None, *target, **attributes)
        return y

    def _scales(self, g: Emitter, rank: int) -> ir.Value:
        scale = self.scale or []
        if len(scale) not in (1, rank):
            g.fail(f"'scale' has {len(scale)} entries, but the input has {rank} spatial axes")
        factors = [1.0, 1.0, *scale * (rank // len(scale))]
        return g.constant(np.asarray(factors), ir.DataType.FLOAT)

    def _check(self, g: Emitter, rank: int) -> None:
        if (self.scale is None) == (self.size is None):
            g.fail("give exactly one of 'scale' and 'size'", hint="resize: 2, or resize: {size: [224, 224]}")
        if self.scale is not None and min(self.scale) <= 0:
            g.fail(f"'scale' must be positive, not {min(self.scale)}")
        if self.mode == "cubic" and rank != 2:
            g.fail(f"mode cubic needs two spatial axes, the input has {rank}", hint="use mode linear")
        if self.antialias and self.mode == "nearest":
            g.fail("antialias widens a linear or cubic kernel; nearest has none", hint="use mode linear or cubic")
        if self.antialias and g.opset < 18:
            g.fail(f"Resize has antialias from opset 18, this network uses {g.opset}", hint="raise 'opset'")


class Upsample(Layer):
    """Enlarges [N, C, spatial...] by a factor; nearest repeats pixels. `resize` has every option."""

    primary: ClassVar = "scale"
    scale: Scale = Field([2.0], description="factor: one number, or one per spatial axis")
    mode: Mode = Field("nearest", description="interpolation")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        return Resize.model_validate(self.model_dump()).emit(g, x)


class PixelShuffle(Layer):
    """[N, C r r, H, W] to [N, C, H r, W r]: channel c r r + i r + j becomes pixel (i, j) of each r x r block.

    The sub-pixel rearrangement of ESPCN (Shi et al., CVPR 2016), in PyTorch's channel order.
    """

    primary: ClassVar = "factor"
    factor: int = Field(gt=0, description="enlargement r")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        _expect_image(g, x)
        channels, block = g.size(x, 1), self.factor**2
        if channels % block:
            g.fail(
                f"factor {self.factor} needs a multiple of {block} channels, was given {g.show(x)}",
                code="spec/shape-mismatch",
                hint=f"put 'conv: {block}' times the wanted channels before it",
            )
        return g.op("DepthToSpace", x, blocksize=self.factor, mode="CRD")


class PixelUnshuffle(Layer):
    """[N, C, H r, W r] to [N, C r r, H, W]: the inverse of `pixel_shuffle`.

    SpaceToDepth puts the block before the channel, so a channel shuffle of r r groups follows it.
    """

    primary: ClassVar = "factor"
    factor: int = Field(gt=0, description="reduction r")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        _expect_image(g, x)
        for sizes in g.sizes(x):
            if sizes[2] % self.factor or sizes[3] % self.factor:
                g.fail(
                    f"factor {self.factor} does not divide the image {sizes[2:]}",
                    code="spec/shape-mismatch",
                    hint="pad or crop the image first, or declare the dimension with multiple_of",
                )
        blocks = g.op("SpaceToDepth", x, name="space_to_depth", blocksize=self.factor)
        return interleave(g, blocks, self.factor**2)


def _with_batch_and_channels(g: Emitter, x: ir.Value, sizes: ir.Value) -> ir.Value:
    """The whole output shape, which Resize wants below opset 18."""
    shape = g.op("Shape", x, name="shape")
    kept = g.op("Slice", shape, g.constant([0]), g.constant([2]), name="batch_channels")
    return g.op("Concat", kept, sizes, name="sizes", axis=0)


def _expect_image(g: Emitter, x: ir.Value) -> None:
    if g.rank(x) != 4:
        g.fail(f"expected [N, C, H, W], was given {g.show(x)}", code="spec/shape-mismatch")
