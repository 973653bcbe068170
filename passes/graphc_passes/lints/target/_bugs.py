"""What ONNX Runtime's CPU provider refuses or gets wrong although it is valid ONNX, with what rewrites it rightly.

Each was seen on ONNX Runtime 1.32. Kernels that are missing altogether are not listed: its own registry tells them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from graphc import Axis, Fix, Rewrite, View, constant
from graphc_passes.rewrites.legal.replace_auto_pad_with_pads import replace_auto_pad_with_pads
from graphc_passes.rewrites.legal.replace_conv_integer_zero_points_with_sum import (
    replace_conv_integer_zero_points_with_sum,
)
from graphc_passes.rewrites.resampling.replace_resize_with_matmul import replace_resize_with_matmul
from graphc_passes.rewrites.special.replace_deform_conv_with_gathers import replace_deform_conv_with_gathers

PLANE = 4  # axes of data that Resize interpolates over the last two of


@dataclass(frozen=True)
class Bug:
    """A form of some operators: when a node is of it, what happens then, and the rewrite (with options) that helps."""

    operators: tuple[str, ...]
    is_form: Callable[[View], bool]
    what: str
    rewrite: Rewrite | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def fix(self, node: ir.Node, opset: int) -> Fix | None:
        """The rewrite as a fix, if it would fire at a node."""
        if self.rewrite is None or not self.rewrite.would_fire(node, opset, **self.options):
            return None
        given = ",".join(f"{name}={value}" for name, value in self.options.items())
        name = f"{self.rewrite.name}{{{given}}}" if given else self.rewrite.name
        return Fix(f"run {name}", passes=(name,))


def _is_same(view: View) -> bool:
    return str(view.attr("auto_pad")).startswith("SAME")


def _is_dilated(view: View) -> bool:
    return any(each > 1 for each in view.attr("dilations") or ())


def _falls_short(conv: View) -> bool:
    """Whether a transposed SAME has strides beyond the extent of its kernel."""
    filter_ = conv.input("W")
    if filter_ is None or filter_.shape is None or not _is_same(conv):
        return False
    taps, strides = filter_.shape[2:], conv.attr("strides") or ()
    dilations = conv.attr("dilations") or (1,) * len(taps)
    sized = zip(taps, strides, dilations, strict=False)
    return any(isinstance(t, int) and Axis.conv_transpose(1, t, s, d).output < s for t, s, d in sized)


def _scales(resize: View) -> np.ndarray | None:
    """The factors of a Resize that states them as a constant."""
    value = resize.input("scales") if resize.opset > 10 else None
    content = None if value is None else constant(value)
    return content if content is not None and content.ndim == 1 and content.size else None


def _moved(resize: View) -> list[int]:
    """The axes that a Resize changes, among `axes` if it names them; all of a tensor whose factors are not known."""
    data, factors, named = resize.required("X"), _scales(resize), resize.attr("axes")
    rank = 0 if data.shape is None else len(data.shape)
    axes = [axis % rank for axis in named] if named and rank else list(range(rank))
    if factors is None:
        return _moved_between(resize, axes)
    return [axis for axis, factor in zip(axes, factors, strict=False) if factor != 1]


def _moved_between(resize: View, axes: list[int]) -> list[int]:
    """The axes whose known sizes before and after differ."""
    data, out = resize.required("X").shape, resize.node.outputs[0].shape if resize.node.outputs else None
    if data is None or out is None or len(data) != len(out):
        return []
    pairs = ((axis, data[axis], out[axis]) for axis in axes)
    return [axis for axis, a, b in pairs if isinstance(a, int) and isinstance(b, int) and a != b]


def _leaves_the_plane(resize: View) -> bool:
    """Whether a cubic Resize is of other than four axes, or a cubic or linear one moves batch or channels as well."""
    data, moved = resize.required("X"), _moved(resize)
    if data.shape is None or not moved or resize.attr("mode") == "nearest":
        return False
    rank = len(data.shape)
    if resize.attr("mode") == "cubic":
        return rank not in (2, PLANE) or min(moved) < rank - 2
    return rank == PLANE and min(moved) < rank - 2 and max(moved) >= rank - 2


def _is_fractional(resize: View) -> bool:
    """Whether a factor leaves no whole number of elements."""
    data, factors = resize.required("X"), _scales(resize)
    if data.shape is None or factors is None or resize.attr("axes"):
        return False
    pairs = zip(data.shape, factors, strict=False)
    lengths = [size * float(factor) for size, factor in pairs if isinstance(size, int)]
    return any(abs(length - round(length)) > 1e-4 for length in lengths)


def _by_floats(resize: View) -> bool:
    aligned = resize.attr("coordinate_transformation_mode") == "align_corners"
    return aligned and resize.attr("mode") != "nearest" and _is_fractional(resize)


def _by_symmetry(resize: View) -> bool:
    symmetric = resize.attr("coordinate_transformation_mode") == "half_pixel_symmetric"
    return symmetric and resize.attr("mode") == "cubic" and _is_fractional(resize)


def _is_solid(conv: View) -> bool:
    filter_ = conv.input("W")
    return filter_ is not None and filter_.shape is not None and len(filter_.shape) > PLANE


def _has_many_zeros(conv: View) -> bool:
    zeros = conv.input("w_zero_point")
    if zeros is None or zeros.shape is None or len(zeros.shape) != 1:
        return False
    return isinstance(zeros.shape[0], int) and zeros.shape[0] > 1


BUGS = (
    Bug(
        ("Conv",),
        lambda conv: _is_same(conv) and _is_dilated(conv),
        "it refuses a dilated convolution whose pads are SAME",
        replace_auto_pad_with_pads,
    ),
    Bug(
        ("AveragePool", "MaxPool", "LpPool"),
        lambda pool: _is_same(pool) and _is_dilated(pool),
        "it makes too few outputs of a dilated pool whose pads are SAME",
        replace_auto_pad_with_pads,
    ),
    Bug(
        ("ConvTranspose",),
        _falls_short,
        "it makes too few outputs of a transposed convolution whose pads are SAME and whose stride exceeds its kernel",
    ),
    Bug(
        ("Resize",),
        _leaves_the_plane,
        "it only interpolates over the last two of four axes like this",
        replace_resize_with_matmul,
        {"only": "cubic-3d+cubic-5d+cubic-channels+linear-channels"},
    ),
    Bug(
        ("Resize",),
        _by_floats,
        "it aligns the corners of a whole number of elements, where factor times size is none",
        replace_resize_with_matmul,
        {"only": "align_corners"},
    ),
    Bug(
        ("Resize",),
        _by_symmetry,
        "it places the samples of half_pixel_symmetric otherwise than ONNX does",
        replace_resize_with_matmul,
        {"only": "cubic"},
    ),
    Bug(
        ("DeformConv",),
        _is_solid,
        "it refuses a deformable convolution of more than two axes",
        replace_deform_conv_with_gathers,
    ),
    Bug(
        ("ConvInteger",),
        _has_many_zeros,
        "it refuses a zero point for each filter",
        replace_conv_integer_zero_points_with_sum,
    ),
    Bug(
        ("GRU", "LSTM", "RNN"),
        lambda layer: layer.attr("layout") == 1,
        "it refuses data whose batch stands first (layout=1)",
    ),
)
